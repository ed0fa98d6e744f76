"""What a result says, in sentences: each has its figure and interval, none stands without them."""

import pkgutil
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.base.values import grouped
from rtfbench.engines.protocol import FEWER_OPERATIONS, FLOAT32
from rtfbench.frontends.chunking import WHOLE_UTTERANCE
from rtfbench.report import figures
from rtfbench.report.compare import Finding, ends, setting, side
from rtfbench.report.engine_findings import best_findings, engine_findings
from rtfbench.report.libraries import MINIMAL, PUBLISHED
from rtfbench.report.precision_findings import precision_findings
from rtfbench.results import protocols
from rtfbench.results.protocols import STEADY
from rtfbench.results.rows import CellSummary, Summary

Axis = Literal["threads", "jobs", "batch"]
AXES: tuple[Axis, ...] = ("threads", "jobs", "batch")
#: What one of it is called.
ONE: dict[Axis, str] = {"threads": "", "jobs": " job", "batch": " chunk at a time"}
#: Batches share no cores, so that they have no efficiency.
SHARING: frozenset[Axis] = frozenset({"threads", "jobs"})


def scaling_findings(summary: Summary) -> Iterator[Finding]:
    """Say it where both have intervals of their RTF; a batch may well be slower.

    Where requests arrive at a rate, the time of a row is shared among its jobs, busy or not.
    """
    cells = [row for row in summary.cells if not protocols.named(row.protocol).offered]
    for axis in AXES:
        told: dict[str, list[str]] = {}
        for row in cells:
            alone = with_one(axis, row, cells)
            if alone is None or not (row.rtf and row.rtf_ci95 and alone.rtf and alone.rtf_ci95):
                continue
            ratio = alone.rtf / row.rtf
            ci95 = (alone.rtf_ci95[0] / row.rtf_ci95[1], alone.rtf_ci95[1] / row.rtf_ci95[0])
            text = (
                f"{row.engine_label} {row.form} {figures.factor(ratio)} times as fast "
                f"({ends(ci95)})"
            )
            if axis in SHARING:
                text += f", {figures.percent(ratio / getattr(row, axis))} efficiency"
            head = f"{row.title}, {setting(row)} against one"
            told.setdefault(head, []).append(text + ", which is slower" * (ci95[1] < 1))
        for head, sentences in told.items():
            yield Finding(axis, f"{head}{ONE[axis]}: {'; '.join(sentences)}.")


def with_one(axis: Axis, row: CellSummary, rows: Sequence[CellSummary]) -> CellSummary | None:
    """Return the row that differs from another by having one of something, None without such."""
    if getattr(row, axis) == 1:
        return None

    def rest(each: CellSummary) -> tuple[object, ...]:
        others = [getattr(each, other) for other in AXES if other != axis]
        return (each.model, side(each), each.protocol, each.chunk_samples, *others)

    return next((r for r in rows if getattr(r, axis) == 1 and rest(r) == rest(row)), None)


#: Model, form and the engines of one runtime -> cause.
CAUSES = {
    ("campplus", "static", ("mnn", MINIMAL, PUBLISHED)): "MNN's static conversion turns pooling "
    "over one axis into a copy of its input's beginning (reports/mnn-static-pooling.md)"
}


def cause(row: CellSummary) -> str | None:
    """Return why the embedding of a row is wrong, None where that is not known."""
    for (model, form, engines), text in CAUSES.items():
        if (row.model, row.form) == (model, form) and row.engine in engines:
            return text
    return None


#: Readings of the peak err by so much; a row within it may reach the peak.
PEAK_TOLERANCE = 0.05


def findings(summary: Summary) -> list[Finding]:
    """Return every sentence that the numbers carry, the most important first."""
    return [
        *_warnings(summary),
        *_defects(summary),
        *_coverage(summary),
        *_of_protocols(summary),
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


def _of_protocols(summary: Summary) -> Iterator[Finding]:
    """Yield what only the protocols of this result have to say."""
    known = (protocols.named(row.protocol).findings for row in summary.cells)
    for where in dict.fromkeys(filter(None, known)):
        yield from pkgutil.resolve_name(where)(summary)


def _defects(summary: Summary) -> Iterator[Finding]:
    """Tell of every row whose embedding is not the reference's; those of one model in one."""
    wrong: dict[tuple[str, str], list[CellSummary]] = {}
    for row in summary.cells:
        if row.status == "wrong_output":
            alike = [each for each in summary.cells if each.engine_label == row.engine_label]
            several = len({each.title for each in alike}) > 1
            every = several and all(each.status != "ok" for each in alike)
            title = "Every model" if every else row.title
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
        text += ". Its time is not shown."
        if rows[0].title == title:
            text += f" The operator, and the smallest model that shows it: `{_shown_by(rows[0])}`."
        yield Finding("defect", text)


def _shown_by(wrong: CellSummary) -> str:
    """Return the command that finds what is wrong, and writes a reproduction."""
    words = ["rtfbench", "explain", "--where-wrong", "--model", wrong.model]
    words += ["--engine", wrong.engine_label, "--form", wrong.form]
    if wrong.chunk_samples != PUBLISHED_CHUNK_SAMPLES:
        words += ["--chunk-samples", str(wrong.chunk_samples)]
    return shlex.join([*words, "--save-repro", f"wrong-{Path(wrong.model).stem}-{wrong.engine}"])


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
    partial = grouped(
        (setting(row), row.utterances)
        for row in summary.cells
        if row.rtf is not None and row.utterances is not None and row.utterances < asked
    )
    for where, counts in partial.items():
        yield Finding(
            "coverage",
            f"{where}: {min(counts)} of {asked} utterances were measured; these rows are of them "
            "alone, and a larger --budget reaches all.",
        )


def _ceiling(summary: Summary) -> Iterator[Finding]:
    """Say of rows over the cores' peak why that can be, or that the peak is none."""
    over = [row for row in summary.cells if (row.peak_share or 0.0) > 1 + PEAK_TOLERANCE]
    for how, rows in grouped((row.effective.get(FEWER_OPERATIONS), row) for row in over).items():
        engines = ", ".join(dict.fromkeys(row.engine_label for row in rows))
        most = figures.percent(max(row.peak_share or 0.0 for row in rows))
        text = (
            f"{engines}: up to {most} of the cores' peak, because {how} need fewer operations than "
            "the model's definition counts."
            if how
            else f"{engines}: {most} of the cores' estimated peak, and nothing is known "
            "that would save operations: the peak estimate is too low, ignore `of peak`."
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
        each = ", ".join(f"{figures.percent(shares[size])} at {size}" for size in sorted(shares))
        yield Finding(
            "padding",
            "Filling up the last chunk adds audio that is computed and not counted in the "
            f"duration: {each} samples (exact for these utterances).",
        )


def _seconds(summary: Summary) -> Iterator[Finding]:
    """Say what an utterance takes at each chunk size: padding and speed together."""
    environment = summary.environment
    groups = grouped(
        ((row.model, row.threads), row)
        for row in summary.cells
        if row.protocol == STEADY.name
        and row.rtf is not None
        and row.utterances in (None, len(environment.audio))
    )
    for (_, threads), rows in groups.items():
        best: dict[int, CellSummary] = {}
        for row in sorted(rows, key=lambda row: row.rtf or 0.0):
            best.setdefault(row.chunk_samples, row)
        known = [(size, row.rtf_ci95) for size, row in sorted(best.items()) if row.rtf_ci95]
        if len(known) < 2 or not environment.audio:
            continue
        mean_s = environment.audio_s / len(environment.audio)
        told = ", ".join(
            " to ".join(figures.number(1000 * end * mean_s) for end in ends)
            + f" ms at {'whole utterances' if size == WHOLE_UTTERANCE else size}"
            for size, ends in known
        )
        yield Finding(
            "padding",
            f"{rows[0].title}: an utterance of these lengths ({mean_s:.1f} s on average) takes the "
            f"fastest engine {told} samples a chunk (95 %), padding included (steady, "
            f"{figures.counted(threads, 'thread')}).",
        )
