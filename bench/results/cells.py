"""What is measured: cells, and what those that are compared have in common."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from rtfbench.base.values import Value, grouped
from rtfbench.engines.protocol import CPU, FLOAT32, EngineSpec, Form, Precision, SessionOptions
from rtfbench.results import protocols
from rtfbench.results.load import Load

Status = Literal[
    "ok", "unsupported", "unavailable", "wrong_output", "failed", "timed_out", "out_of_memory"
]
#: A protocol as plans, cells and rows name it; an unknown one is refused.
ProtocolName = Annotated[str, AfterValidator(lambda name: protocols.named(name).name)]
Effective = dict[str, str | int | float]
#: Fields of a cell that came later -> the value at which a cell keeps its earlier name.
NEUTRAL: Mapping[str, object] = {
    "precision": FLOAT32,
    "jobs": 1,
    "batch": 1,
    "device": CPU,
    "rate_per_s": 0.0,
    "load": None,
}
#: The replica of a group's reference, which tells what the machine cannot tell apart.
GHOST = "ghost"
#: The reason of a cell that the user ended before its first intervals.
INTERRUPTED = "interrupted"


def on_device(engine: EngineSpec, device: str) -> str:
    """Write where an engine computes, where that is not the CPU."""
    return str(engine) if device == CPU else f"{engine} on {device}"


class Condition(Value):
    """What cells that are compared have in common: they take turns under one condition.

    `jobs` is how many processes work at once, each with so many `threads`; `batch` is how many
    chunks of equal length run together at most.
    """

    model: str
    threads: Annotated[int, Field(ge=1)]
    chunk_samples: int
    protocol: ProtocolName
    jobs: Annotated[int, Field(ge=1)] = 1
    batch: Annotated[int, Field(ge=1)] = 1
    #: How many requests arrive a second, 0 where the protocol offers none: as the load says.
    rate_per_s: Annotated[float, Field(ge=0)] = 0.0
    #: How requests arrive, where the protocol offers any.
    load: Load | None = None

    @model_validator(mode="before")
    @classmethod
    def _rate_is_the_loads(cls, values: Any) -> Any:
        load = values.get("load") if isinstance(values, dict) else None
        if not load:
            return values
        return values | {"rate_per_s": Load.model_validate(load).rate_per_s}

    @property
    def condition(self) -> "Condition":
        """The condition alone, of whatever was measured under it."""
        return _condition(*(getattr(self, name) for name in Condition.model_fields))

    @property
    def setting(self) -> tuple[int, int, int, int, Load | None]:
        """Chunk size, threads, jobs, batch and load: all but the model and the protocol."""
        return self.chunk_samples, self.threads, self.jobs, self.batch, self.load

    @property
    def cores(self) -> int:
        """How many cores it keeps at work."""
        return self.jobs * self.threads


@cache
def _condition(*values: Any) -> Condition:
    """Return a condition of its fields' values, in their order.

    It is made once: a report asks each row for its own thousands of times.
    """
    return Condition(**dict(zip(Condition.model_fields, values, strict=True)))


class Cell(Condition):
    """One point of the sweep: what is measured, and how.

    A replica is the same cell once more, under another name: its ratio to the original is 1, and
    what comes out instead is the noise of the machine. `slowdown` adds this share of a call's own
    time to it, by computing on: a difference that is known.
    """

    engine: str
    settings: dict[str, str] = Field(default_factory=dict)
    precision: Precision = FLOAT32
    form: Form
    replica: str = ""
    slowdown: float = 0.0
    device: str = CPU

    @property
    def engine_spec(self) -> EngineSpec:
        """The engine with its settings."""
        return EngineSpec(self.engine, self.settings, self.precision)

    @property
    def engine_label(self) -> str:
        """The engine as tables name it: behind it stands the device, where that is not the CPU."""
        return on_device(self.engine_spec, self.device)

    @property
    def options(self) -> SessionOptions:
        """How its sessions are opened."""
        return SessionOptions(self.threads, self.settings, self.precision, self.device)

    def id(self, artifact_sha256: str) -> str:
        """Return a stable name for this cell on this very model file."""
        content = self.model_dump(mode="json")
        # A field that comes later changes no cell's name.
        for name, neutral in NEUTRAL.items():
            if content[name] == neutral:
                del content[name]
        text = json.dumps([content, artifact_sha256], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def unique(cells: Iterable[Cell]) -> list[Cell]:
    """Return every cell once."""
    return list({cell.model_dump_json(): cell for cell in cells}.values())


def side_by_side(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Return every cell once, those of a condition side by side."""
    groups = grouped((cell.condition, cell) for cell in unique(cells))
    return tuple(chain.from_iterable(groups.values()))


#: An embedding that is further from the reference, relative to its largest value, is wrong.
MAX_REL_ERR = 1e-3
#: In other precisions an embedding of a lower cosine to the reference is wrong. What is above costs
#: accuracy, and trials tell how much.
LEAST_COSINE: Mapping[Precision, float] = {
    "tf32": 0.999,
    "bf16": 0.999,
    "fp16": 0.999,
    "fp16-weights": 0.999,
    "int8-weights": 0.99,
    "int8": 0.9,
}


class Parity(Value):
    """How far an embedding lies from the reference; the worst chunk of all that were compared.

    `max_rel_err` is the largest absolute difference divided by the reference's largest absolute
    value.
    """

    cosine: float
    max_rel_err: float
    ok: bool
