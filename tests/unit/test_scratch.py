"""Temporary folders: whose owner is gone goes, whose owner lives stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rtfbench.base import scratch
from rtfbench.base.errors import InputError
from rtfbench.base.scratch import held_folder

HOLD = (
    "import sys, time; from pathlib import Path; from rtfbench.base.scratch import held_folder\n"
    "with held_folder(Path(sys.argv[1])) as folder:\n"
    "    (folder / 'file').write_text('x'); print(folder, flush=True); time.sleep(60)"
)


def test_the_folder_of_a_killed_process_is_deleted(tmp_path: Path) -> None:
    """Whoever makes the next one in the same place does it; until then it stays."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        with held_folder(tmp_path) as ours:
            assert {ours, theirs} == set(tmp_path.iterdir())
        assert (theirs / "file").is_file()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert theirs.exists()
        with held_folder(tmp_path) as ours:
            assert {ours} == set(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_it_goes_after_an_error(tmp_path: Path) -> None:
    """Whatever ends the block."""
    with pytest.raises(KeyError), held_folder(tmp_path):
        raise KeyError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("whose", ["anybody's", "a link", "a file"])
def test_a_place_of_others_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """Others could replace what lies there."""
    monkeypatch.setattr(scratch, "gettempdir", lambda: str(tmp_path))
    place = tmp_path / f"rtfbench-{os.getuid()}"
    if whose == "a link":
        (tmp_path / "theirs").mkdir()
        place.symlink_to(tmp_path / "theirs")
    elif whose == "a file":
        place.touch()
    else:
        place.mkdir()
        place.chmod(0o777)
    with pytest.raises((InputError, FileExistsError), match=place.name):
        scratch.user_folder()
