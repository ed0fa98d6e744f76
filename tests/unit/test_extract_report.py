"""What an extraction tells where there is no terminal."""

import io
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rtfbench.extract import report as told
from rtfbench.extract.messages import Computed, Embedding, Took, Unusable
from rtfbench.extract.pool import Finished
from rtfbench.extract.report import Report, Tally, Verbosity
from rtfbench.inputs.find import Utterance

VALUES_D = np.ones(4, np.float32)


def finished(number: int, *, fails: bool = False) -> Finished:
    """Return an utterance of two seconds that took 20 ms, or could not be used."""
    utterance = Utterance(f"u{number}", Path("u.wav"))
    if fails:
        return Finished(utterance, Unusable(index=number, reason="u.wav: is empty"))
    took = Took(audio_ns=2_000_000_000, processing_ns=20_000_000)
    return Finished(utterance, Embedding.of(Computed(VALUES_D, took), number))


@pytest.mark.parametrize(
    ("wanted", "successes", "signs"),
    [(Verbosity(), 0, 30), (Verbosity(quiet=True), 0, 0), (Verbosity(verbose=True), 299, 0)],
)
def test_a_sign_of_life_every_ten_seconds(wanted: Verbosity, successes: int, signs: int) -> None:
    """Of 300 utterances, one a second, the failure is told at once, the rest as is wanted."""
    lines: list[str] = []
    now_s = 0.0
    report = Report(600, wanted, lines.append, clock=lambda: now_s)
    tally = Tally()
    for number in range(300):
        now_s += 1.0
        report.finished(finished(number, fails=number == 100), tally)
        if not wanted.quiet:
            report.life.look()
    failures = [line for line in lines if line.startswith("rtfbench: utterance u100: u.wav")]
    assert len(failures) == 1
    assert len([line for line in lines if ": RTF" in line]) == successes
    progress = [line for line in lines if " of 600 utterances" in line]
    assert len(progress) in (signs, signs - (signs > 0))
    if progress:
        assert progress[0] == (
            "10 s: 10 of 600 utterances, 1.00 a second, 2.00 x real time, about 10 min left"
        )
        assert ", 1 skipped, " in progress[-1]


def test_what_is_left_of_an_extraction_follows_its_pace() -> None:
    """Within a factor of 1.3 from the first tenth on, on a host that gets slower by half."""
    lines: list[str] = []
    now_s, ends_s, started_s = 0.0, [], 8.0
    report = Report(400, Verbosity(), lines.append, clock=lambda: now_s)
    report.life.look()
    now_s, tally = started_s, Tally()
    for number in range(400):
        now_s += 0.5 + 0.25 * number / 400
        report.finished(finished(number), tally)
        report.life.look()
        ends_s.append(now_s)
    told = [re.fullmatch(r"(\d+) s: .* about (\d+) (s|min) left", line) for line in lines]
    later = [each for each in told if each and int(each[1]) > ends_s[-1] / 10]
    assert len(later) > 20
    for each in later:
        left_s = int(each[2]) * (60 if each[3] == "min" else 1)
        rounded_s = 30.0 if each[3] == "min" else 1.0
        assert left_s / 1.3 - rounded_s <= ends_s[-1] - int(each[1]) <= left_s * 1.3 + rounded_s


class Terminal(io.StringIO):
    """What is written to it is shown."""

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True


def test_long_reading_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal by a line, on one by a bar; what is short, or with --quiet, by nothing.

    The first line is due at once here.
    """
    with told.while_reading("wav.scp"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(told, "EVERY_S", 0.0)
    monkeypatch.setattr(told, "QUIET_S", 0.0)
    with told.while_reading("wav.scp"):
        pass
    assert capsys.readouterr().err == "0 s: reading wav.scp\n"
    with told.while_reading("wav.scp", Verbosity(quiet=True)):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    deadline_s = time.monotonic() + 60
    with told.while_reading("[a] wav.scp"):
        while "reading [a] wav.scp" not in terminal.getvalue():
            assert time.monotonic() < deadline_s, terminal.getvalue()
            time.sleep(0.01)
