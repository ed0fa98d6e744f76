"""Every column of tables, terminal and page; a new one is added here and nowhere else in a report.

Figures that only one protocol has stand with it.

`python -m rtfbench.report.columns` prints the tables of `reports/README.md` that explain them.
"""

from collections.abc import Callable, Iterable, Sequence

from rtfbench.engines.protocol import FLOAT32, PUBLISHED_NUM_FRAMES
from rtfbench.report import compare, exports, figures, libraries, views
from rtfbench.report.views import MARKDOWN, VIEWS, Column, Context, PlacedColumn, View
from rtfbench.results.cells import MAX_REL_ERR
from rtfbench.results.protocols import BUILT_IN, Figure, named
from rtfbench.results.rows import CellSummary, Summary

#: Where what is the same in all rows stands above the table, and not in it.
TOGETHER: tuple[View, ...] = ("run", "page")


def engine(row: CellSummary, context: Context) -> str:
    """Return the engine; with a mark if it has a footnote, where those stand below."""
    return row.engine_label + context.footnotes.mark(row) * (
        context.view in ("published", "precision")
    )


def rtf(row: CellSummary, _: Context) -> str:
    """Return the RTF, or in its place how the cell ended."""
    return figures.rtf(row.rtf) if row.status == "ok" else row.ended


def ratio(row: CellSummary, context: Context) -> str:
    """Return the ratio with its interval."""
    found = compare.to_reference(context.summary, row)
    if found is None:
        return "reference" if context.is_reference(row) else figures.MISSING
    mark = " provisional" if found.provisional else ""
    if context.view == "precision":
        return figures.ratio(found.ratio, found.ci95) + mark
    mark = " *" * bool(mark) if context.view == "run" else mark
    return compare.times(found.ratio, found.ci95) + mark


def varies(field: str) -> Callable[[Context], bool]:
    """Return whether a setting stands in a table: where its rows share it, it is told above."""

    def present(context: Context) -> bool:
        if context.view not in TOGETHER:
            return True
        return len({getattr(row, field) for row in context.rows}) > 1

    return present


def of_openings(field: str) -> Callable[[CellSummary, Context], str]:
    """Return what writes a time of each session's opening, with a mark where there was one."""

    def text(row: CellSummary, _: Context) -> str:
        ms = getattr(row, field)
        once = row.sessions == 1 and not named(row.protocol).fresh_session
        return figures.number(ms) if ms is None or not once else f"~{figures.number(ms, 2)}"

    return text


def of_ratio(field: str) -> Callable[[CellSummary, Context], float | None]:
    """Return what gives a field of a row's ratio to the reference, None where none was measured."""
    return lambda row, context: getattr(compare.to_reference(context.summary, row), field, None)


def ratio_present(context: Context) -> bool:
    """Say whether a table has ratios: that of the run only where any was measured."""
    return bool(context.summary.ratios) or context.view != "run"


def utterances(row: CellSummary, context: Context) -> str:
    """Return of how many utterances a row is, among those that were asked for."""
    if row.utterances is None:
        return figures.MISSING
    return f"{row.utterances} of {len(context.summary.environment.audio)}"


def several_threads(context: Context) -> bool:
    """Say whether a result has more than one thread count, so that they can be compared."""
    return len({row.threads for row in context.summary.cells}) > 1


def chunk(row: CellSummary, context: Context) -> str:
    """Return the samples a chunk; error rates are told of the number itself."""
    whole = row.chunk_samples < 0 and context.view != "verification"
    return "whole" if whole else str(row.chunk_samples)


def eer_difference(row: CellSummary, context: Context) -> float:
    """Return the percentage points by which a row's error rate is over the first of its model."""
    first = next(each for each in context.rows if each.title == row.title)
    return 100 * ((row.eer or 0.0) - (first.eer or 0.0))


def eer_loss(row: CellSummary, _: Context) -> str:
    """Return what a precision loses of the EER, in points, with its interval."""
    if row.eer_loss is None:
        unknown = row.precision != FLOAT32 and row.rtf is not None
        return "unknown: no trials" if unknown else figures.MISSING
    loss, low, high = (100 * value for value in row.eer_loss)
    return f"{loss:+.2f} ({low:+.2f} to {high:+.2f})"


def min_dcf_loss(row: CellSummary, _: Context) -> str:
    """Return what a precision loses of the minDCF, with its interval."""
    if row.min_dcf_loss is None:
        return figures.MISSING
    loss, low, high = row.min_dcf_loss
    return f"{loss:+.3f} ({low:+.3f} to {high:+.3f})"


PUBLISHED: tuple[View, ...] = ("published",)
CHUNK_MS: dict[View, str] = {"run": "chunk ms", "page": "chunk ms"}


def columns(view: View, summary: Summary, rows: Sequence[CellSummary]) -> list[PlacedColumn]:
    """Return the columns that rows of a result have in a view."""
    plug_ins = {row.protocol for row in rows} - BUILT_IN.keys()
    return views.place(
        (*COLUMNS, *of_protocols(sorted(plug_ins))), Context(summary, tuple(rows), view)
    )


def of_protocols(names: Iterable[str]) -> list[Column]:
    """Return the columns of what rows of protocols tell; tables without such rows lack them.

    A figure that several protocols tell is one column.
    """
    told: dict[str, tuple[Figure, list[str]]] = {}
    for name in names:
        for each in named(name).figures:
            told.setdefault(each.name, (each, []))[1].append(name)
    return [_of_figure(protocols, each) for each, protocols in told.values()]


def _of_figure(protocols: Sequence[str], figure: Figure) -> Column:
    name = figure.name
    return Column(
        name, figure.heading, figure.meaning,
        ("latency", "page") if figure.detail else ("run", "page"),
        lambda row, _: row.figure(name), unit=figure.unit,
        text=lambda row, _: _with_interval(row.figure(name), (row.own_ci95 or {}).get(name)),
        present=lambda context: any(
            row.protocol in protocols and row.figure(name) is not None for row in context.rows
        ),
    )  # fmt: skip


def _of_energy(key: str, heading: str, meaning: str) -> Column:
    """Return a column of rows whose device has a counter that can be read."""
    name = f"{key}_j_per_h"
    return Column(
        key, heading, meaning, ("machine", "page"), lambda row, _: row.figure(name), unit="J/h",
        text=lambda row, _: _with_interval(row.figure(name), getattr(row, f"{key}_ci95")),
        present=lambda context: any(row.figure(name) for row in context.rows),
    )  # fmt: skip


def _with_interval(value: float | None, interval: tuple[float, float | None] | None) -> str:
    low, high = interval or (None, None)
    return figures.number(value) + (f" {figures.plus_minus((low, high))}" if low and high else "")


COLUMNS = (
    Column(
        "model", "Model", "the model's title in the catalog, or the name of its file",
        VIEWS, lambda row, _: row.title,
        headings={"page": "model"}, left=VIEWS, filtered=True, present=varies("title"),
    ),
    Column(
        "params", "Params", "exact count, cut off after two decimals as the published tables do",
        PUBLISHED, lambda row, _: row.params, write=figures.params, left=VIEWS,
    ),
    Column(
        "flops", "FLOPs",
        f"exact count for {PUBLISHED_NUM_FRAMES} frames, cut off after two decimals as well; for a "
        "model file as it says below the tables",
        PUBLISHED, lambda row, _: row.flops, write=figures.flops, left=VIEWS,
    ),
    Column(
        "engine", "engine", "the runtime with its settings; a small number is that of a footnote",
        VIEWS, lambda row, _: row.engine_label, text=engine, left=VIEWS, filtered=True,
    ),
    Column(
        "form", "form", "a dynamic model takes any length, a static one a single length",
        (*MARKDOWN, "verification", "run", "page"), lambda row, _: row.form,
        left=VIEWS, present=varies("form"), behind={"page": "ratio"},
    ),
    Column(
        "protocol", "protocol",
        "; ".join(named(name).meaning for name in BUILT_IN),
        ("verification", "run", "page"), lambda row, _: row.protocol,
        left=VIEWS, filtered=True, present=varies("protocol"),
    ),
    Column(
        "chunk", "chunk", "samples a chunk: how the audio is cut; whole: it is not",
        ("verification", "run", "page"), lambda row, _: row.chunk_samples, unit="samples",
        text=chunk, headings={"verification": "chunk samples"},
        filtered=True, present=varies("chunk_samples"),
    ),
    Column(
        "threads", "threads", "intra-op threads that the engine was given",
        ("verification", "run", "page"), lambda row, _: row.threads, filtered=True,
        present=varies("threads"),
    ),
    Column(
        "jobs", "jobs", "processes at work at once, each with so many threads",
        ("run", "page"), lambda row, _: row.jobs, filtered=True, present=varies("jobs"),
    ),
    Column(
        "batch", "batch", "chunks of equal length that run together at most",
        ("verification", "run", "page"), lambda row, _: row.batch, filtered=True,
        present=lambda context: len({row.batch for row in context.rows}) > 1,
    ),
    Column(
        "requests", "requests",
        "how they arrive, where the protocol offers any",
        ("verification", "run", "page"), lambda row, _: str(row.load) if row.load else None,
        left=VIEWS, filtered=True,
        present=lambda context: len({row.load for row in context.rows}) > 1,
    ),
    Column(
        "rtf", "RTF",
        "processing time (front end, chunking, inference) over true audio duration, each "
        "utterance with its median; loading is not in it. Words in its place say how the cell "
        "ended; the reason is below the table",
        ("run", "published", "page"), lambda row, _: row.rtf,
        text=rtf, left=PUBLISHED,
    ),
    Column(
        "real_time", "× real time", "seconds of audio that a second of processing embeds: 1 / RTF",
        ("precision", "accuracy", "page"), lambda row, _: 1 / row.rtf if row.rtf else None,
        write=figures.number, behind={"page": "ci"},
    ),
    *of_protocols(BUILT_IN),
    Column(
        "ci", "RTF 95 %",
        "half the width of the RTF's interval over sessions, none with one session; for this host "
        "and this hour",
        ("precision", "run", "page"),
        lambda row, _: figures.plus_minus(row.rtf_ci95).strip("± %") if row.rtf_ci95 else None,
        unit="%", text=lambda row, _: figures.plus_minus(row.rtf_ci95),
        headings={"run": "± 95 %", "page": "± 95 %"},
    ),
    Column(
        "sessions", "sessions",
        "sets of fresh processes; memory layout is luck that only a new process draws again",
        ("precision", "page"), lambda row, _: row.sessions or None, behind={"page": "load"},
    ),
    Column(
        "utterances", "utterances", "how many of the run's utterances its times are of",
        ("latency", "page"), lambda row, _: row.utterances, text=utterances,
        present=lambda context: any(
            row.utterances not in (None, len(context.summary.environment.audio))
            for row in context.rows
        ),
    ),
    Column(
        "passes", "passes", "how often every utterance was run",
        ("page",), lambda row, _: row.passes, behind={"page": "load"},
    ),
    Column(
        "ratio", "ratio",
        "how many times as long as the first row of its table. From six sessions on it is the "
        "Hodges-Lehmann estimate over blocks, with the interval of the signed-rank test with "
        "sessions as clusters; with fewer, the mean of the sessions' own and an interval that "
        "rests on the spread of all pairs of the same engines. Of one to three sessions it is "
        "provisional",
        ("precision", "run", "page"), of_ratio("ratio"), text=ratio,
        headings={"run": "× {reference} (95 %)", "page": "× reference (95 %)"},
        present=ratio_present,
    ),
    Column(
        "df", "df",
        "degrees of freedom behind the ratio's interval: the larger, the more it rests on what "
        "was measured",
        ("precision",), of_ratio("df"), write="{:.0f}".format,
        present=ratio_present,
    ),
    Column(
        "first", "first chunk ms",
        "the first run of a session, with any resize that it triggers; ~ of a single one",
        ("latency", "run", "page"), lambda row, _: row.first_chunk_ms, unit="ms",
        text=of_openings("first_chunk_ms"), headings={"run": "first ms"},
        behind={"latency": "load"},
    ),
    Column(
        "chunk_ms", "p50 ms", "a chunk, first runs left out: the median",
        ("latency", "run", "page"), lambda row, _: row.chunk_ms, unit="ms",
        write=figures.number, headings=CHUNK_MS,
    ),
    Column(
        "p90", "p90 ms", "what nine of ten chunks stay under, of 30 or more, first runs left out",
        ("latency", "page"), lambda row, _: row.chunk_ms_p90, unit="ms", write=figures.number,
    ),
    Column(
        "p99", "p99 ms", "what 99 of 100 chunks stay under, of 300 or more, first runs left out",
        ("latency", "page"), lambda row, _: row.chunk_ms_p99, unit="ms", write=figures.number,
    ),
    Column(
        "load", "load ms", "opening a session; ~ of a single one",
        ("latency", "page"), lambda row, _: row.load_ms, unit="ms",
        text=of_openings("load_ms"),
    ),
    Column(
        "rate", "embeddings/s a core",
        "chunks that are embedded in a second of inference, over the threads",
        ("latency", "page"),
        lambda row, _: 1000 / row.chunk_ms / row.threads if row.chunk_ms else None,
        write=figures.number,
    ),
    Column(
        "library", "library MB",
        "a library of the user's own on disk; only where a row ran on one",
        ("machine", "page"), lambda row, _: libraries.size_mb(row), unit="MB", write=figures.number,
        present=lambda context: any(map(libraries.size_mb, context.rows)),
    ),
    Column(
        "frontend", "front end", "the part of the RTF that makes features and cuts them",
        ("parts", "page"), lambda row, _: row.rtf_frontend, write=figures.rtf,
    ),
    Column(
        "inference", "inference", "the part of the RTF that the engine takes",
        ("parts", "page"), lambda row, _: row.rtf_engine, write=figures.rtf,
    ),
    Column(
        "copies", "copies",
        "the part of inference that is shapes and copies, where the runtime's adapter tells",
        ("parts", "page"), lambda row, _: row.rtf_copy, write=figures.rtf,
    ),
    Column(
        "pooling", "pooling", "the rest of the RTF: the chunks' embeddings become one",
        ("parts", "page"), lambda row, _: row.rtf_pooling, write=figures.rtf,
    ),
    Column(
        "padded_rtf", "padded RTF", "the RTF's time over the duration that was computed",
        ("parts", "page"), lambda row, _: row.rtf_padded, write=figures.rtf,
    ),
    Column(
        "padding", "padding", "the share of that duration that only fills up last chunks",
        ("parts", "page"), lambda row, _: row.padded_share, unit="%", write=figures.percent,
    ),
    Column(
        "gflops", "GFLOP/s",
        "algorithmic: two operations for each multiply-accumulate of the model's definition, over "
        "the median chunk; an engine that needs fewer does not get fewer here",
        ("machine", "page"), lambda row, _: row.gflops, unit="GFLOP/s", write=figures.number,
    ),
    Column(
        "peak", "of peak",
        "algorithmic FLOP/s, share of the cores' FMA peak: what multiply-adds on registers alone "
        "reached on as many cores between the same blocks. Over 100 % only where an engine needs "
        "fewer operations (Winograd)",
        ("machine", "page"), lambda row, _: row.peak_share, unit="%", write=figures.percent,
        present=lambda context: any(row.peak_share for row in context.rows),
    ),
    Column(
        "cpu", "CPU/wall", "cores kept busy while processing",
        ("machine", "page"), lambda row, _: row.cpu_per_wall, write=figures.number,
    ),
    _of_energy(
        "energy", "J an audio hour",
        "what the device's own counters of energy rose by while an hour of audio was processed, "
        "with half the interval's width over sessions: of the whole package, whatever else ran on "
        "it; only where a counter can be read",
    ),
    _of_energy(
        "energy_above_idle", "above idle",
        "the same, less what the device spent in that time while nothing ran, measured after "
        "each block",
    ),
    Column(
        "speedup", "speed-up", "against the same cell with one thread",
        ("machine", "page"), lambda row, _: row.speedup or None, write=figures.times,
        present=several_threads,
    ),
    Column(
        "efficiency", "efficiency", "the speed-up over the threads",
        ("machine", "page"), lambda row, _: row.efficiency, unit="%", write=figures.percent,
        present=several_threads,
    ),
    Column(
        "file", "file MB", "the model file's size",
        ("accuracy", "page"), lambda row, _: row.artifact_bytes and row.artifact_bytes / 1e6,
        unit="MB", write=figures.number,
    ),
    Column(
        "steady", "steady MB",
        "the process's resident size after all utterances once; audio and interpreter included, "
        "measured before anything is timed",
        ("accuracy", "machine", "page"), lambda row, _: row.steady_rss_mb, unit="MB",
        write=figures.number,
    ),
    Column(
        "rss", "peak MB", "the largest resident size of the process until then",
        ("page",), lambda row, _: row.peak_rss_mb, unit="MB", write=figures.number,
    ),
    Column(
        "error", "max rel err",
        "the worst chunk against the reference (torch in float32; for model files onnxruntime "
        "without optimisations), relative to the reference's largest value; over "
        f"{figures.error(MAX_REL_ERR)} no RTF is shown of a row in float32",
        ("precision", "page"),
        lambda row, _: row.parity.max_rel_err if row.parity else None, write="{:.1e}".format,
    ),
    Column(
        "cosine", "cosine",
        "the cosine score of the worst chunk and the reference's; rows in other precisions than "
        "float32 are held to it",
        ("accuracy", "page"), lambda row, _: row.parity.cosine if row.parity else None,
        write="{:.5f}".format,
    ),
    Column(
        "eer_loss", "EER loss",
        "how many points higher the equal error rate on the run's trials is than that of float32, "
        "with the 95 % interval of resampled speakers",
        ("accuracy", "run", "page"), lambda row, _: row.eer_loss and 100 * row.eer_loss[0],
        unit="percentage points", text=eer_loss, behind={"page": "ratio"},
        present=lambda context: any(row.precision != FLOAT32 for row in context.rows),
    ),
    Column(
        "min_dcf_loss", "minDCF loss",
        "the same of the least detection cost at a target prior of 0.01, normalised: 1 is useless",
        ("accuracy", "page"), lambda row, _: row.min_dcf_loss and row.min_dcf_loss[0],
        text=min_dcf_loss,
        present=lambda context: any(row.min_dcf_loss for row in context.rows),
    ),
    Column(
        "eer", "EER %", "the equal error rate of the embeddings on the run's trials",
        ("verification",), lambda row, _: None if row.eer is None else 100 * row.eer, unit="%",
        write="{:.4f}".format,
    ),
    Column(
        "eer_difference", "difference", "that, less the first row's of the same model",
        ("verification",), eer_difference, unit="percentage points",
        write="{:+.4f}".format,
    ),
)  # fmt: skip


def tables() -> list[str]:
    """Return the tables that explain columns in `reports/README.md`: of rows, and of the CSV."""
    return [views.explained(COLUMNS), exports.explained()]


if __name__ == "__main__":
    print("\n\n".join(tables()))
