"""What a search for the fastest configuration is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtfbench.base.limits import MAX_EER_LOSS
from rtfbench.engines.protocol import Precision
from rtfbench.engines.spec import EngineSpec
from rtfbench.models.user_models import AS_IT_SAYS, Reading
from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS, Weights
from rtfbench.results.load import Traffic
from rtfbench.tune.space import Goal

#: Seconds of measuring where nothing is said; a capacity takes longer than a time.
BUDGET_S, BUDGETS_S = 120.0, {"server": 600.0, "streams": 600.0}
#: Requests that are a Poisson process, or windows of the default's length.
STEADY_TRAFFIC = Traffic()


@dataclass(frozen=True)
class TuneOptions:
    """What a user asked for; see `rtfbench tune --help`."""

    model: str
    goal: Goal
    reading: Reading = AS_IT_SAYS
    engines: Sequence[EngineSpec] = ()
    precisions: Sequence[Precision] = ()
    chunk_samples: Sequence[int] = ()
    audio: Sequence[Path] = ()
    lengths: Path | None = None
    channel: int | None = None
    resample: bool = False
    latency_ms: float | None = None
    #: How requests arrive, of goals under which they do.
    traffic: Traffic = STEADY_TRAFFIC
    max_rss_mb: float | None = None
    trials: Path | None = None
    trial_audio: Sequence[Path] = ()
    max_eer_loss: float = MAX_EER_LOSS
    weights: Weights = DEFAULT_WEIGHTS
    cores: int | None = None
    margin: float = 0.02
    budget_s: float = BUDGET_S
    timeout_s: float = 120.0
    seed: int | None = None
    libraries: Mapping[str, Path | None] = field(default_factory=dict)
