"""Wrong embeddings in words: what a reader must not miss, one sentence a defect."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bench.records import CellSummary, Summary
from engines.protocol import Form


@dataclass(frozen=True)
class _Kind:
    """Cells of one kind fail for one reason."""

    model: str
    library: str
    form: Form


#: What is known of the cause.
_CAUSES: Mapping[_Kind, str] = MappingProxyType(
    {
        _Kind("campplus", "mnn", "static"): "MNN's static conversion spoils pooling over one "
        "dimension (reports/mnn-static-pooling.md)",
    }
)


def defect_sentences(summary: Summary) -> list[str]:
    """Return one sentence for every model, engine and form whose embeddings are wrong."""
    found: dict[tuple[str, str, Form], list[CellSummary]] = {}
    for row in summary.cells:
        if row.status == "wrong_output":
            found.setdefault((row.title, row.engine_label, row.form), []).append(row)
    return [_sentence(rows) for rows in found.values()]


def _sentence(rows: list[CellSummary]) -> str:
    first = rows[0]
    sentence = f"{first.title} on {first.engine_label} ({first.form}) gives wrong embeddings"
    errors = [row.parity.max_rel_err for row in rows if row.parity is not None]
    if errors:
        sentence += f", off by {_share(max(errors))} of the largest value"
    cause = _CAUSES.get(_Kind(first.model, _library(first.engine), first.form))
    return f"{sentence}: {cause}." if cause else f"{sentence}; the cause is not known."


def _share(error: float) -> str:
    return f"{error:.1%}" if error < 10 else f"{error:.1e} times"


def _library(engine: str) -> str:
    """Return the library behind an engine: the minimal one is cut from the full one."""
    return "mnn" if engine in _MNN_ENGINES else engine


_MNN_ENGINES = frozenset({"mnn", "mnn-mini"})
