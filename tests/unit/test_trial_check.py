"""What a run's trials make of its rows."""

from pathlib import Path

from rtfbench.measure.trial_check import with_eer
from rtfbench.results.store import SUMMARY, TRIALS, RunFolder
from tests.unit.report.results import row, summary

SPEEDS = {
    "rtf_copy": 0.001,
    "rtf_pooling": 0.001,
    "chunk_ms_p90": 41.0,
    "chunk_ms_p99": 42.0,
    "speedup": 1.9,
    "efficiency": 0.95,
    "gflops": 100.0,
    "peak_share": 0.4,
    "utterances_per_s": 12.0,
    "utterance_ms_p95": 300.0,
}
#: Those of every plausible row.
USUAL = (
    *("rtf", "rtf_ci95", "rtf_padded", "rtf_frontend", "rtf_engine", "load_ms"),
    *("first_chunk_ms", "chunk_ms", "cpu_per_wall"),
)


def test_a_row_that_loses_too_much_shows_no_speed(tmp_path: Path) -> None:
    """Nothing tells how fast a wrong output came, of a queue neither; its loss stays."""
    loss = (0.05, 0.04, 0.06)
    measured = row(protocol="throughput", precision="int8", eer=0.1, **SPEEDS)
    stored = summary(measured.model_copy(update={"eer_loss": loss}))
    (tmp_path / SUMMARY).write_text(stored.model_dump_json(by_alias=True))
    (tmp_path / TRIALS).write_text("a b target\na c nontarget\n")
    (judged,) = with_eer(summary(measured), ["cell"], RunFolder(tmp_path)).cells
    assert judged.status == "wrong_output"
    assert judged.eer_loss == loss
    left = {name for name in (*USUAL, *SPEEDS) if getattr(judged, name) is not None}
    assert left == set()
