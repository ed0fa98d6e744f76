"""`rtfbench bisect` on a runtime whose versions are made here, one of them slower."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.commands import bisect
from tests.conftest import PLUGINS

from .extraction import Command

#: The newer version takes four times as long, which a busy machine tells too.
SLOWED = {"1.0": 0.0, "1.1": 3.0}


def write_wheel(folder: Path, version: str, share: float) -> None:
    """Write the engine's package in one version."""
    told = f"slowed-{version}.dist-info"
    files = {
        "slowed_engine.py": Path(PLUGINS, "slowed_engine.py").read_text(),
        "slowed_version.py": f"VERSION, SHARE = {version!r}, {share}\n",
        f"{told}/METADATA": f"Metadata-Version: 2.1\nName: slowed\nVersion: {version}\n",
        f"{told}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{told}/entry_points.txt": "[rtfbench.engines]\nslowed = slowed_engine:SlowedEngine\n",
    }
    files[f"{told}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{told}/RECORD"])
    with zipfile.ZipFile(folder / f"slowed-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


@pytest.mark.measures
def test_a_planted_version_is_found(
    rtfbench: Command,
    write_tiny_onnx: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The versions come from pip's index; the slow one is named, explained and cut out."""
    for version, share in SLOWED.items():
        write_wheel(tmp_path, version, share)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr(bisect, "EXPLAINED_S", 0.5)
    model = write_tiny_onnx(tmp_path / "tiny.onnx")
    repro = tmp_path / "repro"
    done = rtfbench(
        *("bisect", "slowed", "1.0..1.1", "--model", model, "--budget", 30),
        *("--save-repro", repro),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("1.1 against 1.0: regression (RTF ")
    assert "1.1 is the first that is slower or wrong; 1.0 is the last good one" in done.stdout
    assert "slowed@1.0" in done.stdout, "it is explained"
    script = (repro / "reproduce.py").read_text()
    assert script.startswith('"""slowed==1.1: operator.onnx takes longer than in slowed==1.0')
    assert (repro / "operator.onnx").is_file()
