"""What callers wait for at each rate of requests, and when those figures mean nothing."""

from collections.abc import Iterator

from rtfbench.report import figures
from rtfbench.report.compare import Finding
from rtfbench.results import protocols
from rtfbench.results.rows import CellSummary, Summary

#: Where requests arrived for less of the time that it took to serve them, the queue only grew.
KEPT_UP = 0.8
TAILS = (("latency_ms_p99", "99"), ("latency_ms_p95", "95"))


def findings(summary: Summary) -> Iterator[Finding]:
    """Yield a sentence a row."""
    for row in summary.cells:
        if protocols.named(row.protocol).offered and row.rtf is not None:
            yield _of_row(row)


def _of_row(row: CellSummary) -> Finding:
    head = f"{row.title}, {row.engine_label}, {figures.setting(*row.setting)}"
    busy = row.figure("utilisation")
    kept_up = row.figure("kept_up")
    if kept_up is not None and kept_up < KEPT_UP:
        return Finding(
            "protocol",
            f"{head}: more requests arrive than are served, so latencies grow for as long as it "
            "lasts.",
        )
    half = f"{figures.number(row.figure('latency_ms_p50'))} ms{_between(row, 'latency_ms_p50')}"
    tail = next(
        (
            f", {share} of 100 within {figures.number(value)} ms{_between(row, name)}"
            for name, share in TAILS
            if (value := row.figure(name)) is not None
        ),
        "",
    )
    return Finding(
        "protocol",
        f"{head}: half of the requests are answered within {half}{tail}; the processes are at work "
        f"{figures.percent(busy or 0.0)} of the time{_apart(row)}.",
    )


def _between(row: CellSummary, name: str) -> str:
    ends = (row.own_ci95 or {}).get(name)
    if ends is None:
        return ""
    low, high = map(figures.number, ends)
    return f" (over {low})" if ends[1] is None else f" ({low} to {high})"


def _apart(row: CellSummary) -> str:
    """Say what was late or rejected, and what of the features was known."""
    told = ""
    if row.load is not None and (late := row.figure("late_share")) is not None:
        told += f"; {100 * late:.1f} % are not answered within {row.load.latency_ms:g} ms"
    if (rejected := row.figure("rejected_share")) is not None:
        told += f"; {100 * rejected:.1f} % find no place"
    if (known := row.figure("known_share")) is not None:
        told += f"; {figures.percent(known)} of the features were known from the window before"
    return told
