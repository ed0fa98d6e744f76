"""Published tables as data, measured again, and what the measurement says of them."""

import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from rtfbench.base import toml_files
from rtfbench.base.errors import InputError, as_input
from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.base.values import Interval, Value
from rtfbench.engines.protocol import EngineSpec, Form
from rtfbench.measure.plan import Engine, Plan
from rtfbench.measure.whole_run import Audience, MeasuredRun, default_folder, measure
from rtfbench.models import names
from rtfbench.models.names import default_form
from rtfbench.models.resolve import resolve
from rtfbench.report import figures, markdown
from rtfbench.report.compare import paired_ratio, side, times
from rtfbench.report.document import Document, Heading, Table, bullets, document, table
from rtfbench.results.cells import Cell, ProtocolName, side_by_side
from rtfbench.results.protocols import PUBLISHED
from rtfbench.results.rows import CellSummary, Summary

FOLDER = Path(__file__).parent / "published"

#: In the order in which they are told.
Verdict = Literal["reproduced", "explained by", "not reproduced", "cannot tell", "not measured"]


class Row(Value):
    """A published row; `form` is the engine's own where it is left out."""

    label: str
    model: str
    engine: Engine
    form: Form | None = None
    rtf: Annotated[float, Field(gt=0)]
    params: str | None = None
    flops: str | None = None


class RowPair(Value):
    """Two rows, by label: how many times as long `row` takes as `against`."""

    row: str
    against: str


class Control(RowPair):
    """The same pair with one thing of `row` changed.

    When the ratio becomes `expect`, the published one if none is named, `reason` explains it.
    """

    form: Form | None = None
    protocol: ProtocolName | None = None
    engine: Engine | None = None
    expect: Annotated[float, Field(gt=0)] | None = None
    reason: str


class Claim(Value):
    """A published table: its conditions, rows, and the ratios that are compared."""

    title: str
    source: str
    cpu: str = ""
    threads: Annotated[int, Field(ge=1)] = 1
    chunk_samples: int = PUBLISHED_CHUNK_SAMPLES
    protocol: ProtocolName = PUBLISHED.name
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.15
    row: Annotated[tuple[Row, ...], Field(min_length=1)]
    ratio: tuple[RowPair, ...] = ()
    control: tuple[Control, ...] = ()

    @model_validator(mode="after")
    def _labels_are_known(self) -> "Claim":
        labels = [row.label for row in self.row]
        if len(set(labels)) != len(labels):
            raise ValueError("two rows have the same label")
        for pair in (*self.ratio, *self.control):
            for label in (pair.row, pair.against):
                if label not in labels:
                    raise ValueError(
                        f"no row is labelled {label!r}; there are: {', '.join(labels)}"
                    )
        return self

    def get(self, label: str) -> Row:
        """Return the row of a label."""
        return next(row for row in self.row if row.label == label)

    def published(self, pair: RowPair) -> float:
        """Return the ratio of two published rows."""
        return self.get(pair.row).rtf / self.get(pair.against).rtf


@dataclass(frozen=True)
class Judged:
    """A published ratio, what was measured, and the verdict."""

    pair: RowPair
    published: float
    measured: float | None
    ci95: Interval | None
    paired: bool
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class ComparedCount:
    """A published count of a row beside the one that was counted, compared digit by digit."""

    label: str
    what: str
    published: str
    counted: str

    @property
    def same(self) -> bool:
        """Whether every digit agrees."""
        return self.published == self.counted


def claim_names() -> list[str]:
    """Return the claims that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_claim(name: str) -> Claim:
    """Read a claim of the package by name, or a TOML file by path.

    Raises:
        InputError: no such claim, or one that cannot be understood.
    """
    path = FOLDER / f"{name}.toml"
    if name not in claim_names():
        path = Path(name)
        if path.suffix != ".toml":
            near = difflib.get_close_matches(name, claim_names(), n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(claim_names())}"
            raise InputError(f"no claim {name!r}: {hint} (or name a .toml file)")
    return toml_files.validate(Claim, toml_files.read_toml(path, "claim"), path)


def on(claim: Claim, place: Callable[[EngineSpec], EngineSpec]) -> Claim:
    """Return a claim with another specification for each engine."""

    def placed(engine: EngineSpec | None) -> dict[str, EngineSpec | None]:
        return {"engine": engine and place(engine)}

    rows = tuple(each.model_copy(update=placed(each.engine)) for each in claim.row)
    controls = tuple(each.model_copy(update=placed(each.engine)) for each in claim.control)
    return claim.model_copy(update={"row": rows, "control": controls})


def cell(claim: Claim, row: Row, control: Control | None = None) -> Cell:
    """Return what is measured for a row, or for the control that takes its place."""
    engine = (control.engine if control else None) or row.engine
    changed = control.form if control else None
    return Cell(
        model=row.model,
        engine=engine.name,
        settings=engine.settings,
        precision=engine.computes,
        form=changed or row.form or default_form(engine.name),
        threads=claim.threads,
        chunk_samples=claim.chunk_samples,
        protocol=(control.protocol if control else None) or claim.protocol,
    )


def cells(claim: Claim) -> tuple[Cell, ...]:
    """Return every cell that a claim needs, those that are compared side by side."""
    found = [cell(claim, row) for row in claim.row]
    for control in claim.control:
        for label, changed in ((control.row, control), (control.against, _protocol_only(control))):
            row = claim.get(label)
            found.append(cell(claim, row, changed))
    return side_by_side(found)


def judge(claim: Claim, summary: Summary) -> list[Judged]:
    """Compare every published ratio with the measured one, and with its controls."""

    def find(label: str, control: Control | None) -> CellSummary | None:
        return measured_row(claim, summary, claim.get(label), control)

    found: list[Judged] = []
    for pair in claim.ratio:
        published = claim.published(pair)
        measured = _ratio(summary, find(pair.row, None), find(pair.against, None))
        verdict: Verdict = "not measured"
        if measured is not None:
            verdict = _verdict(measured[1], published, claim.tolerance)
        reason = ""
        for control in claim.control:
            if (control.row, control.against) != (pair.row, pair.against) or measured is None:
                continue
            left, right = find(pair.row, control), find(pair.against, _protocol_only(control))
            controlled = _ratio(summary, left, right)
            expected = published if control.expect is None else control.expect
            if controlled and (_verdict(controlled[1], expected, claim.tolerance) == "reproduced"):
                verdict = "explained by" if verdict == "not reproduced" else verdict
                ends = "" if controlled[1] is None else f" ({_ends(controlled[1])})"
                reason = f"{control.reason}: {figures.times(controlled[0])}{ends}"
                break
        ratio, ci95, paired = measured or (None, None, False)
        found.append(Judged(pair, published, ratio, ci95, paired, verdict, reason))
    return found


def counts(claim: Claim, summary: Summary) -> list[ComparedCount]:
    """Compare the published Params and FLOPs with the counted ones."""
    found: list[ComparedCount] = []
    for row in claim.row:
        measured = measured_row(claim, summary, row)
        pairs = (
            ("Params", row.params, figures.params(measured.params if measured else None)),
            ("FLOPs", row.flops, figures.flops(measured.flops if measured else None)),
        )
        found += [
            ComparedCount(row.label, what, published, counted)
            for what, published, counted in pairs
            if published is not None
        ]
    return found


def measured_row(
    claim: Claim, summary: Summary, row: Row, control: Control | None = None
) -> CellSummary | None:
    """Return what was measured for a published row, or for the control that takes its place."""
    wanted = cell(claim, row, control)
    sought = wanted.condition, wanted.engine_label, wanted.form
    rows = (
        each for each in summary.cells if sought == (each.condition, each.engine_label, each.form)
    )
    return next(rows, None)


def _ends(ci95: Interval) -> str:
    return " to ".join(figures.times(end).removesuffix("×") for end in ci95)


def _protocol_only(control: Control) -> Control:
    """Return what a control changes of the other row: the protocol, which both must share."""
    return control.model_copy(update={"form": None, "engine": None})


def _ratio(
    summary: Summary, left: CellSummary | None, right: CellSummary | None
) -> tuple[float, Interval | None, bool] | None:
    """Return the ratio of two rows, its interval, and whether they were measured in turns."""
    if left is None or right is None or left.rtf is None or right.rtf is None:
        return None
    if left.condition == right.condition:
        paired = paired_ratio(summary, left.condition, side(left), side(right))
        if paired is not None:
            return paired.ratio, paired.ci95, True
    ci95 = None
    if left.rtf_ci95 and right.rtf_ci95:
        ci95 = (left.rtf_ci95[0] / right.rtf_ci95[1], left.rtf_ci95[1] / right.rtf_ci95[0])
    return left.rtf / right.rtf, ci95, False


def _verdict(ci95: Interval | None, wanted: float, tolerance: float) -> Verdict:
    """Judge by the whole measured interval: in the tolerance, outside of it, or across its end."""
    low, high = ci95 or (0.0, math.inf)
    most, least = wanted * (1 + tolerance), wanted / (1 + tolerance)
    if least <= low and high <= most:
        return "reproduced"
    return "not reproduced" if high < least or most < low else "cannot tell"


def of_claim(claim: Claim, summary: Summary) -> Document:
    """Return the whole comparison."""
    rows = [measured_row(claim, summary, row) for row in claim.row]
    judged, counted = judge(claim, summary), counts(claim, summary)
    environment = summary.environment
    conditions = (
        f"{figures.setting(claim.chunk_samples, claim.threads)}, {claim.protocol} protocol. "
        f"Published: {claim.cpu or 'an unnamed CPU'}. Measured: {environment.cpu_kind}, rtfbench "
        f"{environment.rtfbench}. Absolute RTFs are two machines': ratios are compared."
    )
    unpaired = any(not each.paired and each.measured is not None for each in judged)
    return document(
        Heading(claim.title),
        f"Source: {claim.source}.",
        conditions,
        _rows(claim, rows),
        *(_ratios(claim, judged) if judged else ()),
        bullets(
            f"{_pair(each)}: {each.verdict}{' ' if each.verdict == 'explained by' else '; '}"
            f"{each.reason}."
            for each in judged
            if each.reason
        ),
        "An asterisk marks ratios of two medians, not of paired measurements: their intervals are "
        "wide enough for the drift within a row, not between rows."
        if unpaired
        else None,
        _counts(counted) if counted else None,
        bullets(
            f"{row.title}, {row.engine_label}: {row.status.replace('_', ' ')}: {row.reason}"
            for row in rows
            if row is not None and row.status != "ok"
        ),
        verdict(judged, counted),
    )


def verdict(judged: Sequence[Judged], counted: Sequence[ComparedCount]) -> str:
    """Return the claim's end in one line."""
    tally = {kind: sum(each.verdict == kind for each in judged) for kind in get_args(Verdict)}
    told = [f"{count} {kind.removesuffix(' by')}" for kind, count in tally.items() if count]
    same = sum(each.same for each in counted)
    return (
        f"Verdict: of {len(judged)} ratios {', '.join(told) or 'none'}; "
        f"{same} of {len(counted)} counts agree digit by digit."
    )


def _rows(claim: Claim, rows: Sequence[CellSummary | None]) -> Table:
    lines = []
    for published, row in zip(claim.row, rows, strict=True):
        ok = row is not None and row.status == "ok"
        ended = figures.MISSING if row is None else row.status.replace("_", " ")
        lines.append(
            (
                published.label,
                str(published.engine),
                f"{published.rtf:g}",
                figures.rtf(row.rtf) if row is not None and ok else ended,
                figures.plus_minus(row.rtf_ci95) if row else figures.MISSING,
            )
        )
    return table(["row", "engine", "published RTF", "measured RTF", "95 %"], lines, "llrrr")


def _ratios(claim: Claim, judged: Sequence[Judged]) -> Iterator[Table | str]:
    lines = []
    for each in judged:
        measured = figures.MISSING
        if each.measured is not None:
            measured = times(each.measured, each.ci95) + ("" if each.paired else " *")
        lines.append((_pair(each), figures.times(each.published), measured, each.verdict))
    yield table(["ratio", "published", "measured (95 %)", "verdict"], lines, "lrrl")
    yield (
        f"Reproduced: the whole interval lies within {figures.percent(claim.tolerance)} of the "
        "published ratio; not reproduced: none of it does."
    )


def _counts(counted: Sequence[ComparedCount]) -> Table:
    lines = (
        (each.label, each.what, each.published, each.counted, "same" if each.same else "differ")
        for each in counted
    )
    return table(["row", "count", "published", "counted", "digits"], lines, "llrrl")


def _pair(each: Judged) -> str:
    return f"{each.pair.row} / {each.pair.against}"


REPLAY = "replay.md"


def replay(
    name: str,
    *,
    audio: tuple[Path, ...],
    budget_s: float | None,
    out: Path | None,
    audience: Audience,
) -> tuple[MeasuredRun, Document]:
    """Measure what a claim was measured with, and return the run and the page of both."""
    claim = on(
        load_claim(name), lambda engine: names.with_home(engine, names.homes_of([engine.name]))
    )
    with as_input(InputError, before=f"{name}: "):
        resolved = resolve(cells(claim))
    flags = {} if budget_s is None else {"budget_s": budget_s}
    try:
        plan = Plan.model_validate({"audio": audio, **flags})
    except ValueError as error:
        raise InputError(f"--budget: must be greater than 0, not {budget_s:g}") from error
    path = out or default_folder(f"{Path(name).stem}-")
    measured = measure(plan, resolved, path, audience)
    told = of_claim(claim, measured.summary)
    measured.folder.write(REPLAY, markdown.draw(told))
    return measured, told
