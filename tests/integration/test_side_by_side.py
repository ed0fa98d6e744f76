"""An extraction beside another command: what is told of both, and what ends it."""

import shlex
import sys
from math import nan
from pathlib import Path

import pytest

from rtfbench.extract.side_by_side import Run, main, rtf_told, table

from .extraction import MODEL, write_list

OPTIONS = [str(each) for each in MODEL]


@pytest.mark.parametrize(
    ("text", "rtf"),
    [
        ("I0101 extract.cc:120] RTF: 0.0213\nTotal RTF: 0.0457\n", 0.0457),
        ("a: RTF 0.02150 (3 s)\n22 utterances: RTF 0.02217 (1 s of", 0.02217),
        ("RTF = 1.5e-02", 0.015),
        ("no such figure 0.3", None),
    ],
)
def test_the_last_rtf_is_the_one(text: str, rtf: float | None) -> None:
    """Programs tell it of every recording, and of all at the end."""
    assert rtf_told(text) == rtf


def test_ratios_are_of_rounds() -> None:
    """A drift that is linear over a round falls on both; what no side tells has no ratio."""
    ours = [Run(1.0 + 0.1 * n, 2.0, 0.02) for n in (0, 3, 0, 3, 0, 3, 0, 3, 0, 3, 0, 3)]
    theirs = [Run(2.0 + 0.2 * n, 2.0, None) for n in (1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2)]
    lines = table(ours, theirs).splitlines()[2:]
    wall, cpu, rtf = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    assert float(wall[3].split()[0]) == pytest.approx(0.5, abs=0.01)
    assert cpu[3].startswith("1.000")
    assert rtf[1:] == ["0.0200", "-", "-"]
    assert str(nan) not in wall


def test_both_are_timed_and_their_embeddings_compared(
    recordings: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other command may write embeddings too, here those of twice the chunk size."""
    listed = str(write_list(tmp_path / "wav.scp", recordings[:3]))
    other = [sys.executable, "-m", "rtfbench.commands", "extract", *OPTIONS, "--wav-scp", listed]
    against = f"{shlex.join(other)} --samples-per-chunk 8000 --result {{result}} --overwrite"
    asked = ["--against", against, "--rounds", "1", "--", *OPTIONS, "--wav-scp", listed]
    assert main(asked) == 0
    told = capsys.readouterr()
    assert "| wall, s " in told.out
    assert "| RTF told |" in told.out
    assert "3 recordings in both results of 3 and 3: least cosine" in told.out
    assert "least cosine 1.0" not in told.out
    assert "round 1 of 1" in told.err


@pytest.mark.parametrize(
    ("against", "message"),
    [
        ("no-such-program --x", "no-such-program: cannot be started"),
        (
            f"{sys.executable} -c 'import sys; sys.exit(\"it broke\")'",
            "exit status 1; it said: it broke",
        ),
        ("''", "cannot be started"),
        ("'unclosed", "No closing quotation"),
    ],
)
def test_a_command_that_fails_is_told(
    recordings: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    against: str,
    message: str,
) -> None:
    """One line says which and why; the status is that of bad input."""
    listed = str(write_list(tmp_path / "wav.scp", recordings[:1]))
    assert main(["--against", against, "--", *OPTIONS, "--wav-scp", listed]) == 2
    assert message in capsys.readouterr().err
