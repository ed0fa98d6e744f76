"""The server protocol as a value: what callers wait for, when requests arrive as they please."""

import statistics
from collections.abc import Callable, Iterable, Sequence

from rtfbench.base.values import Interval
from rtfbench.results.load import Traffic
from rtfbench.results.protocols import Figure, Protocol
from rtfbench.results.records import Record

#: What a record has of its own, of requests that were served in the order in which they came: when
#: each was due, since the pass began; how long it waited for a free process; how late the harness
#: itself was to see it. Further how long the pass took, how long of that processes were at work,
#: which requests found no place, and what each may take.
DUE, WAITING, LATE, WALL = "due_ns", "waiting_ns", "late_ns", "wall_ns"
BUSY, REJECTED, LIMIT = "busy_ns", "rejected", "limit_ns"
NS_PER_MS = 1e6
#: A harness that sees requests so late, against what serving one takes, measures itself.
MOST_LATE = 0.01
#: What of a plan's traffic any queue takes.
WAITING_OPTIONS = ("batch_delay_ms", "places", "latency_ms")
#: Quantiles that are told of latencies, and their headings.
TOLD = ((0.5, "p50", "half"), (0.9, "p90", "90"), (0.95, "p95", "95"), (0.99, "p99", "99"))

# Workers import this module, and what statistics load counts in their cell's memory: so functions
# import them.


def _by_session(
    records: Sequence[Record], of: Callable[[Record], Iterable[float]]
) -> list[list[float]]:
    found: dict[int, list[float]] = {}
    for record in records:
        found.setdefault(record.session, []).extend(of(record))
    return list(found.values())


def _latencies_ms(record: Record) -> list[float]:
    return [ns / NS_PER_MS for ns in record.utterance_ns]


def _waits_ms(record: Record) -> list[float]:
    return [ns / NS_PER_MS for ns in record.own[WAITING]]


def services_ms(record: Record) -> list[float]:
    """Return how long serving each request took, without its wait."""
    both = zip(record.utterance_ns, record.own[WAITING], strict=True)
    return [(latency - wait) / NS_PER_MS for latency, wait in both]


def _quantile(share: float, name: str, told: str, *, detail: bool) -> Figure:
    """Return a figure: what this share of the requests stay under, from when each was due."""

    def of(records: Sequence[Record], _: float) -> float | None:
        from rtfbench.results.stats import tail_quantile

        return tail_quantile([ms for record in records for ms in _latencies_ms(record)], share)

    def interval(records: Sequence[Record]) -> Interval | None:
        from rtfbench.results.stats import clustered_quantile_interval

        return clustered_quantile_interval(_by_session(records, _latencies_ms), share)

    meaning = f"the same of {told} of 100 requests"
    if share == 0.5:
        meaning = (
            "under the server protocol and of live streams: what half of the requests stay under, "
            "from when each was due to its embedding"
        )
    if share == 0.99:
        meaning += "; from 300 requests on"
    heading = f"latency {name} ms" if share == 0.5 else name
    return Figure(
        f"latency_ms_{name}", heading, meaning, of, unit="ms", detail=detail, interval=interval
    )


def _mean(name: str, heading: str, meaning: str, each: Callable[[Record], list[float]]) -> Figure:
    """Return a figure: a mean over all requests, in milliseconds."""

    def of(records: Sequence[Record], _: float) -> float | None:
        found = [ms for record in records for ms in each(record)]
        return statistics.fmean(found) if found else None

    def interval(records: Sequence[Record]) -> Interval | None:
        from rtfbench.results.stats import clustered_mean_interval

        return clustered_mean_interval(_by_session(records, each))

    return Figure(name, heading, meaning, of, unit="ms", detail=True, interval=interval)


def _utilisation(records: Sequence[Record], _: float) -> float:
    """Return which share of the time the processes were at work."""
    busy_ns, wall_ns = (sum(sum(r.own[each]) for r in records) for each in (BUSY, WALL))
    return busy_ns / wall_ns


def _kept_up(records: Sequence[Record], _: float) -> float:
    """Return how long requests arrived, as a share of how long it took to serve them all."""
    arrived = sum(max(r.own[DUE], default=0) for r in records)
    return arrived / sum(sum(r.own[WALL]) for r in records)


def _rejected(records: Sequence[Record], _: float) -> float | None:
    """Return which share of the requests found no place."""
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
    """Return which share of the requests was not answered in time."""
    in_time = _in_time(records)
    return None if in_time is None else 1 - in_time / _asked(records)


def _goodput(records: Sequence[Record], _: float) -> float | None:
    """Return how many requests were answered in time a second."""
    in_time = _in_time(records)
    return None if in_time is None else in_time / sum(sum(r.own[WALL]) for r in records) * 1e9


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


FIGURES = (
    *(_quantile(*each, detail=each[1] in ("p90", "p95")) for each in TOLD),
    _mean("service_ms", "serving ms", "what serving a request takes, on average", services_ms),
    _mean(
        "waiting_ms",
        "waiting ms",
        "how long a request waits for a free process, on average; it is part of the latency",
        _waits_ms,
    ),
    Figure(
        "utilisation",
        "utilisation",
        "share of the time in which the processes are at work",
        _utilisation,
    ),
    Figure(
        "late_share",
        "late",
        "share of the requests that are not answered within --latency-ms, rejected ones among them",
        _late,
    ),
    Figure(
        "goodput_per_s",
        "goodput/s",
        "requests that are answered within --latency-ms a second",
        _goodput,
        detail=True,
    ),
    Figure(
        "rejected_share",
        "rejected",
        "share of the requests that find as many waiting as --places allows",
        _rejected,
        detail=True,
    ),
    Figure(
        "kept_up",
        "kept up",
        "how long requests arrived, as a share of how long it took to serve them all",
        _kept_up,
        detail=True,
    ),
    Figure(
        "lateness",
        "lateness",
        "how late the harness itself sees a request, as a share of what serving one takes; "
        f"over {MOST_LATE:g} the row is none",
        lateness,
        detail=True,
    ),
)
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
