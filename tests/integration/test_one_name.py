"""Installed, the project is one package: a user's modules may have any other name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtfbench.base.packages import ROOT

TEST = """
import bench, engines, frontends
import rtfbench

def test_theirs_and_ours(rtfbench_gate):
    assert (bench.MINE, engines.MINE, frontends.MINE) == (1, 2, 3)
    with rtfbench.Embedder("{model}") as embedder:
        assert embedder.embed("{wav}").shape == (16,)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the wheel is installed, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    # A copy, for setuptools leaves files of its own beside what it builds.
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if files.returncode != 0:
        pytest.skip("no git checkout")
    for name in files.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("reports/", "tests/")):
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).symlink_to(ROOT / name)
    subprocess.run([*build, str(folder / "source")], check=True, capture_output=True, timeout=200)
    (wheel,) = folder.glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*install, "--target", str(folder / "site"), str(wheel)], check=True, timeout=200
    )
    return folder / "site"


def test_a_project_with_modules_of_our_folders_names(
    site: Path, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """`bench.py`, `engines.py` and `frontends/` of a user's own are imported, and ours works."""
    assert [each.name for each in site.iterdir() if each.suffix != ".dist-info"] in (
        ["bin", "rtfbench"],
        ["rtfbench", "bin"],
    )
    (tmp_path / "bench.py").write_text("MINE = 1\n")
    (tmp_path / "engines.py").write_text("MINE = 2\n")
    (tmp_path / "frontends").mkdir()
    (tmp_path / "frontends" / "__init__.py").write_text("MINE = 3\n")
    (tmp_path / "test_mine.py").write_text(TEST.format(model=model, wav=short_speech))
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_mine.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
