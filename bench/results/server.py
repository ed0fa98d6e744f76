"""Protocols of a queue as values: what a batch job gets of all cores, what callers wait for.

Requests of a server arrive as they please; live streams ask for an embedding of their last seconds,
again and again.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rtfbench.base.values import Interval, grouped
from rtfbench.results.load import Traffic
from rtfbench.results.protocols import Figure, Protocol
from rtfbench.results.records import Record

#: What a record has of its own, of requests that were served in the order in which they came: when
#: each was due, since the pass began; how long it waited for a free process; how late the harness
#: itself was to see it. Further how long the pass took, how long of that processes were at work,
#: which requests found no place, and what each may take.
DUE, WAITING, LATE, WALL = "due_ns", "waiting_ns", "late_ns", "wall_ns"
BUSY, REJECTED, LIMIT = "busy_ns", "rejected", "limit_ns"
#: Of live streams besides: frames of its windows, and those of them that were known.
FRAMES = "frames"
NS_PER_MS, NS_PER_S = 1e6, 1e9
#: A harness that sees requests so late, against what serving one takes, measures itself.
MOST_LATE = 0.01
#: What of a plan's traffic any queue takes.
WAITING_OPTIONS = ("batch_delay_ms", "places", "latency_ms")

# Workers import this module, and what statistics load counts in their cell's memory: so functions
# import them.


def _by_session(
    records: Sequence[Record], of: Callable[[Record], Iterable[float]]
) -> list[list[float]]:
    return list(grouped((each.session, value) for each in records for value in of(each)).values())


def _utterances_per_s(records: Sequence[Record], rtf: float) -> float | None:
    audio_s = sum(record.audio_ns for record in records) / NS_PER_S
    return sum(len(record.queued) for record in records) / audio_s / rtf or None


def _utterance_ms_p95(records: Sequence[Record], _: float) -> float | None:
    from rtfbench.results.stats import tail_quantile

    ns = tail_quantile([ns for record in records for ns in record.utterance_ns], 0.95)
    return None if ns is None else ns / NS_PER_MS


def _latencies_ms(record: Record) -> list[float]:
    return [ns / NS_PER_MS for ns in record.utterance_ns]


def _waits_ms(record: Record) -> list[float]:
    return [ns / NS_PER_MS for ns in record.own[WAITING]]


def services_ms(record: Record) -> list[float]:
    """Return how long serving each request took, without its wait."""
    both = zip(record.utterance_ns, record.own[WAITING], strict=True)
    return [(latency - wait) / NS_PER_MS for latency, wait in both]


def _latency(share: float, name: str, heading: str, meaning: str, *, detail: bool) -> Figure:
    """Return a figure: what this share of the requests stay under, from when each was due."""

    def of(records: Sequence[Record], _: float) -> float | None:
        from rtfbench.results.stats import tail_quantile

        return tail_quantile([ms for record in records for ms in _latencies_ms(record)], share)

    def interval(records: Sequence[Record]) -> Interval | None:
        from rtfbench.results.stats import clustered_quantile_interval

        return clustered_quantile_interval(_by_session(records, _latencies_ms), share)

    return Figure(name, heading, meaning, of, unit="ms", detail=detail, interval=interval)


def _mean(name: str, heading: str, meaning: str, each: Callable[[Record], list[float]]) -> Figure:
    """Return a figure: a mean over all requests, in milliseconds."""

    def of(records: Sequence[Record], _: float) -> float | None:
        found = [ms for record in records for ms in each(record)]
        return statistics.fmean(found) if found else None

    def interval(records: Sequence[Record]) -> Interval | None:
        from rtfbench.results.stats import clustered_mean_interval

        return clustered_mean_interval(_by_session(records, each))

    return Figure(name, heading, meaning, of, unit="ms", detail=True, interval=interval)


def _own_sum(records: Sequence[Record], *names: str) -> float:
    return sum(sum(record.own[name]) for record in records for name in names)


def _kept_up(records: Sequence[Record], _: float) -> float:
    return sum(max(r.own[DUE], default=0) for r in records) / _own_sum(records, WALL)


def _rejected(records: Sequence[Record], _: float) -> float | None:
    count = sum(len(r.own.get(REJECTED, ())) for r in records)
    return count / _asked(records) if count else None


def _asked(records: Sequence[Record]) -> int:
    """Return how many requests count."""
    return sum(len(r.utterance_ns) + len(r.own.get(REJECTED, ())) for r in records)


def _in_time(records: Sequence[Record]) -> int | None:
    """Return how many requests were answered within their limit, None where there is none."""
    if not all(LIMIT in record.own for record in records):
        return None
    return sum(ns <= record.own[LIMIT][0] for record in records for ns in record.utterance_ns)


def _late(records: Sequence[Record], _: float) -> float | None:
    in_time = _in_time(records)
    return None if in_time is None else 1 - in_time / _asked(records)


def _goodput(records: Sequence[Record], _: float) -> float | None:
    in_time = _in_time(records)
    return None if in_time is None else in_time / _own_sum(records, WALL) * NS_PER_S


def lateness(records: Sequence[Record], _: float = 0.0) -> float:
    """Return how late the harness saw a request in the middle, as a share of serving one."""
    late = [ns / NS_PER_MS for record in records for ns in record.own[LATE]]
    if not late:
        return 0.0
    service = [ms for record in records for ms in services_ms(record)]
    return statistics.median(late) / statistics.median(service)


def invalid(records: Sequence[Record]) -> str:
    """Say why records tell nothing: the harness was too late; nothing where they do."""
    late = lateness(records)
    if late <= MOST_LATE:
        return ""
    return (
        f"requests were seen {100 * late:.1f} % of a service time late, over {MOST_LATE:.0%}: the "
        "harness measured itself; leave it a core, with fewer --jobs or on a quiet machine"
    )


def _known_share(records: Sequence[Record], _: float) -> float | None:
    frames, known = (sum(record.own[FRAMES][each] for record in records) for each in (0, 1))
    return known / frames if frames else None


THROUGHPUT = Protocol(
    name="throughput",
    clock="processes at work on one queue of utterances",
    procedure="rtfbench.measure.team:Queue",
    queued=True,
    scenario="offline",
    figures=(
        Figure(
            "utterances_per_s", "utterances/s",
            "under the throughput protocol: recordings that all jobs together embed in a second",
            _utterances_per_s,
        ),
        Figure(
            "utterance_ms_p95", "utterance p95 ms",
            "under the throughput protocol: what 95 of 100 recordings stay under, from when a "
            "process begins with one, and with those of its batch, to its embedding",
            _utterance_ms_p95, unit="ms", detail=True,
        ),
    ),
)  # fmt: skip
FIGURES = (
    _latency(
        0.5, "latency_ms_p50", "latency p50 ms",
        "under the server protocol and of live streams: what half of the requests stay under, from "
        "when each was due to its embedding", detail=False,
    ),
    _latency(0.9, "latency_ms_p90", "p90", "the same of 90 of 100 requests", detail=True),
    _latency(0.95, "latency_ms_p95", "p95", "the same of 95 of 100 requests", detail=True),
    _latency(
        0.99, "latency_ms_p99", "p99", "the same of 99 of 100 requests; from 300 requests on",
        detail=False,
    ),
    _mean("service_ms", "serving ms", "what serving a request takes, on average", services_ms),
    _mean(
        "waiting_ms", "waiting ms",
        "how long a request waits for a free process, on average; it is part of the latency",
        _waits_ms,
    ),
    Figure(
        "utilisation", "utilisation", "share of the time in which the processes are at work",
        lambda records, _: _own_sum(records, BUSY) / _own_sum(records, WALL),
    ),
    Figure(
        "late_share", "late",
        "share of the requests that are not answered within --latency-ms, rejected ones among them",
        _late,
    ),
    Figure(
        "goodput_per_s", "goodput/s",
        "requests that are answered within --latency-ms a second", _goodput, detail=True,
    ),
    Figure(
        "rejected_share", "rejected",
        "share of the requests that find as many waiting as --places allows",
        _rejected, detail=True,
    ),
    Figure(
        "kept_up", "kept up",
        "how long requests arrived, as a share of how long it took to serve them all",
        _kept_up, detail=True,
    ),
    Figure(
        "lateness", "lateness",
        "how late the harness itself sees a request, as a share of what serving one takes; "
        f"over {MOST_LATE:g} the row is none", lateness, detail=True,
    ),
)  # fmt: skip
SERVER = Protocol(
    name="server",
    scenario="server",
    clock="requests that arrive whether or not one is at work, each timed from when it was due",
    procedure="rtfbench.measure.open_loop:OpenLoop",
    queued=True,
    loads=Traffic.at_rates,
    takes=("rates", "gamma_shape", "trace", "window_s", "hop_s", *WAITING_OPTIONS),
    figures=FIGURES,
    invalid=invalid,
    findings="rtfbench.report.protocol_findings:findings",
)
KNOWN_SHARE = Figure(
    "known_share",
    "features known",
    "of live streams: share of the frames whose features were known from the window before",
    _known_share,
    detail=True,
)
STREAMS = replace(
    SERVER,
    name="streams",
    scenario="multi-stream",
    clock="windows of live streams, each timed from when its last sample was there",
    procedure="rtfbench.measure.open_loop:LiveStreams",
    loads=Traffic.of_streams,
    takes=("streams", "window_s", "hop_s", *WAITING_OPTIONS),
    figures=(*FIGURES, KNOWN_SHARE),
)
