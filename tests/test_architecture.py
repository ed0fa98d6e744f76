"""The floors of the house: imports run downward only, read from the source itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("bench", "engines", "frontends")

# Each floor may import from the floors above it in this list (that is: below it in the house) and
# from its own. A module is on the floor with the longest matching name.
FLOORS: list[list[str]] = [
    ["frontends", "engines"],
    ["bench", "bench.base"],
    ["bench.results"],
    ["bench.machine"],
    ["bench.plan"],
    ["bench.embed"],
    ["bench.plan"],
    ["bench.zoo"],
    ["bench.models"],
    ["bench.measure"],
    ["bench.report", "bench.claims"],
    ["bench.gate"],
    ["bench.report.gate"],
    ["bench.extract", "bench.validation"],
    ["bench.commands"],
    ["bench.cli", "bench.pytest_plugin", "bench.worker"],
]
FLOOR_OF = {name: level for level, names in enumerate(FLOORS) for name in names}


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


def floor(name: str) -> int:
    """Return the floor of a module by its longest listed prefix."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in FLOOR_OF and (length > 1 or name in PACKAGES or parts[0] != "bench"):
            return FLOOR_OF[prefix]
    raise AssertionError(f"{name} is on no floor: add it to FLOORS")


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_run_downward(name: str) -> None:
    """No module imports from a floor above its own."""
    ours = modules()
    for target in imports(ours[name]) & set(ours):
        assert floor(target) <= floor(name), f"{name} imports {target}, which is above it"


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
    """Torch is imported by the zoo and by the process that prepares models, nowhere else."""
    for name, path in modules().items():
        if any(i.partition(".")[0] == "torch" for i in imports(path)):
            assert name.startswith("bench.zoo") or name == "bench.models.prepare", name


def test_runtimes_are_imported_when_first_used() -> None:
    """Importing an engine's module loads no runtime."""
    runtimes = {"onnxruntime", "MNN", "_tools", "torch"}
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


@pytest.mark.parametrize("name", sorted(modules()))
def test_modules_are_small(name: str) -> None:
    """A module has one subject: no module is longer than 400 lines."""
    assert len(modules()[name].read_text(encoding="utf-8").splitlines()) <= 400
