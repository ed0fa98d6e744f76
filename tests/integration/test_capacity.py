"""`rtfbench capacity` through the command line, on real processes."""

import json
from pathlib import Path

import pytest

from rtfbench.measure.open_loop import REQUESTS
from rtfbench.results.store import RunFolder
from tests.conftest import Command


def test_a_capacity_is_found(
    rtfbench: Command,
    model: Path,
    short_speech: Path,
    tmp_path: Path,
) -> None:
    """Engines take turns near their capacity, and the answer says what it rests on."""
    # Beside other tests, processes may take so long to start that three sessions take more.
    for budget_s in (15, 30, 60, 120):
        done = rtfbench(
            *("capacity", "--model", model, "--engine", "onnxruntime"),
            *("--engine", "onnxruntime[graph_optimization=basic]", "--audio", short_speech),
            *("--latency-ms", 400, "--slo", 0.95, "--jobs", 1, "--budget", budget_s),
            *("--seed", 1, "--out", tmp_path / "found", "--overwrite"),
        )
        if done.returncode != 3:
            break
    assert done.returncode == 0, done.stderr + done.stdout
    answer = json.loads((tmp_path / "found" / "capacity.json").read_text())
    first, second = answer["engines"]
    cells = RunFolder(tmp_path / "found").originals().values()
    for row in (first, second):
        low, high = row["interval"]
        assert low <= row["rate_per_s"] <= high
        # Processes serve no more than they can, and a tiny model little less.
        assert 0.3 < row["utilisation"] <= 1.1
        assert row["requests"] % REQUESTS == 0
    assert second["ratio_interval"][0] <= second["ratio"] <= second["ratio_interval"][1]
    assert first["ratio"] is None
    rates = {data.cell.rate_per_s for data in cells}
    assert len(rates) > 1, "the first session's rate, and one near the capacity"
    text = (tmp_path / "found" / "capacity.md").read_text()
    assert "95 of 100 requests within 400 ms" in text


def test_a_limit_that_nothing_keeps_is_told(
    rtfbench: Command,
    model: Path,
    short_speech: Path,
    tmp_path: Path,
) -> None:
    """Where serving alone takes longer, no rate is named, and the status is 1."""
    done = rtfbench(
        *("capacity", "--model", model, "--engine", "onnxruntime", "--audio", short_speech),
        *("--latency-ms", 0.01, "--slo", 0.9, "--jobs", 1, "--budget", 2),
        *("--out", tmp_path / "found"),
    )
    assert done.returncode == 1, done.stderr
    assert "no rate keeps the limit" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("capacity",), "--latency-ms"),
        (("capacity", "--latency-ms", 100, "--jobs", 100_000), "--jobs 100000 of --threads 1: "),
        (("capacity", "--latency-ms", 3_600_001), "3600000"),
        (("run", "--protocol", "server", "--rate", 1, "--latency-ms", 3_600_001), "3600000"),
    ],
)
def test_what_nobody_can_ask_for_is_refused(
    rtfbench: Command, tmp_path: Path, arguments: tuple[object, ...], told: str
) -> None:
    """No limit, one over an hour, or more processes than cores: a line that names the option."""
    done = rtfbench(*arguments, "--out", tmp_path / "found")
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
