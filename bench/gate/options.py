"""What a comparison is asked for, as a command, a program or a test says it."""

from collections.abc import Collection
from dataclasses import dataclass

from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.base.memory import MemoryLimit
from rtfbench.engines.protocol import CPU
from rtfbench.gate.verdict import Also
from rtfbench.models.user_models import AS_IT_SAYS, Reading

#: A time may grow by this share unproved; an RTF's interval must stay under the other to pass.
MARGIN, MAX_REGRESSION = 0.02, 0.05


@dataclass(frozen=True)
class GateOptions:
    """What is measured where the sides do not say it, how much slower may pass, and for how long.

    A baseline names its own model, threads and chunk size. An RTF's interval must stay under
    `max_regression` to pass; None takes the baseline's own, or the default. Measuring may take
    `budget_s`, the start of its processes included. The seed of the order of turns is drawn where
    none is given: a fixed one would favour the same side always. The RTF decides, and what `also`
    names.
    """

    model: str = "resnet34"
    device: str = CPU
    threads: int = 1
    chunk_samples: int = PUBLISHED_CHUNK_SAMPLES
    max_regression: float | None = None
    budget_s: float = 60.0
    seed: int | None = None
    max_rss_mb: float | None = None
    also: Collection[Also] = ()
    #: What is said of model files; of a baseline's, the baseline says it.
    reading: Reading = AS_IT_SAYS

    def limit(self, own: float = MAX_REGRESSION) -> float:
        """Return `max_regression`, a baseline's own where none is asked for."""
        return own if self.max_regression is None else self.max_regression

    @property
    def memory(self) -> MemoryLimit:
        """What a process may take; one that takes more ends its side."""
        return MemoryLimit.of_megabytes(self.max_rss_mb)
