"""Every column of tables, terminal and page; a new one is added here and nowhere else in a report.

`python -m bench.report.columns` prints the tables of `reports/README.md` that explain them.
"""

from collections.abc import Sequence

from bench.report import cell_texts, figures, libraries, record_columns
from bench.report.cell_texts import PUBLISHED, TERMINAL
from bench.report.views import VIEWS, Column, Context, Placed, View, explained, place
from bench.results.cells import MAX_REL_ERR
from bench.results.rows import CellSummary, Summary
from engines.protocol import PUBLISHED_NUM_FRAMES

CHUNK_MS: dict[View, str] = dict.fromkeys((*TERMINAL, "page"), "chunk ms")


def columns(view: View, summary: Summary, rows: Sequence[CellSummary]) -> list[Placed]:
    """Return the columns that rows of a result have in a view."""
    return place(COLUMNS, Context(summary, tuple(rows), view))


COLUMNS = (
    Column(
        "model", "Model", "the model's title in the catalog, or the name of its file",
        VIEWS, lambda row, _: row.title,
        headings={"page": "model"}, left=VIEWS, filtered=True,
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
        VIEWS, lambda row, _: row.engine_label, text=cell_texts.engine, left=VIEWS, filtered=True,
    ),
    Column(
        "form", "form", "a dynamic model takes any length, a static one a single length",
        ("precision", "accuracy", "latency", "parts", "machine", "verification", "wide", "page"),
        lambda row, _: row.form,
        left=VIEWS, behind={"wide": "load", "page": "ratio"},
    ),
    Column(
        "rtf", "RTF",
        "processing time (front end, chunking, inference) over true audio duration, each "
        "utterance with its median; loading is not in it. Words in its place say how the cell "
        "ended; the reason is below the table",
        ("published", "wide", "narrow", "page"), lambda row, _: row.rtf,
        text=cell_texts.rtf, left=PUBLISHED,
    ),
    Column(
        "real_time", "× real time", "seconds of audio that a second of processing embeds: 1 / RTF",
        ("precision", "accuracy", "page"), lambda row, _: 1 / row.rtf if row.rtf else None,
        write=figures.number,
    ),
    Column(
        "utterance_rate", "utterances/s",
        "under the throughput protocol: recordings that all jobs together embed in a second",
        ("published", "wide", "narrow", "page"), lambda row, _: row.utterances_per_s,
        write=figures.number, present=cell_texts.any_queue,
    ),
    Column(
        "utterance_p95", "utterance p95 ms",
        "under the throughput protocol: what 95 of 100 recordings stay under, from when a process "
        "begins with one, and with those of its batch, to its embedding",
        ("latency", "page"), lambda row, _: row.utterance_ms_p95, unit="ms",
        write=figures.number, present=cell_texts.any_queue,
    ),
    Column(
        "ci", "RTF 95 %",
        "half the width of the RTF's interval over sessions (over slots where there is one "
        "session); for this host and this hour",
        ("precision", "wide", "narrow", "page"), cell_texts.half_width, unit="%",
        text=lambda row, _: figures.plus_minus(row.rtf_ci95),
        headings={"wide": "95 %", "narrow": "95 %", "page": "± 95 %"},
    ),
    Column(
        "sessions", "sessions",
        "sets of fresh processes; memory layout is luck that only a new process draws again",
        ("precision", "page"), lambda row, _: row.sessions or None,
    ),
    Column(
        "utterances", "utterances", "how many of the run's utterances its times are of",
        ("latency", "page"), lambda row, _: row.utterances, text=cell_texts.utterances,
        present=cell_texts.utterances_present,
    ),
    Column(
        "passes", "passes", "how often every utterance was run",
        ("page",), lambda row, _: row.passes,
    ),
    Column(
        "ratio", "ratio",
        "how many times as long as the first row of its table. From six sessions on it is the "
        "Hodges-Lehmann estimate over blocks, with the interval of the signed-rank test with "
        "sessions as clusters; with fewer, the mean of the sessions' own and an interval that "
        "rests on the spread of all pairs of the same engines. Of one or two sessions it is "
        "provisional",
        ("precision", "wide", "narrow", "page"), cell_texts.ratio_value, text=cell_texts.ratio,
        headings=dict.fromkeys(TERMINAL, "× {reference}") | {"page": "× reference (95 %)"},
        present=cell_texts.ratio_present,
    ),
    Column(
        "df", "df",
        "degrees of freedom behind the ratio's interval: the larger, the more it rests on what "
        "was measured",
        ("precision",), cell_texts.freedom, write="{:.0f}".format,
        present=cell_texts.ratio_present,
    ),
    Column(
        "threads", "threads", "intra-op threads that the engine was given",
        ("verification", "page"), lambda row, _: row.threads, filtered=True,
    ),
    Column(
        "jobs", "jobs", "processes at work at once, each with so many threads",
        ("page",), lambda row, _: row.jobs, filtered=True, present=cell_texts.any_queue,
    ),
    Column(
        "batch", "batch", "chunks of equal length that run together at most",
        ("verification", "page"), lambda row, _: row.batch, filtered=True,
        present=cell_texts.any_batch,
    ),
    Column(
        "chunk", "samples a chunk", "how the audio is cut; whole: it is not",
        ("verification", "page"), lambda row, _: row.chunk_samples, unit="samples",
        text=cell_texts.chunk, headings={"verification": "chunk samples"}, filtered=True,
    ),
    Column(
        "protocol", "protocol",
        "published: a fresh session for every utterance, its first run timed; steady: one "
        "session, warmed; throughput: several at work on one queue, by the clock on the wall",
        ("verification", "page"), lambda row, _: row.protocol,
        left=VIEWS, filtered=True, behind={"verification": "form"},
    ),
    Column(
        "chunk_ms", "p50 ms", "a chunk, first runs left out: the median",
        ("latency", "wide", "narrow", "page"), lambda row, _: row.chunk_ms, unit="ms",
        write=figures.number, headings=CHUNK_MS,
    ),
    Column(
        "p90", "p90 ms", "what nine of ten chunks stay under, first runs left out",
        ("latency", "page"), lambda row, _: row.chunk_ms_p90, unit="ms", write=figures.number,
    ),
    Column(
        "p99", "p99 ms", "what 99 of 100 chunks stay under, first runs left out",
        ("latency", "page"), lambda row, _: row.chunk_ms_p99, unit="ms", write=figures.number,
    ),
    Column(
        "first", "first chunk ms",
        "the first run of a session, with any resize that it triggers",
        ("latency", "wide", "page"), lambda row, _: row.first_chunk_ms, unit="ms",
        write=figures.number, headings={"wide": "first ms"}, behind={"latency": "load"},
    ),
    Column(
        "load", "load ms", "opening a session",
        ("latency", "wide", "page"), lambda row, _: row.load_ms, unit="ms", write=figures.number,
    ),
    Column(
        "rate", "embeddings/s a core",
        "chunks that are embedded in a second of inference, over the threads",
        ("latency", "page"), cell_texts.embeddings_a_core, write=figures.number,
    ),
    Column(
        "library", "library MB",
        "a library of the user's own on disk; only where a row ran on one",
        ("machine", "page"), lambda row, _: libraries.size_mb(row), unit="MB", write=figures.number,
        present=lambda context: libraries.any_size(context.rows),
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
        "copies", "of it copies",
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
        "gemm", "of GEMM",
        "the same over what a matrix product of numpy reached, in runs of before the peak was "
        "measured; no ceiling",
        ("machine", "page"), lambda row, _: row.gemm_share, unit="%", write=figures.percent,
        present=lambda context: any(row.gemm_share for row in context.rows),
    ),
    Column(
        "cpu", "CPU/wall", "cores kept busy while processing",
        ("machine", "page"), lambda row, _: row.cpu_per_wall, write=figures.number,
    ),
    Column(
        "speedup", "speed-up", "against the same cell with one thread",
        ("machine", "page"), lambda row, _: row.speedup or None, write=figures.times,
        present=cell_texts.several_threads,
    ),
    Column(
        "efficiency", "efficiency", "the speed-up over the threads",
        ("machine", "page"), lambda row, _: row.efficiency, unit="%", write=figures.percent,
        present=cell_texts.several_threads,
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
        ("precision", "wide", "page"),
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
        ("accuracy", "page"), lambda row, _: row.eer_loss and 100 * row.eer_loss[0],
        unit="percentage points", text=cell_texts.eer_loss,
        present=lambda context: any(row.eer_loss for row in context.rows),
    ),
    Column(
        "min_dcf_loss", "minDCF loss",
        "the same of the least detection cost at a target prior of 0.01, normalised: 1 is useless",
        ("accuracy", "page"), lambda row, _: row.min_dcf_loss and row.min_dcf_loss[0],
        text=cell_texts.min_dcf_loss,
        present=lambda context: any(row.min_dcf_loss for row in context.rows),
    ),
    Column(
        "eer", "EER %", "the equal error rate of the embeddings on the run's trials",
        ("verification",), lambda row, _: None if row.eer is None else 100 * row.eer, unit="%",
        write="{:.4f}".format,
    ),
    Column(
        "eer_difference", "difference", "that, less the first row's of the same model",
        ("verification",), cell_texts.eer_difference, unit="percentage points",
        write="{:+.4f}".format,
    ),
)  # fmt: skip


def tables() -> list[str]:
    """Return the tables that explain columns in `reports/README.md`: of rows, and of the CSV."""
    return [explained(COLUMNS), record_columns.explained()]


if __name__ == "__main__":
    print("\n\n".join(tables()))
