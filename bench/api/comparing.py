"""Hold two sides against each other, as `rtfbench compare` does."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from bench.api.progress import ProgressCallback, Told
from bench.base.published import PUBLISHED_CHUNK_SAMPLES
from bench.gate import report
from bench.gate.held import Held, hold
from bench.gate.verdict import Answer, Ruling, overall


@dataclass(frozen=True)
class Verdict:
    """What a comparison found; `bench.compare` makes it."""

    held: Held

    @property
    def answer(self) -> Answer:
        """`pass`, `regression` or `inconclusive`, of all rulings together."""
        return overall(self.held.rulings)

    @property
    def rulings(self) -> Sequence[Ruling]:
        """What was found of every criterion of every cell: its ratio, interval and reason."""
        return self.held.rulings

    @property
    def seconds(self) -> float:
        """How long measuring took; 0 where two finished runs were compared."""
        return self.held.seconds

    @property
    def seed(self) -> int | None:
        """The seed of the order of turns; None where two finished runs were compared."""
        return self.held.seed

    def to_markdown(self) -> str:
        """Return the table, with the answer above it."""
        return report.markdown(self.rulings, title=self.held.title, notes=self.held.notes)

    def to_dict(self) -> dict[str, Any]:
        """Return what `rtfbench compare --json` prints."""
        held = self.held
        text = report.as_json(held.rulings, title=held.title, seconds=held.seconds, seed=held.seed)
        content: dict[str, Any] = json.loads(text)
        return content

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def __repr__(self) -> str:
        return f"<Verdict {self.held.title}: {self.answer}>"


def compare(
    base: str | PathLike[str],
    candidate: str | PathLike[str],
    *,
    model: str = "resnet34",
    threads: int = 1,
    chunk_samples: int = PUBLISHED_CHUNK_SAMPLES,
    max_regression: float = 0.05,
    budget_s: float = 60.0,
    seed: int | None = None,
    max_rss_mb: float | None = None,
    progress: ProgressCallback | None = None,
) -> Verdict:
    """Say whether a candidate is slower than a base.

    Args:
        base: `engine`, `engine@version` or `engine:model file`, or the folder of a finished run.
        candidate: the same; held against the base, in the same blocks.
        model: name or file, where the sides name none.
        threads: intra-op threads.
        chunk_samples: samples a chunk at 16 kHz.
        max_regression: share under which the interval of the RTF's ratio must stay.
        budget_s: seconds of measuring, the start of processes included.
        seed: of the order of turns; None draws one.
        max_rss_mb: resident memory that a process may take, in 10^6 bytes; None sets no limit.
        progress: is called with a text and the share that is done.

    Raises:
        InputError: a side cannot be read or prepared.
    """
    held = hold(
        str(base),
        str(candidate),
        model=model,
        threads=threads,
        chunk_samples=chunk_samples,
        max_regression=max_regression,
        budget_s=budget_s,
        seed=seed,
        max_rss_mb=max_rss_mb,
        progress=Told(progress),
    )
    if held.interrupted:
        raise KeyboardInterrupt
    return Verdict(held)
