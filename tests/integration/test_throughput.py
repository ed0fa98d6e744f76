"""The throughput protocol: processes at work on one queue."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from rtfbench.base.core_count import core_count

from .extraction import Command

CORES = core_count()


def run(
    rtfbench: Command, out: Path, *arguments: object, model: object = "xvec", status: int = 0
) -> dict[str, Any]:
    """Measure a small model, and return the summary."""
    done = rtfbench("run", "--model", model, *arguments, "--out", out, "--bare")
    assert done.returncode == status, done.stderr
    found: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return found


@pytest.mark.measures  # beside others, two jobs get no two cores
@pytest.mark.skipif(CORES < 2, reason="two jobs need two cores")
def test_jobs_share_a_queue(rtfbench: Command, tmp_path: Path) -> None:
    """Every utterance is embedded, by as many processes as were asked for, and told a second."""
    arguments = ("--engine", "onnxruntime", "--protocol", "throughput", "--jobs", 2, "--batch", 4)
    found = run(rtfbench, tmp_path / "r", *arguments, "--budget", 2, "--sessions", 1)
    (row,) = found["cells"]
    assert (row["status"], row["jobs"], row["batch"]) == ("ok", 2, 4)
    assert row["utterances"] == len(found["environment"]["audio"])
    assert row["parity"]["ok"]
    assert 1 < row["cpu_per_wall"] <= 2.2
    lines = (tmp_path / "r" / "records.jsonl").read_text().split("\n")
    records = [json.loads(line) for line in lines if line]
    passes = [each for each in records if each["kind"] == "record"]
    assert all(len(each["queued"]) == len(each["utterance_ns"]) for each in passes)
    mean_s = sum(each["audio_ns"] for each in passes) / 1e9
    mean_s /= sum(len(each["queued"]) for each in passes)
    assert row["utterances_per_s"] == pytest.approx(1 / row["rtf"] / mean_s, rel=1e-6)
    # The wall's time is shorter than what all utterances took together.
    assert any(sum(each["utterance_ns"]) > each["processing_ns"] for each in passes)
    text = (tmp_path / "r" / "table.md").read_text()
    assert "jobs = 2 · batch = 4" in text
    assert "utterances/s" in text


@pytest.mark.parametrize(
    ("engine", "status", "reason"),
    [
        ("faulty-wrong", "wrong_output", "largest error"),
        ("faulty-first-only", "wrong_output", "largest error"),
        ("faulty-crash", "failed", "SIGSEGV"),
        ("mnn-mini", "unsupported", "a static model takes one chunk at a time"),
    ],
)
def test_a_fault_of_any_process_ends_the_row(
    rtfbench: Command, model: Path, tmp_path: Path, engine: str, status: str, reason: str
) -> None:
    """A wrong element of a batch, a death, a static model: a row with its reason, no time."""
    arguments = ("--engine", engine, "--protocol", "throughput", "--jobs", 1, "--batch", 2)
    limits = ("--budget", 0.1, "--sessions", 1)
    found = run(rtfbench, tmp_path / "r", *arguments, *limits, model=model, status=1)
    (row,) = found["cells"]
    assert (row["status"], row["rtf"]) == (status, None)
    assert reason in row["reason"]


@pytest.mark.measures
def test_on_one_core_it_is_the_steady_speed(rtfbench: Command, tmp_path: Path) -> None:
    """One job's seconds of audio a second are 1 / RTF of the steady protocol, within intervals.

    Protocols are measured one after the other, and a host may slow down in between: what two of
    three runs say counts. Where a neighbour leaves time for one session alone there is no interval
    and nothing is said, so the next run has twice as long.
    """
    arguments = ("--engine", "onnxruntime", "--protocol", "throughput", "--protocol", "steady")
    agree: list[bool] = []
    budget_s = 5
    for number in range(6):
        out = tmp_path / f"r{number}"
        found = run(rtfbench, out, *arguments, "--jobs", 1, "--budget", budget_s)
        rows = {row["protocol"]: row for row in found["cells"]}
        intervals = [rows[protocol]["rtf_ci95"] for protocol in ("throughput", "steady")]
        if None in intervals:
            budget_s *= 2
            continue
        half = [math.log(high / low) / 2 for low, high in intervals]
        difference = math.log(rows["throughput"]["rtf"] / rows["steady"]["rtf"])
        agree.append(abs(difference) < math.hypot(*half) + 0.01)
        if max(agree.count(True), agree.count(False)) == 2:
            break
    assert agree.count(True) == 2, agree
