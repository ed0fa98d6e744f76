"""What a trial of a printed figure finds: how often it is right, against how often it says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtfbench.report.markdown import grid
from tests.validation.rates import rate

#: In between these an interval of 95 % holds as often as it says.
HOLDS = (0.92, 0.98)
#: How often a report may say "surely" of what is not so.
SURELY = (0.0, 0.01)


@dataclass(frozen=True)
class Tried:
    """One line: a figure on one kind of simulated machine, speakers or histories.

    `right` counts what `nominal` speaks of: intervals that hold the truth, or reports that say
    something wrong. `aim` are the shares within which it is as promised. `least` and `most` are the
    shares of the layouts that are pooled; `half_width` is a median, relative.
    """

    figure: str
    simulated: str
    nominal: str
    trials: int
    right: int
    aim: tuple[float, float] = HOLDS
    least: float | None = None
    most: float | None = None
    half_width: float | None = None

    @property
    def share(self) -> float:
        """How often."""
        return self.right / self.trials

    @property
    def within(self) -> bool:
        """Whether it is as promised."""
        return self.aim[0] <= self.share <= self.aim[1]


#: A trial tries a figure so many times a layout, with this seed.
Trial = Callable[[int, int], list[Tried]]


def trial_table(rows: Sequence[Tried]) -> str:
    """Return a line for each."""
    lines = [["figure", "simulated", "nominal", "found", "layouts", "half width", "as promised"]]
    lines += [
        [
            row.figure,
            row.simulated,
            row.nominal,
            rate(row.right, row.trials),
            "" if row.least is None or row.most is None else f"{row.least:.0%} to {row.most:.0%}",
            "" if row.half_width is None else f"{row.half_width:.1%}",
            "yes" if row.within else f"no: {row.aim[0]:.0%} to {row.aim[1]:.0%}",
        ]
        for row in rows
    ]
    return grid(lines, [False, False, False, True, True, True, False])
