"""Hold two sides against each other, as `rtfbench compare` does."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from rtfbench.api.running import ProgressCallback, ToldProgress
from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES, read_regression
from rtfbench.gate import report
from rtfbench.gate.baseline import GateOptions
from rtfbench.gate.held import hold
from rtfbench.gate.measure import Held
from rtfbench.gate.verdict import Also, Answer, Ruling, overall
from rtfbench.models.user_models import Reading
from rtfbench.report import markdown


@dataclass(frozen=True)
class Verdict:
    """What a comparison found; `rtfbench.compare` makes it."""

    held: Held

    @property
    def answer(self) -> Answer:
        """`pass`, `regression` or `inconclusive`, of all rulings that count together."""
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
        return markdown.draw(report.of_gate(self.held))

    def to_dict(self) -> dict[str, Any]:
        """Return what `rtfbench compare --json` prints."""
        content: dict[str, Any] = json.loads(report.as_json(self.held))
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
    front_end: str | None = None,
    model_input: str | None = None,
    model_output: str | None = None,
    threads: int = 1,
    chunk_samples: int = PUBLISHED_CHUNK_SAMPLES,
    max_regression: float | str = 0.05,
    budget_s: float = 60.0,
    seed: int | None = None,
    max_rss_mb: float | None = None,
    also: Collection[Also] = (),
    progress: ProgressCallback | None = None,
) -> Verdict:
    """Say whether a candidate is slower than a base.

    Args:
        base: `engine`, `engine@version` or `engine:model file`, or the folder of a finished run.
        candidate: the same; held against the base, in the same blocks.
        model: name or file, where the sides name none.
        front_end: what model files are fed: a preset's name, or a file in TOML; None is what they
            say themselves.
        model_input: the name of their input, where shapes do not tell.
        model_output: the name of their embedding, where shapes do not tell.
        threads: intra-op threads.
        chunk_samples: samples a chunk at 16 kHz.
        max_regression: share under which the interval of the RTF's ratio must stay, 0.05 or "5%".
        budget_s: seconds of measuring, the start of processes included.
        seed: of the order of turns; None draws one.
        max_rss_mb: resident memory that a process may take, in 10^6 bytes; None sets no limit.
        also: what decides beside the RTF: front-end, harness, load, first-chunk, memory, size.
        progress: is called with a text and the share that is done.

    Raises:
        InputError: a side cannot be read or prepared.
    """
    options = GateOptions(
        model=model,
        reading=Reading(front_end, model_input, model_output),
        threads=threads,
        chunk_samples=chunk_samples,
        max_regression=read_regression(max_regression),
        budget_s=budget_s,
        seed=seed,
        max_rss_mb=max_rss_mb,
        also=also,
    )
    held = hold(str(base), str(candidate), options, ToldProgress(progress))
    if held.interrupted:
        raise KeyboardInterrupt
    return Verdict(held)
