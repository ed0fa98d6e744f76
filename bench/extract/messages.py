"""What the parent and a worker of `extract` say to each other, one JSON object a line."""

import base64
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, TypeAdapter, model_validator

from rtfbench.base.limits import RECORDING_TIMEOUT_S
from rtfbench.base.memory import MemoryLimit
from rtfbench.base.values import Value
from rtfbench.embed.pipeline import read_front_end
from rtfbench.engines.protocol import FLOAT32, EngineSpec, FloatArray, ModelArtifact, Precision
from rtfbench.frontends.addresses import Place
from rtfbench.frontends.front_end import FrontEnd
from rtfbench.inputs.parts import Part


class ExtractionSetup(Value):
    """All that decides what an embedding is; equal settings give equal embeddings.

    `chunk_samples` is the length of a chunk, -1 for the whole utterance. Seeded weights are known
    to tell no speakers apart.
    """

    artifact: ModelArtifact
    engine: str
    settings: dict[str, str] = Field(default_factory=dict)
    precision: Precision = FLOAT32
    chunk_samples: int
    channel: int | None = None
    resample: bool = False
    seeded_weights: bool = False
    #: What decides which frames are speech, empty where all are.
    vad: str = ""

    @model_validator(mode="after")
    def _is_fed(self) -> Self:
        """Refuse a front end that is none: a card or a manifest may have been edited."""
        read_front_end(self.artifact.front_end, self.artifact.feat_dim)
        return self

    @property
    def front_end(self) -> FrontEnd:
        """What the model is fed."""
        return read_front_end(self.artifact.front_end, self.artifact.feat_dim)

    @property
    def spec(self) -> EngineSpec:
        """The engine with its settings."""
        return EngineSpec(self.engine, self.settings, self.precision)

    def differences(self, other: "ExtractionSetup") -> list[str]:
        """Say in which respects two settings differ; where a model file lies is none."""
        mine, theirs = self._facts(), other._facts()
        return [
            f"{name} {mine[name]}, not {theirs[name]}"
            for name in mine
            if mine[name] != theirs[name]
        ]

    def _facts(self) -> dict[str, object]:
        return {
            "engine": self.engine,
            "settings": self.settings,
            "precision": self.precision,
            "front end": str(self.front_end),
            "model file": f"{self.artifact.name} {self.artifact.sha256[:12]}",
            "samples per chunk": self.chunk_samples,
            "channel": self.channel,
            "resampling": self.resample,
            "voice activity detection": self.vad or "none",
        }


class WorkerOptions(Value):
    """How a worker goes about it; an embedding does not depend on it.

    `batch` chunks of equal length run together at most. An utterance may take `timeout_s`, None for
    any time; of a batch that takes longer, each is tried again, alone. A worker that takes more
    than `max_rss_mb` is replaced, as one that dies.
    """

    threads: int = 1
    batch: int = 1
    timeout_s: float | None = RECORDING_TIMEOUT_S
    max_rss_mb: float | None = None

    @property
    def memory(self) -> MemoryLimit:
        """What a process may take."""
        return MemoryLimit.of_megabytes(self.max_rss_mb)


class EmbedderSpec(Value):
    """All that a worker needs to know."""

    setup: ExtractionSetup
    options: WorkerOptions
    cores: tuple[int, ...]


class Task(Value):
    """An utterance to embed; `index` is its place in the list.

    One that is to be `alone` shares no batch, so that what goes wrong is its own.
    """

    index: int
    alone: bool = False
    name: str
    path: Place
    part: Part | None = None


class Opened(Value):
    """The model is loaded."""

    kind: Literal["opened"] = "opened"


class Refused(Value):
    """No session can be opened, and none could by another try."""

    kind: Literal["refused"] = "refused"
    reason: str


class Took(Value):
    """What an embedding took.

    `processing_ns` is from the samples to the embedding; reading the file is not in it.
    `kept_frames` of `frames` were speech; both are 0 without a detector of speech. `file_rate_hz`
    is the file's own sample rate, 0 where there was no file.
    """

    audio_ns: int
    processing_ns: int
    kept_frames: int = 0
    frames: int = 0
    file_rate_hz: int = 0


class Computed(NamedTuple):
    """An embedding, float32 [D], and what it took."""

    embedding_D: FloatArray
    took: Took


class Embedding(Took):
    """What is `Computed` of an utterance, with its embedding as base64."""

    kind: Literal["embedding"] = "embedding"
    index: int
    embedding: str

    @classmethod
    def of(cls, found: Computed, index: int) -> "Embedding":
        """Pack an embedding."""
        packed = base64.b64encode(found.embedding_D.astype("<f4").tobytes()).decode()
        return cls(index=index, embedding=packed, **found.took.model_dump())

    @property
    def values_D(self) -> FloatArray:
        """The embedding, unpacked."""
        return np.frombuffer(base64.b64decode(self.embedding), np.float32)


class Unusable(Value):
    """Why an utterance has no embedding."""

    kind: Literal["unusable"] = "unusable"
    index: int
    reason: str


Answer = Annotated[Opened | Refused | Embedding | Unusable, Field(discriminator="kind")]
ANSWER: TypeAdapter[Opened | Refused | Embedding | Unusable] = TypeAdapter(Answer)
