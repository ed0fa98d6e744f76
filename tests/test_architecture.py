"""The floors of the house: imports run downward only, read from the source itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("bench", "engines", "frontends")

# From the ground up: a package imports from its own and those before it, never from one behind.
# `engines` and `frontends` do not know each other either.
ORDER = (
    "frontends",
    "engines",
    "bench.base",
    "bench.inputs",
    "bench.results",
    "bench.zoo",
    "bench.plan",
    "bench.embed",
    "bench.machine",
    "bench.report",
    "bench.models",
    "bench.measure",
    "bench.claims",
    "bench.gate",
    "bench.extract",
    "bench.cluster",
    "bench.tune",
    "bench.explain",
    "bench.api",
    "bench.validation",
    "bench.testing",
    "bench.commands",
    "bench.cli",
    "bench.worker",
    "bench.pytest_plugin",
)
#: As many packages may stand on one another.
MOST_LEVELS = 9


STARTS_FROM_TORCH = ("engines.torch", "engines.ncnn_convert", "bench.testing.tiny_model")


def modules() -> dict[str, Path]:
    """Return dotted name -> file for every module of ours."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path
    return found


def imports(path: Path, *, at_import_time: bool = False) -> set[str]:
    """Return the dotted names that a file imports; all of them, or those outside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if at_import_time:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                node.body = [ast.Pass()]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(name: str) -> str:
    """Return the package that a module is in, or the module that stands beside the packages."""
    return ".".join(name.split(".")[: 2 if name.startswith("bench.") else 1])


def room_imports() -> dict[str, set[str]]:
    """Return every room with the rooms that it imports, its own left out."""
    ours = modules()
    found: dict[str, set[str]] = {each: set() for each in ORDER}
    for name, path in ours.items():
        found.setdefault(room(name), set()).update(room(i) for i in imports(path) & set(ours))
    return {each: targets - {each, "bench"} for each, targets in found.items() if each != "bench"}


def test_every_room_is_in_the_order() -> None:
    """Nothing stands in `bench/` but its packages, the worker's door and the pytest plugin."""
    assert set(room_imports()) == set(ORDER)


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_run_downward(name: str) -> None:
    """No module imports from a room behind its own in the order."""
    ours = modules()
    for target in imports(ours[name]) & set(ours) - {"bench"}:
        if name != "bench":
            above = ORDER.index(room(target)) > ORDER.index(room(name))
            assert not above, f"{name} imports {target}, which is above it"


def test_the_house_is_low() -> None:
    """No chain of imports climbs over more than nine rooms."""
    found = room_imports()
    levels: dict[str, int] = {}
    for each in ORDER:
        levels[each] = 1 + max((levels[target] for target in found[each]), default=0)
    assert max(levels.values()) <= MOST_LEVELS, levels


def test_every_package_says_what_it_is() -> None:
    """Each package has one subject, which its docstring says in one line."""
    for name, path in modules().items():
        if path.name == "__init__.py":
            doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            assert doc, f"{name} has no docstring"


def test_the_leaves_do_not_know_each_other() -> None:
    """`frontends/` and `engines/` import nothing of ours but themselves."""
    for name, path in modules().items():
        top = name.partition(".")[0]
        if top != "bench":
            others = set(PACKAGES) - {top}
            assert not {i for i in imports(path) if i.partition(".")[0] in others}, name


def test_front_end_meets_engines_in_one_place() -> None:
    """Features are handed to a session in `bench.embed.pipeline` alone."""
    both = {
        name
        for name, path in modules().items()
        if any(i.startswith("frontends.fbank") for i in imports(path))
        and any(i.startswith("engines.") for i in imports(path))
    }
    assert both == {"bench.embed.pipeline"}


def test_torch_stays_with_the_zoo() -> None:
    """Torch is imported by the zoo, by its engine, and by what starts from a torch module."""
    for name, path in modules().items():
        if any(i.partition(".")[0] == "torch" for i in imports(path)):
            assert name.startswith("bench.zoo") or name in STARTS_FROM_TORCH, name


def test_runtimes_are_imported_when_first_used() -> None:
    """Importing an engine's module loads no runtime."""
    runtimes = {"onnxruntime", "MNN", "_tools", "torch", "openvino", "ncnn", "pnnx"}
    for name, path in modules().items():
        if name.startswith("engines"):
            tops = {i.partition(".")[0] for i in imports(path, at_import_time=True)}
            assert not tops & runtimes, name


def test_reports_are_pure() -> None:
    """Reports import no runtime, no numpy and nothing that runs a process."""
    for name, path in modules().items():
        if name.startswith("bench.report"):
            tops = {i.partition(".")[0] for i in imports(path)}
            assert not tops & {"numpy", "torch", "subprocess", "onnxruntime", "MNN"}, name


def test_help_is_light() -> None:
    """`rtfbench --help` loads neither numpy nor torch, scipy or any engine."""
    heavy = ["numpy", "torch", "scipy", "onnxruntime", "MNN", "matplotlib", "jinja2"]
    code = (
        "import sys\n"
        "from bench.cli import app\n"
        "try:\n    app(['run', '--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["bench.commands.extract", "bench.extract.worker"])
def test_extraction_starts_light(name: str) -> None:
    """Neither side of `extract` waits for libraries that it does not use."""
    heavy = ["torch", "scipy", "onnx", "onnxruntime", "MNN", "matplotlib", "pyarrow", "dask"]
    code = f"import sys, {name}\nprint([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_extracting_is_light() -> None:
    """What `rtfbench extract` loads, and a worker of it before its engine, is what it needs."""
    heavy = ["torch", "scipy", "rich", "onnx", "onnxruntime", "MNN", "matplotlib", "jinja2"]
    code = (
        "import sys, bench.cli, bench.commands.extract, bench.extract.config\n"
        "import bench.extract.worker\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", sorted(modules()))
def test_modules_are_small(name: str) -> None:
    """A module has one subject: no module is longer than 500 lines."""
    assert len(modules()[name].read_text(encoding="utf-8").splitlines()) <= 500
