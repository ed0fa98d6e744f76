"""The throughput protocol as a value: what a batch job gets out of all cores."""

from collections.abc import Sequence

from rtfbench.results.protocols import Figure, Protocol
from rtfbench.results.records import Record


def _utterances_per_s(records: Sequence[Record], rtf: float) -> float | None:
    """Return how many utterances of a queue are embedded in a second."""
    audio_s = sum(record.audio_ns for record in records) / 1e9
    return sum(len(record.queued) for record in records) / audio_s / rtf or None


def _utterance_ms_p95(records: Sequence[Record], _: float) -> float | None:
    """Return what 95 of 100 utterances stay under, where enough ran to tell."""
    # Workers import this module, and what they load counts in their cell's memory.
    from rtfbench.results.stats import tail_quantile

    ns = tail_quantile([ns for record in records for ns in record.utterance_ns], 0.95)
    return None if ns is None else ns / 1e6


THROUGHPUT = Protocol(
    name="throughput",
    clock="processes at work on one queue of utterances",
    procedure="rtfbench.measure.team:Queue",
    queued=True,
    scenario="offline",
    figures=(
        Figure(
            "utterances_per_s",
            "utterances/s",
            "under the throughput protocol: recordings that all jobs together embed in a second",
            _utterances_per_s,
        ),
        Figure(
            "utterance_ms_p95",
            "utterance p95 ms",
            "under the throughput protocol: what 95 of 100 recordings stay under, from when a "
            "process begins with one, and with those of its batch, to its embedding",
            _utterance_ms_p95,
            unit="ms",
            detail=True,
        ),
    ),
)
