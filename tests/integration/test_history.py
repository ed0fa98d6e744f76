"""`rtfbench history` from the command line: real short runs, planted changes and damage."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench import load_run
from rtfbench.base.packages import cure, missing
from rtfbench.measure.machine.environment import commit
from rtfbench.measure.whole_run import stored_below
from tests.unit.report.test_history import ZEN4, changed_on_the_ninth, run

pytestmark = pytest.mark.skipif(missing("ruptures"), reason=cure("ruptures"))
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Return a folder of seventeen runs on two hosts."""
    runs = [*changed_on_the_ninth(version="3.6.1"), run(17, 0.9, ZEN4)]
    for number, each in enumerate(runs):
        folder = tmp_path / "stored" / f"{number:02}"
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(each.summary.model_dump_json(by_alias=True))
    return tmp_path / "stored"


def steady_ratio(folder: Path) -> float:
    """Return a run's ratio of mnn's times with its usual chunks and one thread."""
    (found,) = (
        ratio.ratio
        for ratio in load_run(folder).summary.ratios
        if (ratio.protocol, ratio.chunk_samples, ratio.threads) == ("steady", 32000, 1)
        and ratio.engine == "mnn"
    )
    return found


def test_real_runs_are_shown(
    rtfbench: Command, short_speech: Path, six_sessions: Path, tmp_path: Path
) -> None:
    """Two short runs of one model, read from their folders: too few to say more than that."""
    shutil.copytree(six_sessions, tmp_path / "runs" / "monday")
    tuesday = tmp_path / "runs" / "tuesday"
    again = rtfbench(
        *("run", "--model", "xvec", "--engine", "onnxruntime", "--engine", "mnn"),
        *("--protocol", "steady", "--audio", short_speech, "--budget", 0.1, "--sessions", 1),
        *("--out", tuesday, "--bare"),
    )
    assert again.returncode == 0, again.stderr
    done = rtfbench("history", tmp_path / "runs", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "no change was looked for: no ratio has 6 runs" in done.stdout
    (host,) = json.loads((tmp_path / "out" / "history.json").read_text())["hosts"]
    (points,) = (each["points"] for each in host["series"] if len(each["points"]) == 2)
    assert {point["ratio"] for point in points} == {
        steady_ratio(six_sessions),
        steady_ratio(tuesday),
    }
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "monday" in page
    assert "<svg" in page


def test_damage_costs_one_run(rtfbench: Command, stored: Path, tmp_path: Path) -> None:
    """It is one line and status 2; every other run is shown, and the page says what is missing."""
    (stored / "03" / "summary.json").write_text('{"schema": 1, ')
    out = tmp_path / "out"
    done = rtfbench("history", stored, tmp_path / "nothing", "--out", out)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith(f"rtfbench: {stored}/03/summary.json: damaged")
    assert second == (
        f"rtfbench: {tmp_path}/nothing: no summary.json here or below; name folders of runs"
    )
    content = json.loads((out / "history.json").read_text())
    assert [len(host["runs"]) for host in content["hosts"]] == [15, 1]
    (change,) = content["hosts"][0]["series"][0]["changes"]
    assert change["factor"] == pytest.approx(1.1, abs=0.005)
    assert change["changed"] == ["MNN 3.6.0 → 3.6.1"]
    for name in ("index.html", "history.md"):
        assert "03/summary.json: damaged" in (out / name).read_text(encoding="utf-8")
    assert "1.099 times what it was" in done.stdout


def test_pictures_are_where_the_text_says(rtfbench: Command, stored: Path, tmp_path: Path) -> None:
    """The markdown's pictures are beside it."""
    done = rtfbench("history", stored, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "history.md").read_text(encoding="utf-8")
    (path,) = (line.split("](")[1].rstrip(")") for line in text.splitlines() if line[:2] == "![")
    assert (tmp_path / "out" / path).read_bytes().startswith(b"<?xml")


def test_overlapping_folders_are_read_once(stored: Path) -> None:
    """A folder and one within it, or the same under two names."""
    link = stored.parent / "link"
    link.symlink_to(stored, target_is_directory=True)
    found = stored_below([stored, stored / "01", link])
    assert (len(found.runs), found.errors) == (17, [])


def test_without_any_run_nothing_is_written(rtfbench: Command, tmp_path: Path) -> None:
    """One line says so."""
    done = rtfbench("history", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (f"rtfbench: {tmp_path}: no run here that can be shown")
    assert not (tmp_path / "out").exists()


def test_no_run_is_overwritten(rtfbench: Command, stored: Path) -> None:
    """Not through a link either."""
    out = stored.parent / "out"
    out.mkdir()
    (out / "history.json").symlink_to(stored / "00" / "summary.json")
    before = (stored / "00" / "summary.json").read_text()
    done = rtfbench("history", stored, "--out", out)
    assert done.returncode == 2
    assert "is the input" in done.stderr
    assert (stored / "00" / "summary.json").read_text() == before


def test_the_library_of_change_points_may_be_missing(
    rtfbench: Command, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs are shown all the same, and page and terminal say what was not looked for."""
    monkeypatch.setattr("rtfbench.commands.history.missing", lambda package: package == "ruptures")
    done = rtfbench("history", stored, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    cure = "Changes were not looked for: ruptures is not installed; install it with: pip install"
    assert cure in done.stdout
    content = json.loads((tmp_path / "out" / "history.json").read_text())
    assert content["hosts"][0]["series"][0]["state"] == "not looked for"


def test_a_run_tells_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the repository that it was started in, and whether files were changed."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() == ""
    Path("model").write_text("one")
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "."), (*author, "commit", "-qm", "A model")):
        subprocess.run(["git", *words], check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert commit() == done.stdout[:12]
    Path("model").write_text("another")
    assert commit() == f"{done.stdout[:12]}-dirty"
