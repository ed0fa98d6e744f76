"""Published figures as data, and what a measurement says of them."""

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rtfbench.base import toml_files
from rtfbench.base.errors import InputError
from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.base.values import Interval, Value
from rtfbench.engines.protocol import Form
from rtfbench.engines.spec import EngineSpec
from rtfbench.measure.plan import Engine
from rtfbench.report import figures
from rtfbench.report.compare import paired_ratio, side
from rtfbench.results.cells import Cell, ProtocolName
from rtfbench.results.protocols import PUBLISHED
from rtfbench.results.rows import CellSummary, Summary

FOLDER = Path(__file__).parent / "published"

Verdict = Literal["reproduced", "not reproduced", "explained by", "cannot tell", "not measured"]
#: Engine name -> the model form that it runs when none is named.
DefaultForm = Callable[[str], Form]


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


def cell(claim: Claim, row: Row, default_form: DefaultForm, control: Control | None = None) -> Cell:
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


def cells(claim: Claim, default_form: DefaultForm) -> tuple[Cell, ...]:
    """Return every cell that a claim needs, those that are compared side by side.

    Args:
        claim: the claim.
        default_form: engine name -> the form that it runs when none is named.
    """
    found = [cell(claim, row, default_form) for row in claim.row]
    for control in claim.control:
        for label, changed in ((control.row, control), (control.against, _protocol_only(control))):
            row = claim.get(label)
            found.append(cell(claim, row, default_form, changed))
    unique = list({each.model_dump_json(): each for each in found}.values())
    groups = list(dict.fromkeys(each.condition for each in unique))
    return tuple(sorted(unique, key=lambda each: groups.index(each.condition)))


def judge(claim: Claim, summary: Summary, default_form: DefaultForm) -> list[Judged]:
    """Compare every published ratio with the measured one, and with its controls."""

    def find(label: str, control: Control | None) -> CellSummary | None:
        return _row_of(summary, cell(claim, claim.get(label), default_form, control))

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


def counts(claim: Claim, summary: Summary, default_form: DefaultForm) -> list[ComparedCount]:
    """Compare the published Params and FLOPs with the counted ones."""
    found: list[ComparedCount] = []
    for row in claim.row:
        wanted = cell(claim, row, default_form)
        measured = _row_of(summary, wanted)
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
    claim: Claim, summary: Summary, row: Row, default_form: DefaultForm
) -> CellSummary | None:
    """Return what was measured for a published row."""
    return _row_of(summary, cell(claim, row, default_form))


def _ends(ci95: Interval) -> str:
    return " to ".join(figures.times(end).removesuffix("×") for end in ci95)


def _protocol_only(control: Control) -> Control:
    """Return what a control changes of the other row: the protocol, which both must share."""
    return control.model_copy(update={"form": None, "engine": None})


def _row_of(summary: Summary, wanted: Cell) -> CellSummary | None:
    for row in summary.cells:
        if row.condition == wanted.condition and (
            (row.engine_label, row.form) == (wanted.engine_label, wanted.form)
        ):
            return row
    return None


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
