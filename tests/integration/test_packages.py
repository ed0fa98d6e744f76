"""The wheel and the source archive, built, installed and used by someone who has no checkout."""

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.base.cache import CACHE_VARIABLE

pytestmark = pytest.mark.deep

ROOT = Path(__file__).parents[2]
FOLDERS = {"bench": "rtfbench", "engines": "rtfbench/engines", "frontends": "rtfbench/frontends"}
Installed = Callable[..., "subprocess.CompletedProcess[str]"]


def checked_out() -> set[str]:
    """Return the files that git knows and that are there."""
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("no git checkout")
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the source archive, and the wheel from that; return both, archive first."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (archive,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return archive, wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel with onnxruntime alone; return how a command of it is run elsewhere."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    pip = [str(programs / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run(
        [*pip, "--constraint", str(ROOT / "constraints.txt"), f"{built[1]}[onnxruntime]"],
        check=True,
        capture_output=True,
        timeout=500,
    )
    ours = {"PYTHONPATH", CACHE_VARIABLE}
    environment = {name: value for name, value in os.environ.items() if name not in ours}

    def run(
        program: str, *arguments: object, status: tuple[int, ...] = (0,)
    ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [programs / program, *map(str, arguments)],
            cwd=folder,
            env={**environment, CACHE_VARIABLE: str(folder / "cache")},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode in status, done.stdout + done.stderr
        return done

    return run


def test_the_source_archive_is_the_checkout(built: tuple[Path, Path]) -> None:
    """Whatever git knows is in it, so that it can be tested and built."""
    with tarfile.open(built[0]) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    assert checked_out() - there == set()


def test_the_wheel_has_every_file_of_the_packages(built: tuple[Path, Path]) -> None:
    """Sweeps, claims, weights, speech, templates and native sources are in it, and no tests."""
    with zipfile.ZipFile(built[1]) as wheel:
        there = set(wheel.namelist())
    ours = set()
    for name in checked_out():
        folder, _, rest = name.partition("/")
        if folder in FOLDERS:
            ours.add(f"{FOLDERS[folder]}/{rest}")
    assert ours - there == set()
    assert {name.split("/")[0] for name in there if ".dist-info/" not in name} == {"rtfbench"}


def test_the_registrys_page_has_no_broken_link(built: tuple[Path, Path]) -> None:
    """README is the wheel's description, and what leads nowhere from there is no link."""
    with zipfile.ZipFile(built[1]) as wheel:
        (name,) = (each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
        metadata = wheel.read(name).decode()
    assert "Description-Content-Type: text/markdown" in metadata
    assert "# rtfbench\n" in metadata
    links = re.findall(r"\]\(([^)\s]+)\)", metadata)
    assert [link for link in links if "://" not in link] == []


def test_ready_files_need_onnxruntime_alone(
    installed: Installed, write_tiny_onnx: Callable[..., Path], short_speech: Path, tmp_path: Path
) -> None:
    """Without torch and from another folder, a ready file is run, embedded and compared."""
    assert (
        "No module named 'torch'" in installed("python", "-c", "import torch", status=(1,)).stderr
    )
    model = write_tiny_onnx(tmp_path / "tiny.onnx")
    options = ("--budget", 1, "--sessions", 1, "--protocol", "steady", "--out", tmp_path / "run")
    ran = installed("rtfbench", "run", "--model", model, "--engine", "onnxruntime", *options)
    assert "| tiny.onnx |" in ran.stdout
    result = tmp_path / "embedding.txt"
    installed("rtfbench", "extract", "--wav", short_speech, "--model", model, "--result", result)
    assert len(result.read_text().split()) == 1 + 16
    twins = f"onnxruntime:{model}"
    # Whether twins pass depends on the machine's calm: what matters here is that both were run.
    compared = installed("rtfbench", "compare", twins, twins, "--budget", 5, status=(0, 3))
    assert "| RTF " in compared.stdout


def test_the_type_hints_are_found(installed: Installed) -> None:
    """Type checkers take the hints of every package."""
    code = (
        "from importlib.resources import files; print(files({!r}).joinpath('py.typed').is_file())"
    )
    for package in ("rtfbench", "rtfbench.engines", "rtfbench.frontends"):
        assert installed("python", "-c", code.format(package)).stdout.split() == ["True"]
