"""What an extraction tells where there is no terminal."""

from pathlib import Path

import numpy as np
import pytest

from bench.extract.messages import Embedding, Unusable
from bench.extract.pool import Finished
from bench.extract.report import Report, Tally, Wanted
from frontends.find import Utterance

VALUES_D = np.ones(4, np.float32)


def finished(number: int, *, fails: bool = False) -> Finished:
    """Return an utterance of two seconds that took 20 ms, or could not be used."""
    utterance = Utterance(f"u{number}", Path("u.wav"))
    if fails:
        return Finished(utterance, Unusable(index=number, reason="u.wav: is empty"))
    ns = {"audio_ns": 2_000_000_000, "processing_ns": 20_000_000}
    return Finished(utterance, Embedding.of(VALUES_D, index=number, **ns))


@pytest.mark.parametrize(
    ("wanted", "successes", "minutes"),
    [(Wanted(), 0, 4), (Wanted(quiet=True), 0, 0), (Wanted(verbose=True), 299, 0)],
)
def test_a_line_a_minute(wanted: Wanted, successes: int, minutes: int) -> None:
    """Of 300 utterances, one a second, the failure is told at once, the rest as is wanted."""
    lines: list[str] = []
    seconds = iter(range(1000))
    report = Report(600, wanted, lines.append, clock=lambda: float(next(seconds)))
    tally = Tally()
    for number in range(300):
        report.finished(finished(number, fails=number == 100), tally)
    failures = [line for line in lines if line.startswith("rtfbench: utterance u100: u.wav")]
    assert len(failures) == 1
    assert len([line for line in lines if ": RTF" in line]) == successes
    progress = [line for line in lines if " of 600 utterances" in line]
    assert len(progress) in (minutes, minutes + (minutes > 0))
    if progress:
        assert progress[0] == (
            "60 of 600 utterances, 1.00 a second, 2.00 x real time, about 9 min left"
        )
        assert ", 1 skipped, " in progress[1]
