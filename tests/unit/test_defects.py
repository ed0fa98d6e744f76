"""Wrong embeddings are put into words."""

from bench.records import (
    Cell,
    CellSummary,
    Declaration,
    Environment,
    Outcome,
    Parity,
    Status,
    Summary,
)
from bench.report.defects import defect_sentences
from bench.store import CellData
from bench.summary import summarize_cell
from engines.protocol import Form


def row(
    model: str, engine: str, form: Form, status: Status, error: float, protocol: str = "steady"
) -> CellSummary:
    """Return the row of a cell that ended like this."""
    cell = Cell.model_validate(
        {
            "model": model,
            "engine": engine,
            "form": form,
            "threads": 1,
            "chunk_samples": 32000,
            "protocol": protocol,
        }
    )
    parity = Parity(cosine=0, max_rel_err=error, ok=status == "ok")
    return summarize_cell(
        CellData(
            Declaration(cell_id="x", cell=cell, title=model.upper()),
            outcome=Outcome(cell_id="x", status=status, parity=parity),
        )
    )


def summary(*rows: CellSummary) -> Summary:
    """Return a result of these rows."""
    host = Environment(
        rtfbench="0",
        started_utc="",
        cpu="",
        cores=1,
        usable_cores=1,
        memory_bytes=1,
        os="",
        python="",
        packages={},
        load_average_1min=0,
    )
    return Summary(schema=1, environment=host, cells=rows)


def test_each_defect_is_one_sentence() -> None:
    """Protocols share a sentence, with the larger error; a known cause is named."""
    found = defect_sentences(
        summary(
            row("campplus", "mnn-mini", "static", "wrong_output", 0.25),
            row("campplus", "mnn-mini", "static", "wrong_output", 0.5, "published"),
            row("campplus", "mnn", "dynamic", "ok", 1e-6),
            row("xvec", "onnxruntime", "dynamic", "wrong_output", 0.002),
            row("xvec", "mnn", "dynamic", "failed", 1),
        )
    )
    assert found == [
        "CAMPPLUS on mnn-mini (static) gives wrong embeddings, off by 50.0% of the largest value: "
        "MNN's static conversion spoils pooling over one dimension "
        "(reports/mnn-static-pooling.md).",
        "XVEC on onnxruntime (dynamic) gives wrong embeddings, off by 0.2% of the largest value; "
        "the cause is not known.",
    ]


def test_without_defects_there_is_nothing_to_say() -> None:
    """A result without wrong outputs gives no sentence."""
    assert defect_sentences(summary(row("xvec", "mnn", "dynamic", "ok", 1e-6))) == []
