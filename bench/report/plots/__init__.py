"""Pictures of a result, as SVG and PNG.

Colours are Okabe and Ito's, which the colour-blind can tell apart, and each engine has its own
marker, so that a print in grey can be read too. The same summary gives the same bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bench.report import libraries
from bench.report.history import HostHistory
from bench.report.hosts import NamedRun
from bench.report.plots import (
    accuracy,
    chunk_size,
    eer_loss,
    history,
    hosts,
    lengths,
    models,
    thread_scaling,
    time_parts,
    waterfall,
)
from bench.report.plots.style import Picture
from bench.results.rows import Summary


def draw(summary: Summary) -> Iterator[Picture]:
    """Yield every picture that the result has figures for.

    Raises:
        ImportError: matplotlib is not installed.
    """
    summary = _alone(libraries.named(summary))
    yield from models.draw(summary)
    yield from chunk_size.draw(summary)
    yield from thread_scaling.draw(summary)
    yield from time_parts.draw(summary)
    yield from accuracy.draw(summary)
    yield from eer_loss.draw(summary)
    yield from _explained(summary)


def _explained(summary: Summary) -> Iterator[Picture]:
    """Yield what was explained: the way from one engine's time to another's, many lengths."""
    for number, found in enumerate(summary.explanations):
        for other in found.profiled[1:]:
            picture = waterfall.draw(found, other)
            if picture is not None:
                yield replace(picture, name=f"{picture.name}-{number + 1}")
    for number, report in enumerate(summary.lengths):
        picture = lengths.draw(report)
        if picture is not None:
            yield replace(picture, name=f"{picture.name}-{number + 1}")


def _alone(summary: Summary) -> Summary:
    """Return the rows of one process and a chunk at a time: pictures have no axis for the rest."""
    rows = [row for row in summary.cells if row.protocol != "throughput" and row.batch == 1]
    return summary.model_copy(update={"cells": tuple(rows)})


def draw_hosts(runs: Sequence[NamedRun]) -> Picture | None:
    """Return the picture of several hosts' ratios, None where no two have one in common.

    Raises:
        ImportError: matplotlib is not installed.
    """
    return hosts.draw(runs)


def draw_history(host: HostHistory, number: int) -> Iterator[Picture]:
    """Yield a picture of one host's ratios over time for each model and setting.

    Raises:
        ImportError: matplotlib is not installed.
    """
    return history.draw(host, number)
