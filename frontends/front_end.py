"""What a model is fed: a waveform's way to features, as one value that travels with the model."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_origin

import numpy as np

from rtfbench.frontends.fbank import Fbank, FbankConfig, check_choices, without_none
from rtfbench.frontends.spectra import Float32Array

#: int16: samples from -32768 to 32767; unit: from -1 to 1.
Scale = Literal["int16", "unit"]
Normalization = Literal["none", "mean", "mean-variance", "global"]
#: Axes of a model's input: batch, frames and mel bins, or batch and samples.
Layout = Literal["BTM", "BMT", "BN", "B1N"]
#: What becomes of a last chunk with too few frames: it is filled up from the beginning of the
#: utterance, moved back so that it ends with the utterance, kept short, or dropped. An utterance
#: that is shorter than a chunk is repeated unless it is kept short.
LastChunk = Literal["fill", "back", "short", "drop"]
#: What a model's second input counts; shares are of the longest in the batch.
Lengths = Literal["frames", "samples", "shares"]

#: Of every feature: its mean over time, and its standard deviation where that is divided by.
Statistics = tuple[Float32Array, Float32Array | None]

UNIT = 1 / 32768
LEAST_FRAMES = 3
#: Added to standard deviations, as NeMo does.
LEAST_DEVIATION = np.float32(1e-5)


@dataclass(frozen=True)
class FrontEnd:
    """What a model is fed; the defaults are WeSpeaker's.

    Attributes:
        base: The preset that it is, or that it began as.
        fbank: How features are computed; of a waveform model only the sample rate counts.
        waveform: Whether the model takes samples in place of features.
        scale: Of the samples.
        normalization: What is done to every feature over time: nothing, its mean taken off, also
            divided by its standard deviation, or `means` and `deviations` in their place.
        normalized_over: Whether that is done to each chunk by itself, or over the utterance.
        unbiased_deviation: Whether a deviation is over one frame fewer than there are.
        chunk_samples: Length of a chunk where nobody asks for another, -1 for the whole utterance;
            None leaves it to the command.
        chunk_hop: Samples from one chunk to the next; None is a chunk's length.
        last_chunk: What becomes of a last chunk with too few frames.
        means: One a feature, where the normalisation is global.
        deviations: The same; without any, only the means are taken off.
        layout: Axes of the model's input; None where its shape tells.
        lengths: What the model's input of lengths counts; None where its name and type tell.
        output: Name of the embedding among the model's outputs; None where its shape tells.
    """

    base: str = "wespeaker"
    fbank: FbankConfig = field(default_factory=FbankConfig)
    waveform: bool = False
    scale: Scale = "int16"
    normalization: Normalization = "mean"
    normalized_over: Literal["chunk", "utterance"] = "chunk"
    unbiased_deviation: bool = True
    chunk_samples: int | None = None
    chunk_hop: int | None = None
    last_chunk: LastChunk = "fill"
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    layout: Layout | None = None
    lengths: Lengths | None = None
    output: str | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: If they contradict each other.
        """
        check_choices(self)
        if self.chunk_samples is not None and self.chunk_samples < 1 and self.chunk_samples != -1:
            raise ValueError(f"chunk_samples must be over 0, or -1, not {self.chunk_samples}")
        if self.chunk_hop is not None and self.chunk_hop < self.frame_shift:
            raise ValueError(f"chunk_hop must be a frame's shift at least, not {self.chunk_hop}")
        if (self.normalization == "global") != bool(self.means):
            raise ValueError('normalization = "global", and no other, needs means')
        for name in ("means", "deviations"):
            count = len(getattr(self, name))
            if count not in (0, self.feat_dim):
                raise ValueError(f"{count} {name} for {self.feat_dim} features")
        if not all(each > 0 for each in self.deviations):
            raise ValueError("deviations must be over 0")
        if self.layout is not None and self.waveform != (self.layout in ("BN", "B1N")):
            takes = "samples" if self.waveform else "features"
            raise ValueError(f"layout {self.layout} is none of {takes}")

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate of the waveform."""
        return self.fbank.sample_rate_hz

    @property
    def feat_dim(self) -> int:
        """Features a frame (M); a waveform has 1, the sample."""
        return 1 if self.waveform else self.fbank.feat_dim

    @property
    def frame_length(self) -> int:
        """Samples in a frame."""
        return 1 if self.waveform else self.fbank.frame_length

    @property
    def frame_shift(self) -> int:
        """Samples from one frame to the next."""
        return 1 if self.waveform else self.fbank.frame_shift

    @property
    def least_samples(self) -> int:
        """Samples of the shortest waveform that has a frame."""
        return 1 if self.waveform else self.fbank.least_samples

    @property
    def least_frames(self) -> int:
        """Frames that a voice needs: of fewer a mean, and differences from it, say nothing."""
        if not self.waveform:
            return LEAST_FRAMES
        return self.fbank.frame_length + (LEAST_FRAMES - 1) * self.fbank.frame_shift

    @property
    def frames_stand_alone(self) -> bool:
        """Whether a frame's features depend on its own samples alone, before normalising."""
        fbank = self.fbank
        return (
            not self.waveform
            and fbank.edges == "snip"
            and fbank.preemphasis_over == "frame"
            and fbank.top_db is None
        )

    def num_frames(self, num_samples: int) -> int:
        """Count the frames of a waveform; may be 0."""
        return num_samples if self.waveform else self.fbank.num_frames(num_samples)

    def with_bins(self, num_mel_bins: int) -> "FrontEnd":
        """Return the same with so many mel bins."""
        return replace(self, fbank=replace(self.fbank, num_mel_bins=num_mel_bins))

    def with_values(self, values: Mapping[str, Any]) -> "FrontEnd":
        """Return the same with some values changed, by the names of `values`.

        Raises:
            ValueError: If there is no such value, or it is out of range.
        """
        mine = {each.name: each.type for each in fields(FrontEnd) if each.name != "fbank"}
        inner = {each.name: each.type for each in fields(FbankConfig)}
        types = mine | inner
        for name, value in values.items():
            if name not in types:
                known = ", ".join(sorted(types))
                raise ValueError(f"a front end has no {name!r}; it has: {known}")
            _check_type(name, types[name], value)
        fbank = replace(self.fbank, **{k: v for k, v in values.items() if k in inner})
        outer: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in mine
        }
        return replace(self, fbank=fbank, **outer)

    def values(self) -> dict[str, Any]:
        """Return every value by its name, in one level."""
        found = asdict(self)
        return {**found.pop("fbank"), **found}

    @property
    def as_samples(self) -> "FrontEnd":
        """What is fed to a runtime that brings this front end itself: samples from -1 to 1."""
        return replace(self, waveform=True, scale="unit", normalization="none", layout=None)

    def differences(self, other: "FrontEnd") -> dict[str, tuple[Any, Any]]:
        """Return what computes something else, by name: the value here and the other's."""
        mine, theirs = self.values(), other.values()
        skipped = {"base", "layout", "lengths", "output"}
        if self.waveform and other.waveform:
            skipped |= {each.name for each in fields(FbankConfig)} - {"sample_rate_hz"}
        return {
            name: (mine[name], theirs[name])
            for name in mine
            if name not in skipped and mine[name] != theirs[name]
        }

    def __str__(self) -> str:
        """Return the preset's name, and in what it differs from the preset."""
        preset = PRESETS.get(self.base, WESPEAKER)
        if self.waveform and not preset.waveform:
            return f"{self.base}'s own, of {self.sample_rate_hz} Hz"
        differing = self.differences(preset)
        told = ", ".join(f"{name} {_short(mine)}" for name, (mine, _) in differing.items())
        return f"{self.base} ({told})" if told else self.base

    @property
    def needs_statistics(self) -> bool:
        """Whether normalising looks at the features first."""
        return self.normalization in ("mean", "mean-variance")

    def statistics(self, features_TM: Float32Array) -> "Statistics":
        """Return the mean of every feature over time, and its deviation where that matters."""
        # Summed in float64: a whole utterance can have too many frames for float32.
        mean_M = features_TM.mean(axis=0, dtype=np.float64).astype(np.float32)
        if self.normalization == "mean":
            return mean_M, None
        freedom = max(len(features_TM) - self.unbiased_deviation, 1)
        squares_M = np.square(features_TM - mean_M).sum(axis=0, dtype=np.float64)
        return mean_M, np.sqrt(squares_M / freedom).astype(np.float32) + LEAST_DEVIATION

    def normalized(
        self, features_TM: Float32Array, statistics: "Statistics | None" = None
    ) -> Float32Array:
        """Return features as the model takes them.

        Args:
            features_TM: Of an utterance, or of a part of it; not changed.
            statistics: Those that they are normalised by; None takes their own.
        """
        if self.normalization == "none":
            return features_TM
        if self.normalization == "global":
            mean_M = np.array(self.means, np.float32)
            deviation_M = np.array(self.deviations, np.float32) if self.deviations else None
        else:
            mean_M, deviation_M = statistics or self.statistics(features_TM)
        centred_TM = np.subtract(features_TM, mean_M)
        if deviation_M is not None:
            np.divide(centred_TM, deviation_M, out=centred_TM)
        return centred_TM


class Features:
    """Computes what a front end makes of a waveform, up to its chunks. Not thread-safe."""

    def __init__(self, front_end: FrontEnd) -> None:
        """Prepare tables.

        Raises:
            ValueError: As `Fbank`.
        """
        self._gain = np.float32(UNIT if front_end.scale == "unit" else 1.0)
        scale = float(self._gain)
        self._fbank = None if front_end.waveform else Fbank(front_end.fbank, scale=scale)

    def __call__(self, samples: Float32Array) -> Float32Array:
        """Compute the features of a whole waveform, float32[N] in int16 scale: float32[T, M]."""
        if self._fbank is not None:
            return self._fbank(samples)
        return np.multiply(samples, self._gain)[:, np.newaxis]

    def blocks(self, blocks: Iterable[Float32Array]) -> Iterator[Float32Array]:
        """Compute the same of a waveform that comes in blocks."""
        if self._fbank is not None:
            yield from self._fbank.blocks(blocks)
            return
        for block in blocks:
            if len(block):
                yield self(block)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


#: A field's type -> whether a file's value is one, and what it must be; other fields are texts.
_KINDS: Mapping[Any, tuple[Callable[[Any], bool], str]] = {
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (lambda value: _is_number(value) and isinstance(value, int), "a whole number"),
    float: (_is_number, "a number"),
    tuple: (
        lambda value: isinstance(value, list | tuple) and all(map(_is_number, value)),
        "a list of numbers",
    ),
}


def _check_type(name: str, type_: Any, value: Any) -> None:
    """Refuse a value of a file that is of another type."""
    kind = without_none(type_)
    fits, wanted = _KINDS.get(get_origin(kind) or kind, (lambda it: isinstance(it, str), "a text"))
    if value is not None and not fits(value):
        raise ValueError(f"{name} must be {wanted}, not {value!r}")


def _short(value: Any) -> str:
    if isinstance(value, tuple) and len(value) > 3:
        return f"of {len(value)}"
    return f"{value:g}" if isinstance(value, float) else str(value)


WESPEAKER = FrontEnd()
_KALDI = FbankConfig(window="povey")
_NEMO = FbankConfig(
    window="hann",
    preemphasis_over="signal",
    remove_dc=False,
    edges="centre-within",
    fft_size=512,
    low_freq_hz=0.0,
    mel_scale="slaney",
    mel_sides="hertz",
    mel_norm="slaney",
    log_floor=2.0**-24,
    log_floor_added=True,
)
_SPEECHBRAIN = FbankConfig(
    window="hamming",
    window_periodic=True,
    preemphasis=0.0,
    remove_dc=False,
    edges="centre",
    fft_size=400,
    low_freq_hz=0.0,
    mel_sides="hertz-even",
    log="decibel",
    log_floor=1e-10,
    top_db=80.0,
)
_UNIT: Mapping[str, Any] = {"scale": "unit", "normalized_over": "utterance"}
PRESETS: Mapping[str, FrontEnd] = {
    "wespeaker": WESPEAKER,
    # speakerlab's FBank: torchaudio's Kaldi features of samples in -1 to 1, less their mean.
    "3d-speaker": FrontEnd("3d-speaker", _KALDI, **_UNIT),
    # Its extractor's feature configuration; the mean is taken off where the model says so.
    "sherpa-onnx": FrontEnd(
        "sherpa-onnx", replace(_KALDI, edges="mirror", high_freq_hz=-400.0), **_UNIT
    ),
    # AudioToMelSpectrogramPreprocessor as speaker models configure it.
    "nemo": FrontEnd("nemo", _NEMO, normalization="mean-variance", **_UNIT),
    # lobes.features.Fbank with InputNormalization(norm_type="sentence", std_norm=False).
    "speechbrain": FrontEnd("speechbrain", _SPEECHBRAIN, **_UNIT),
    # The model computes its features itself.
    "pyannote": FrontEnd("pyannote", waveform=True, scale="unit", normalization="none"),
    # compute-fbank-feats as it comes.
    "kaldi": FrontEnd("kaldi", replace(_KALDI, num_mel_bins=23), normalization="none"),
}
