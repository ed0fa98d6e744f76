"""Stand-ins for machines that are not here."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests import other_cpus


def test_compilers_by_any_name_are_hidden_and_nothing_else() -> None:
    """Versions and targets in a name hide no compiler; `accc` and `gcc-ar` compile nothing."""
    hidden = ("cc", "c++", "gcc", "g++-12", "clang-19", "clang++", "x86_64-linux-gnu-gcc-12")
    assert all(re.fullmatch(other_cpus.COMPILERS, name) for name in hidden)
    kept = ("accc", "gcc-ar", "clang-format", "git", "lscpu")
    assert not any(re.fullmatch(other_cpus.COMPILERS, name) for name in kept)


def test_only_what_a_pattern_names_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two programs of a name is linked, as a shell would find it."""
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        for name in ("gcc", "lscpu"):
            (tmp_path / folder / name).touch()
    (tmp_path / "links").mkdir()
    path = os.pathsep.join(str(tmp_path / each) for each in ("first", "none", "second"))
    monkeypatch.setenv("PATH", path)
    other_cpus.link_programs(tmp_path / "links", other_cpus.COMPILERS)
    (link,) = (tmp_path / "links").iterdir()
    assert link.readlink() == tmp_path / "first" / "lscpu"


def test_a_missing_program_is_a_refusal() -> None:
    """A variant that needs what is not installed says so."""
    variant = replace(other_cpus.variants()[0], prefix=("no-such-program",))
    assert other_cpus.refusal(variant) == "no-such-program is not installed"


def test_another_user_finds_what_is_needed_of_a_closed_folder(tmp_path: Path) -> None:
    """It stands at its old place, and nothing else of the folder does; the folder stays closed."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("a mount namespace needs CAP_SYS_ADMIN")
    for name in ("needed it", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    tmp_path.chmod(0o700)
    needed = tmp_path / "needed it"
    read = 'id -u; cat "$1/file"; ls "${1%/*}"'
    command = [*other_cpus.as_nobody(needed), "sh", "-c", read, "sh", str(needed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{other_cpus.NOBODY}\nneeded it" + "needed it\n"
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert other_cpus.as_nobody("/usr")[0] == "setpriv"


@pytest.mark.parametrize("level", other_cpus.LEVELS)
def test_numpy_takes_its_switch(level: str) -> None:
    """It starts without a warning, and computes with nothing above the level."""
    script = (
        "from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__\n"
        "print(*(name for name in __cpu_dispatch__ if __cpu_features__[name]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, **other_cpus.switches(level)},
        capture_output=True,
        text=True,
        check=True,
    )
    kept = other_cpus.NUMPY_AVX2 if level == "avx2" else set()
    assert set(done.stdout.split()) <= kept


def test_a_failing_variant_fails_the_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each variant has a line with its counts; the status tells whether one failed."""
    # Without workers, which the tests below have.
    monkeypatch.setattr(other_cpus, "core_count", lambda: 0)
    path = tmp_path / "test_it.py"
    path.write_text("def test_good():\n    pass\n")
    assert other_cpus.main(["--only", "no-lscpu", str(path)]) == 0
    assert capsys.readouterr().out.startswith("no-lscpu: 1 passed, ")
    path.write_text("def test_good():\n    pass\ndef test_bad():\n    assert False\n")
    assert other_cpus.main(["--only", "no-lscpu", str(path)]) == 1
    assert "\nno-lscpu: 1 failed, 1 passed, " in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_tests_and_what_they_started(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Neither pytest nor a process that a test started outlives the call."""
    path, told = tmp_path / "test_it.py", tmp_path / "pid"
    path.write_text(
        "import pathlib, subprocess\n"
        "def test_long():\n"
        "    child = subprocess.Popen(['sleep', '60'])\n"
        f"    pathlib.Path({str(told)!r}).write_text(f'{{child.pid}} ')\n"
        "    child.wait()\n"
    )
    call = subprocess.Popen(
        [sys.executable, "-m", "tests.other_cpus", "--only", "no-lscpu", str(path)],
        cwd=other_cpus.ROOT,
    )
    deadline = time.monotonic() + 60
    while not (told.exists() and told.read_text().endswith(" ")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    call.send_signal(number)
    assert call.wait(60) == 130
    left = Path("/proc") / told.read_text().strip() / "cmdline"
    assert not left.exists() or not left.read_bytes(), "still there, and no zombie"
