"""What a result says, in sentences: each has its figure and interval, none stands without them."""

import math
from collections.abc import Iterator

from bench.report import figures
from bench.report.defects import cause
from bench.report.engine_findings import best_findings, engine_findings
from bench.report.finding import Finding
from bench.report.precision_findings import precision_findings
from bench.report.protocol_findings import protocol_findings
from bench.report.scaling_findings import scaling_findings
from bench.results.rows import CellSummary, Summary
from engines.protocol import FEWER_OPERATIONS, FLOAT32
from frontends.chunking import WHOLE_UTTERANCE


def findings(summary: Summary) -> list[Finding]:
    """Return every sentence that the numbers carry, the most important first."""
    return [
        *_warnings(summary),
        *_defects(summary),
        *_coverage(summary),
        *protocol_findings(summary),
        *precision_findings(summary),
        *best_findings(summary),
        *engine_findings(summary),
        *scaling_findings(summary),
        *_ceiling(summary),
        *_padding(summary),
        *_seconds(summary),
    ]


def _warnings(summary: Summary) -> Iterator[Finding]:
    if summary.noise is not None and summary.noise.contaminated:
        yield Finding("warning", f"The machine was not quiet: {summary.noise.sentence}")
    measured = sum(row.rtf is not None for row in summary.cells)
    if measured > 1 and not any(ratio.ci95 for ratio in summary.ratios):
        yield Finding(
            "warning",
            "No engine is called faster: this run has no intervals of paired ratios; "
            "a larger --budget gives them.",
        )


def _defects(summary: Summary) -> Iterator[Finding]:
    """Tell of every row whose embedding is not the reference's; those of one model in one."""
    wrong: dict[tuple[str, str], list[CellSummary]] = {}
    for row in summary.cells:
        if row.status == "wrong_output":
            alike = [each for each in summary.cells if each.engine_label == row.engine_label]
            title = row.title
            models = {each.title for each in alike}
            if len(models) > 1 and all(each.status != "ok" for each in alike):
                title = "Every model"
            wrong.setdefault((title, row.engine_label), []).append(row)
    for (title, engine), rows in wrong.items():
        forms = " and ".join(dict.fromkeys(row.form for row in rows))
        text = f"{title}: {engine} ({forms}) computes another embedding than the reference"
        errors = [row.parity.max_rel_err for row in rows if row.parity]
        if rows[0].precision != FLOAT32:
            yield Finding("defect", f"{title}: {engine} ({forms}): {rows[0].reason}.")
            continue
        if errors:
            text += f": largest error {max(errors):.1e} of the largest value"
        text += _right_forms(summary, rows[0])
        if known := cause(rows[0]):
            text += f"; {known}"
        yield Finding("defect", f"{text}. Its time is not shown.")


def _right_forms(summary: Summary, wrong: CellSummary) -> str:
    """Say which other form of the same model is right on that engine's runtime."""
    for row in summary.cells:
        same = (row.model, row.engine_label) == (wrong.model, wrong.engine_label)
        if same and row.form != wrong.form and row.parity and row.parity.ok:
            return f"; the {row.form} form is right to {row.parity.max_rel_err:.0e}"
    return ""


def _coverage(summary: Summary) -> Iterator[Finding]:
    """Tell where a budget did not reach all utterances: such rows are of other audio."""
    asked = len(summary.environment.audio)
    partial: dict[str, list[int]] = {}
    for row in summary.cells:
        if row.rtf is not None and row.utterances is not None and row.utterances < asked:
            where = f"{row.protocol}, {figures.setting(*row.setting)}"
            partial.setdefault(where, []).append(row.utterances)
    for where, counts in partial.items():
        yield Finding(
            "coverage",
            f"{where}: {min(counts)} of {asked} utterances were measured; these rows are of them "
            "alone, and a larger --budget reaches all.",
        )


def _ceiling(summary: Summary) -> Iterator[Finding]:
    """Say of rows over the cores' peak why that can be, or that the peak is none."""
    over = [row for row in summary.cells if (row.peak_share or 0.0) > 1]
    known: dict[str, list[CellSummary]] = {}
    for row in over:
        known.setdefault(str(row.effective.get(FEWER_OPERATIONS, "")), []).append(row)
    for how, rows in known.items():
        engines = ", ".join(dict.fromkeys(row.engine_label for row in rows))
        most = figures.percent(max(row.peak_share or 0.0 for row in rows))
        text = (
            f"{engines}: up to {most} of the cores' peak, because {how} need fewer operations than "
            "the model's definition counts."
            if how
            else f"{engines}: {most} of what was taken for the cores' peak, and nothing is known "
            "that would save operations: the ceiling is invalid."
        )
        yield Finding("ceiling", text)


def _padding(summary: Summary) -> Iterator[Finding]:
    """Say what filling up the last chunk costs; exact, since it follows from the durations."""
    asked = len(summary.environment.audio)
    shares = {
        row.chunk_samples: row.rtf / row.rtf_padded - 1
        for row in summary.cells
        if row.rtf and row.rtf_padded and row.chunk_samples != WHOLE_UTTERANCE
        if row.utterances in (None, asked)
    }
    if shares:
        told = sorted(shares.items())
        each = ", ".join(f"{figures.percent(share)} at {size}" for size, share in told)
        yield Finding(
            "padding",
            "Filling up the last chunk adds audio that is computed and not counted in the "
            f"duration: {each} samples (exact for these utterances).",
        )


def _seconds(summary: Summary) -> Iterator[Finding]:
    """Say what an utterance takes at each chunk size: padding and speed together."""
    environment = summary.environment
    for model, threads in dict.fromkeys((row.model, row.threads) for row in summary.cells):
        rows = [
            row
            for row in summary.cells
            if (row.model, row.threads, row.protocol) == (model, threads, "steady")
            and row.rtf is not None
            and row.utterances in (None, len(environment.audio))
        ]
        best: dict[int, float] = {}
        for row in rows:
            best[row.chunk_samples] = min(best.get(row.chunk_samples, math.inf), row.rtf or 0.0)
        if len(best) < 2 or not environment.audio:
            continue
        mean_s = environment.audio_s / len(environment.audio)
        told = ", ".join(
            f"{figures.number(1000 * rtf * mean_s)} ms at "
            f"{'whole utterances' if size == WHOLE_UTTERANCE else size}"
            for size, rtf in sorted(best.items())
        )
        yield Finding(
            "padding",
            f"{rows[0].title}: an utterance of these lengths ({mean_s:.1f} s on average) takes the "
            f"fastest engine {told} samples a chunk, padding included (steady, {threads} "
            f"thread{'s' * (threads > 1)}).",
        )
