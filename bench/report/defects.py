"""What is known of why an embedding is wrong: causes that this project found and wrote down."""

from bench.report.libraries import MINIMAL, PUBLISHED
from bench.results.rows import CellSummary

#: Model, form and the engines of one runtime -> cause.
CAUSES = {
    ("campplus", "static", ("mnn", MINIMAL, PUBLISHED)): "MNN's static conversion turns pooling "
    "over one axis into a copy of its input's beginning (reports/mnn-static-pooling.md)",
}


def cause(row: CellSummary) -> str | None:
    """Return why the embedding of a row is wrong, None where nobody has found out."""
    for (model, form, engines), text in CAUSES.items():
        if (row.model, row.form) == (model, form) and row.engine in engines:
            return text
    return None
