"""The server protocol through the command line, on real processes."""

from pathlib import Path

import pytest

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.report import markdown
from rtfbench.report.run_document import of_run
from rtfbench.results.rows import CellSummary, Summary
from rtfbench.results.server import LATE, MOST_LATE, lateness
from rtfbench.results.store import RunFolder
from rtfbench.results.summary import summarize
from tests.conftest import Command


def punctual(run: Path) -> Summary:
    """Return what a run tells where nothing kept its harness from being in time.

    Beside other tests, or a neighbour, it is late against the milliseconds of a tiny model.
    """
    folder = RunFolder(run)
    cells = list(folder.cells().values())
    for data in cells:
        data.records[:] = [
            each.model_copy(update={"own": each.own | {LATE: (0,) * len(each.own[LATE])}})
            for each in data.records
        ]
    return summarize(folder.environment(), cells)


def told(run: Path, status: int) -> bool:
    """Say whether a run ended as it should: failed where its harness was late, and only there.

    A row is that of its cell: the ghost beside it may have been late alone.
    """
    cells = RunFolder(run).originals().values()
    return status == any(lateness(data.records) > MOST_LATE for data in cells)


@pytest.fixture(scope="module")
def run(
    rtfbench: Command,
    model: Path,
    short_speech: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Measure one engine at two rates, one that it serves and one that it cannot."""
    folder = tmp_path_factory.mktemp("server")
    done = rtfbench(
        *("run", "--model", model, "--engine", "onnxruntime", "--audio", short_speech),
        *("--protocol", "server", "--rate", 60, "--rate", 5000, "--jobs", 1),
        *("--budget", 2, "--sessions", 1, "--out", folder / "run", "--bare"),
    )
    assert told(folder / "run", done.returncode), done.stderr
    return folder / "run"


def test_latency_counts_from_when_a_request_was_due(run: Path) -> None:
    """What every request took is its wait and its service; the harness saw none early."""
    for data in RunFolder(run).originals().values():
        for record in data.records:
            own = record.own
            assert len(record.queued) == len(record.utterance_ns) == len(own["due_ns"]) >= 60
            assert all(
                0 <= late <= wait < latency
                for late, wait, latency in zip(
                    own["late_ns"], own["waiting_ns"], record.utterance_ns, strict=True
                )
            )
            assert record.processing_ns <= own["wall_ns"][0]


def test_more_than_is_served_is_said(run: Path) -> None:
    """At a rate beyond what it serves, its processes never rest and latencies grow: a sentence."""
    summary = punctual(run)
    rows = {row.rate_per_s: row for row in summary.cells}
    assert rows[60].parity is not None
    assert rows[60].parity.ok
    waits = {rate: row.figure("waiting_ms") or 0.0 for rate, row in rows.items()}
    assert waits[5000] > 5 * waits[60]
    text = markdown.draw(of_run(summary))
    assert "5000 requests/s, 1 thread: more requests arrive than are served" in text
    assert "60 requests/s" in text


def test_a_queue_is_verified(rtfbench: Command, run: Path) -> None:
    """A run whose records are passes over requests is checked as any other."""
    done = rtfbench("check", run)
    assert (done.returncode, done.stdout) == (0, f"{run}: verified\n")


def test_whoever_finds_no_place_ends_no_other_row(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Where some are rejected, the run is as honest as any; a row where all are does not end it."""
    run = tmp_path / "run"
    done = rtfbench(
        *("run", "--model", model, "--engine", "onnxruntime", "--audio", short_speech),
        *("--protocol", "server", "--rate", 400, "--rate", 1e6, "--jobs", 1, "--places", 0),
        *("--budget", 1, "--sessions", 1, "--out", run, "--bare"),
    )
    cells = {data.cell.load.rate_per_s: data for data in RunFolder(run).originals().values()
             if data.cell.load is not None}  # fmt: skip
    assert any(record.own["rejected"] for record in cells[400].records)
    assert "Traceback" not in done.stderr
    assert cells[1e6].outcome is not None
    assert rtfbench("check", run).stdout == f"{run}: verified\n"


def test_a_rate_is_asked_for(rtfbench: Command, tmp_path: Path) -> None:
    """Without one nothing arrives: refused in one line that names the option."""
    done = rtfbench("run", "--protocol", "server", "--out", tmp_path / "run")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "--rate" in line


@pytest.fixture(scope="module")
def live(
    rtfbench: Command,
    model: Path,
    short_speech: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Measure live streams on one engine, with a limit and few places."""
    folder = tmp_path_factory.mktemp("live")
    done = rtfbench(
        *("run", "--model", model, "--engine", "onnxruntime", "--audio", short_speech),
        *("--protocol", "multi-stream", "--streams", 4, "--window", 0.5, "--hop", 0.1),
        *("--latency-ms", 200, "--places", 50, "--jobs", 2),
        *("--budget", 0.1, "--sessions", 1, "--out", folder / "run", "--bare"),
    )
    assert told(folder / "run", done.returncode), done.stderr
    return folder / "run"


def test_live_streams_know_what_they_heard(rtfbench: Command, live: Path) -> None:
    """Features of what overlaps are computed once, and the embeddings are the reference's."""
    summary = punctual(live)
    (row,) = summary.cells
    assert row.parity is not None
    assert row.parity.ok
    assert row.chunk_samples == 8000
    # Of a window's 48 frames, 38 are those of the window before, if its process had that.
    assert 0.2 < (row.figure("known_share") or 0.0) <= 38 / 48
    assert row.figure("late_share") is not None
    (record, *_) = next(iter(RunFolder(live).originals().values())).records
    due_ns = record.own["due_ns"]
    assert len(due_ns) == len(record.utterance_ns) == 60
    assert due_ns[4] - due_ns[0] == pytest.approx(1e8, abs=2)
    assert "4 live streams of 0.5 s every 0.1 s" in markdown.draw(of_run(summary))
    assert rtfbench("check", live).returncode == 0


def measured(
    rtfbench: Command, out: Path, *asked: object
) -> dict[tuple[str, str, float], CellSummary]:
    """Run XVEC on a recording of a second: engine, protocol and rate -> row."""
    speech = DEFAULT_SPEECH / "short_en_us.flac"
    done = rtfbench(
        *("run", "--model", "xvec", "--audio", speech, "--jobs", 1, "--out", out, "--bare"), *asked
    )
    assert done.returncode == 0, done.stderr
    folder = RunFolder(out)
    rows = summarize(folder.environment(), list(folder.cells().values())).cells
    return {(row.engine, row.protocol, row.rate_per_s): row for row in rows}


@pytest.mark.speed
@pytest.mark.measures
def test_a_hiccup_is_in_the_tail(rtfbench: Command, tmp_path: Path) -> None:
    """One request in fifty that takes ten times as long moves p99, and not p50."""
    rows = measured(
        rtfbench,
        tmp_path / "run",
        *("--engine", "onnxruntime", "--engine", "faulty-hiccup"),
        *("--protocol", "server", "--rate", 20, "--sessions", 2, "--budget", 90),
    )
    plain, now_and_then = (
        [rows[engine, "server", 20.0].figure(f"latency_ms_p{share}") or 0.0 for share in (50, 99)]
        for engine in ("onnxruntime", "faulty-hiccup")
    )
    assert now_and_then[0] < 1.1 * plain[0]
    assert now_and_then[1] > 2 * plain[1] > 0
