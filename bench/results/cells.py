"""What is measured: cells, and what those that are compared have in common."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from bench.base.values import Value
from engines.protocol import FLOAT32, Form, Precision

Status = Literal[
    "ok", "unsupported", "unavailable", "wrong_output", "failed", "timed_out", "out_of_memory"
]
Protocol = Literal["published", "steady", "throughput"]
Effective = dict[str, str | int | float]
#: The replica of a group's reference, which tells what the machine cannot tell apart.
GHOST = "ghost"


def engine_label(name: str, settings: Mapping[str, str], precision: Precision) -> str:
    """Write an engine as on the command line: `name:precision[key=value,...]`."""
    inside = ",".join(f"{key}={value}" for key, value in settings.items())
    computes = "" if precision == FLOAT32 else f":{precision}"
    return f"{name}{computes}[{inside}]" if inside else f"{name}{computes}"


class Condition(Value):
    """What cells that are compared have in common: they take turns under one condition.

    `jobs` is how many processes work at once, each with so many `threads`; `batch` is how many
    chunks of equal length run together at most.
    """

    model: str
    threads: Annotated[int, Field(ge=1)]
    chunk_samples: int
    protocol: Protocol
    jobs: Annotated[int, Field(ge=1)] = 1
    batch: Annotated[int, Field(ge=1)] = 1

    @property
    def condition(self) -> "Condition":
        """The condition alone, of whatever was measured under it."""
        return Condition(
            model=self.model,
            threads=self.threads,
            chunk_samples=self.chunk_samples,
            protocol=self.protocol,
            jobs=self.jobs,
            batch=self.batch,
        )

    @property
    def setting(self) -> tuple[int, int, int, int]:
        """Chunk size, threads, jobs and batch: all of it but the model and the protocol."""
        return self.chunk_samples, self.threads, self.jobs, self.batch

    @property
    def cores(self) -> int:
        """How many cores it keeps at work."""
        return self.jobs * self.threads


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

    @property
    def engine_label(self) -> str:
        """The engine with its settings, as it is written on the command line."""
        return engine_label(self.engine, dict(sorted(self.settings.items())), self.precision)

    def id(self, artifact_sha256: str) -> str:
        """Return a stable name for this cell on this very model file."""
        content = self.model_dump()
        # Cells of before there were others keep their names.
        for name, neutral in {"precision": FLOAT32, "jobs": 1, "batch": 1}.items():
            if content[name] == neutral:
                del content[name]
        text = json.dumps([content, artifact_sha256], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


#: An embedding that is further from the reference, relative to its largest value, is wrong.
MAX_REL_ERR = 1e-3
#: In other precisions an embedding of a lower cosine to the reference is wrong. What is above costs
#: accuracy, and trials tell how much.
LEAST_COSINE: Mapping[Precision, float] = {
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
