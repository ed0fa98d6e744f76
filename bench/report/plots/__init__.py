"""Pictures of a result, as SVG and PNG.

Colours are Okabe and Ito's, which the colour-blind can tell apart, and each engine has its own
marker, so that a print in grey can be read too. The same summary gives the same bytes.
"""

from collections.abc import Iterator
from dataclasses import replace

from rtfbench.report import libraries
from rtfbench.report.plots import accuracy, explained, latency, models, scaling, time_parts
from rtfbench.report.plots.style import Picture
from rtfbench.results import protocols
from rtfbench.results.rows import Summary


def draw(summary: Summary) -> Iterator[Picture]:
    """Yield every picture that the result has figures for.

    Raises:
        ImportError: matplotlib is not installed.
    """
    named = libraries.named(summary)
    yield from latency.draw(named)
    summary = _alone(named)
    yield from models.draw(summary)
    yield from scaling.by_chunk_size(summary)
    yield from scaling.by_threads(summary)
    yield from time_parts.draw(summary)
    yield from accuracy.draw(summary)
    yield from _explained(summary)


def _explained(summary: Summary) -> Iterator[Picture]:
    """Yield what was explained: the way from one engine's time to another's, many lengths."""
    for number, found in enumerate(summary.explanations):
        for other in found.profiled[1:]:
            picture = explained.waterfall(found, other)
            if picture is not None:
                yield replace(picture, name=f"{picture.name}-{number + 1}")
    for number, report in enumerate(summary.lengths):
        picture = explained.lengths(report)
        if picture is not None:
            yield replace(picture, name=f"{picture.name}-{number + 1}")


def _alone(summary: Summary) -> Summary:
    """Return the rows of one process and a chunk at a time: pictures have no axis for the rest."""
    rows = [
        row for row in summary.cells if not protocols.named(row.protocol).queued and row.batch == 1
    ]
    return summary.model_copy(update={"cells": tuple(rows)})
