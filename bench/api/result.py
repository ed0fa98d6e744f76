"""A run's result, to look at and to compute with."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from rtfbench.base.errors import InputError
from rtfbench.base.packages import missing, require
from rtfbench.measure.whole_run import INTERRUPTED, OK, SOME_FAILED
from rtfbench.report import html, markdown, plots
from rtfbench.report.compare import Finding
from rtfbench.report.findings import findings
from rtfbench.report.plots.style import Picture
from rtfbench.report.run_document import of_run
from rtfbench.results.host import Environment
from rtfbench.results.rows import NESTED, CellSummary, Ratio, Summary

FrameLibrary = Literal["pandas", "polars"]


@dataclass(frozen=True)
class Result:
    """What a run amounts to.

    A notebook shows it as tables. `summary` has everything, as `summary.json` does.

    Attributes:
        path: the run folder, with every measurement in `records.jsonl`.
        summary: rows, ratios and noise.
        status: the exit status that `rtfbench run` would have.
    """

    path: Path
    summary: Summary
    status: int | None = None

    @property
    def cells(self) -> tuple[CellSummary, ...]:
        """The rows: one for every cell, with its RTF or the reason why it has none."""
        return self.summary.cells

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        """How many times as long each engine takes as its group's first, with 95 % intervals."""
        return self.summary.ratios

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the numbers say, in sentences, the most important first."""
        return tuple(findings(self.summary))

    @property
    def environment(self) -> Environment:
        """Host, software and input."""
        return self.summary.environment

    @property
    def ok(self) -> bool:
        """Whether every cell was measured and computes the reference's embedding."""
        complete = self.status in (None, OK, SOME_FAILED)
        return complete and all(cell.status == "ok" for cell in self.cells)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the run; `run(..., out=result.path, resume=True)` goes on."""
        return self.status == INTERRUPTED

    def to_dataframe(self, library: FrameLibrary | None = None) -> Any:
        """Return a data frame with a row a cell; one that was not measured has nulls.

        Args:
            library: `pandas` or `polars`; None takes the one that is installed, pandas first.

        Raises:
            InputError: it is not installed.
        """
        wanted = (library,) if library else get_args(FrameLibrary)
        found = [each for each in wanted if not missing(each)]
        if not found:
            names = " or ".join(wanted)
            raise InputError(f"a data frame needs {names}; install it: pip install {wanted[0]}")
        rows = [_flat(cell) for cell in self.cells]
        if found[0] == "polars":
            import polars

            return polars.DataFrame(rows, infer_schema_length=None)
        import pandas

        return pandas.DataFrame(rows)

    def plot(self, kind: str | None = None) -> Picture:
        """Draw a picture, by its name; None draws the first that the result has figures for.

        A notebook shows it. Its `svg` and `png` are the bytes of files.

        Raises:
            InputError: no such picture; the message lists those that there are.
        """
        require("matplotlib")
        drawn = {picture.name: picture for picture in plots.draw(self.summary)}
        if not drawn:
            raise InputError(f"{self.path}: no cell of this run has an RTF: nothing to draw")
        if kind is None:
            return next(iter(drawn.values()))
        if kind not in drawn:
            raise InputError(f"no picture is called {kind!r}: this run has {', '.join(drawn)}")
        return drawn[kind]

    def to_markdown(self) -> str:
        """Return the content of `table.md`."""
        return markdown.draw(of_run(self.summary))

    def _repr_html_(self) -> str:
        return html.draw(of_run(self.summary))

    def __repr__(self) -> str:
        counts = Counter(cell.status for cell in self.cells)
        said = ", ".join(f"{count} {status}" for status, count in counts.items())
        return f"<Result {self.path}: {said or 'no cells'}{', interrupted' * self.interrupted}>"


def _flat(cell: CellSummary) -> dict[str, Any]:
    """Return a row whose values are single ones.

    What is nested becomes columns of its own, or is not in the frame.
    """
    ends = ("", "_low", "_high")
    losses = {"eer_loss": cell.eer_loss, "min_dcf_loss": cell.min_dcf_loss}
    return {
        **cell.model_dump(exclude=set(NESTED)),
        **(cell.own or {}),
        "load": None if cell.load is None else str(cell.load),
        **{
            f"{name}_{end}": value
            for name, interval in (cell.own_ci95 or {}).items()
            for end, value in zip(("low", "high"), interval, strict=True)
        },
        "engine_label": cell.engine_label,
        **dict(zip(("rtf_low", "rtf_high"), cell.rtf_ci95 or (None, None), strict=True)),
        "max_rel_err": cell.parity.max_rel_err if cell.parity else None,
        **{
            f"{name}{end}": value
            for name, loss in losses.items()
            for end, value in zip(ends, loss or (None, None, None), strict=True)
        },
    }
