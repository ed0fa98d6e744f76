"""The floors of the house: imports run downward only, read from the source itself."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: A folder of the checkout -> the package that it is.
PACKAGES = {"bench": "rtfbench", "engines": "rtfbench.engines", "frontends": "rtfbench.frontends"}

# From the ground up: a package imports from its own and those before it, never from one behind.
# `engines` and `frontends` do not know each other either.
ORDER = (
    "rtfbench.frontends",
    "rtfbench.engines",
    "rtfbench.base",
    "rtfbench.inputs",
    "rtfbench.results",
    "rtfbench.embed",
    "rtfbench.report",
    "rtfbench.models",
    "rtfbench.measure",
    "rtfbench.gate",
    "rtfbench.extract",
    "rtfbench.tune",
    "rtfbench.explain",
    "rtfbench.api",
    "rtfbench.testing",
    "rtfbench.commands",
    "rtfbench.worker",
)
#: As many packages may stand on one another.
MOST_LEVELS = 7


STARTS_FROM_TORCH = (
    "rtfbench.engines.torch",
    "rtfbench.engines.ncnn",
    "rtfbench.engines.executorch",
    "rtfbench.engines.litert",
    "rtfbench.testing.tiny_model",
)


@cache
def modules() -> dict[str, Path]:
    """Return dotted name -> file for every module of ours."""
    found = {}
    for folder, package in PACKAGES.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = (package, *path.relative_to(ROOT / folder).with_suffix("").parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
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
            # The worker's door is imported under older names too.
            assert node.level == 0 or path == ROOT / "bench" / "worker.py", f"{path}: relative"
            assert node.module is not None
            module = f"rtfbench.{node.module}" if node.level else node.module
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def room(name: str) -> str:
    """Return the package that a module is in, or the module that stands beside the packages."""
    return ".".join(name.split(".")[:2])


def room_imports() -> dict[str, set[str]]:
    """Return every room with the rooms that it imports, its own left out."""
    ours = modules()
    found: dict[str, set[str]] = {each: set() for each in ORDER}
    for name, path in ours.items():
        found.setdefault(room(name), set()).update(room(i) for i in imports(path) & set(ours))
    return {
        each: targets - {each, "rtfbench"} for each, targets in found.items() if each != "rtfbench"
    }


def test_every_room_is_in_the_order() -> None:
    """Nothing stands in `bench/` but its packages, the worker's door and the pytest plugin."""
    assert set(room_imports()) == set(ORDER)


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_run_downward(name: str) -> None:
    """No module imports from a room behind its own in the order."""
    ours = modules()
    for target in imports(ours[name]) & set(ours) - {"rtfbench"}:
        if name != "rtfbench":
            above = ORDER.index(room(target)) > ORDER.index(room(name))
            assert not above, f"{name} imports {target}, which is above it"


def test_the_house_is_low() -> None:
    """No chain of imports climbs over more than seven rooms."""
    found = room_imports()
    levels: dict[str, int] = {}
    for each in ORDER:
        levels[each] = 1 + max((levels[target] for target in found[each]), default=0)
    assert max(levels.values()) <= MOST_LEVELS, levels


def test_no_modules_import_each_other() -> None:
    """No chain of imports leads back to where it began, those for types included."""
    ours = {name: path for name, path in modules().items() if path.name != "__init__.py"}
    graph = {name: imports(path) & set(ours) for name, path in ours.items()}
    assert list(TopologicalSorter(graph).static_order())  # it names the circle that it finds


def test_every_package_says_what_it_is() -> None:
    """Each package has one subject, which its docstring says in one line."""
    for name, path in modules().items():
        if path.name == "__init__.py":
            doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            assert doc, f"{name} has no docstring"


def test_one_name_is_one_thing() -> None:
    """No two classes bear one name, in whatever modules they are; `_Side` is as good as `Side`."""
    found: dict[str, list[str]] = {}
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name.lstrip("_"), []).append(f"{name}.{node.name}")
    assert [each for each in found.values() if len(each) > 1] == []


def test_the_leaves_do_not_know_each_other() -> None:
    """`frontends/` and `engines/` import nothing of ours but themselves."""
    for each in ("rtfbench.engines", "rtfbench.frontends"):
        assert room_imports()[each] == set()


def test_front_end_meets_engines_in_one_place() -> None:
    """Features are handed to a session in `rtfbench.embed.pipeline` alone."""
    both = {
        name
        for name, path in modules().items()
        if imports(path)
        & {"rtfbench.frontends.fbank.Fbank", "rtfbench.frontends.front_end.Features"}
        and any(i.startswith("rtfbench.engines.") for i in imports(path))
    }
    assert both == {"rtfbench.embed.pipeline"}


def test_torch_stays_with_the_zoo() -> None:
    """Torch is imported by the zoo, by its engine, and by what starts from a torch module."""
    for name, path in modules().items():
        if any(i.partition(".")[0] == "torch" for i in imports(path)):
            assert name.startswith("rtfbench.models.zoo") or name in STARTS_FROM_TORCH, name


def test_runtimes_are_imported_when_first_used() -> None:
    """Importing an engine's module loads no runtime."""
    runtimes = {"onnxruntime", "MNN", "_tools", "torch", "openvino", "ncnn", "pnnx", "tract"}
    runtimes |= {"iree", "sherpa_onnx", "ai_edge_litert", "litert_torch", "executorch"}
    for name, path in modules().items():
        if name.startswith("rtfbench.engines"):
            tops = {i.partition(".")[0] for i in imports(path, at_import_time=True)}
            assert not tops & runtimes, name


def test_reports_are_pure() -> None:
    """Reports import no runtime, no numpy and nothing that runs a process."""
    for name, path in modules().items():
        if name.startswith("rtfbench.report"):
            tops = {i.partition(".")[0] for i in imports(path)}
            assert not tops & {"numpy", "torch", "subprocess", "onnxruntime", "MNN"}, name


def test_help_is_light() -> None:
    """`rtfbench --help` loads neither numpy nor torch, scipy or any engine."""
    heavy = ["numpy", "torch", "scipy", "onnxruntime", "MNN", "matplotlib", "jinja2"]
    code = (
        "import sys\n"
        "from rtfbench.commands import app\n"
        "try:\n    app(['run', '--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", ["rtfbench.extract.local", "rtfbench.extract.worker"])
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
        "import sys, rtfbench.commands, rtfbench.extract.local, rtfbench.extract.options\n"
        "import rtfbench.extract.worker\n"
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
