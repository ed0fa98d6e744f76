"""What a model file is fed: as it says itself, as files beside it say, or as the user says.

Sources are asked in this order, and one that says nothing leaves the word to the next:
`--front-end`, `model.toml` beside the model, the file's own metadata (as rtfbench or sherpa-onnx
writes it), and the `config.yaml` of a WeSpeaker experiment beside it.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from rtfbench.base import toml_files
from rtfbench.base.errors import InputError, as_input
from rtfbench.base.values import Value
from rtfbench.embed.pipeline import read_front_end
from rtfbench.frontends.front_end import PRESETS, WESPEAKER, FrontEnd

#: Of a file's metadata: the whole front end, as rtfbench writes it.
OWN_KEY = "rtfbench.front_end"
BESIDE = "model.toml"
TABLE = "front_end"
CONFIG = "config.yaml"
CURE = f"name another with --front-end, or in {BESIDE} beside the file"
#: Values that say how a file is called, and not what it is fed.
PORTS = ("layout", "lengths", "output")

# What the fields of other toolkits' files are called here.
_FBANK_ARGS = {
    "num_mel_bins": "num_mel_bins",
    "frame_length": "frame_length_ms",
    "frame_shift": "frame_shift_ms",
    "window_type": "window",
    "low_freq": "low_freq_hz",
    "high_freq": "high_freq_hz",
    "preemphasis_coefficient": "preemphasis",
    "remove_dc_offset": "remove_dc",
}
_WINDOWS = {"hanning": "hann", "rect": "rectangular"}
_WITHOUT_EFFECT = ("dither", "sample_frequency", "energy_floor", "round_to_power_of_two")
_NORMALIZE_SAMPLES = {"0": "int16", "1": "unit"}
_NORMALIZE_FEATURES = {"": "none", "global-mean": "mean", "per_feature": "mean-variance"}
_NORMALIZED_AS = {ours: theirs for theirs, ours in _NORMALIZE_FEATURES.items()}
SHERPA_ONNX = "sherpa-onnx"
#: What that runtime takes from the model.
LEFT_TO_MODELS = ("num_mel_bins", "sample_rate_hz", "scale", "normalization")
#: The framework of NeMo's models, and what sherpa-onnx computes for them as it does for no others.
NEMO = "nemo"
_BROUGHT_FOR_NEMO: Mapping[str, Any] = {
    "edges": "snip",
    "low_freq_hz": 0.0,
    "mel_scale": "slaney",
    "mel_sides": "hertz",
    "mel_norm": "slaney",
    "remove_dc": False,
    "unbiased_deviation": False,
}


class Stated(Value):
    """What one source says of a front end: a preset, values that differ from it, or both."""

    origin: str
    base: str | None = None
    values: dict[str, Any] = Field(default_factory=dict)

    def applied(self, front_end: FrontEnd) -> FrontEnd:
        """Return a front end with what is said here.

        Raises:
            InputError: it is none.
        """
        if self.base is not None:
            # A layout of features means nothing to a model of samples, nor the other way round.
            kept = {"lengths": front_end.lengths, "output": front_end.output}
            if self.base == SHERPA_ONNX:
                preset = brought(SHERPA_ONNX, front_end)
            else:
                preset = PRESETS[self.base].with_bins(front_end.fbank.num_mel_bins)
            front_end = preset.with_values(kept)
        with as_input(ValueError, before=f"{self.origin}: "):
            return front_end.with_values(self.values)

    def says(self, name: str) -> bool:
        """Whether a value is said here; a preset says all but the number of mel bins.

        sherpa-onnx's leaves more to the model.
        """
        left = LEFT_TO_MODELS if self.base == SHERPA_ONNX else ("num_mel_bins",)
        return name in self.values or (self.base is not None and name not in left)


class Decided(NamedTuple):
    """The front end that is used, and what a user is told of the choice."""

    front_end: FrontEnd
    notes: tuple[str, ...]


def named(text: str) -> Stated:
    """Return what `--front-end` names: a preset, or a file in TOML.

    Raises:
        InputError: it is neither.
    """
    if text in PRESETS:
        return Stated(origin=f"--front-end {text}", base=text)
    path = Path(text)
    if path.suffix != ".toml" and not path.is_file():
        raise InputError(
            f"--front-end {text}: there is no such front end; it is one of {', '.join(PRESETS)}, "
            "or a file that ends in .toml"
        )
    content = toml_files.read_toml(path, "front end")
    return of_table(path, content.get(TABLE, content))


def of_front_end(origin: str, front_end: FrontEnd) -> Stated:
    """Return a front end as what somebody says of a file of another shape."""
    values = {name: value for name, value in front_end.values().items() if name not in PORTS}
    if not front_end.means:
        del values["num_mel_bins"]  # those of the other file are its own
    return Stated(origin=origin, base=values.pop("base"), values=values)


def beside(model: Path) -> list[Stated]:
    """Return what files beside a model say: `model.toml`, and an experiment's `config.yaml`.

    Raises:
        InputError: one of them is damaged, or says what no front end has.
    """
    found = []
    path = model.with_name(BESIDE)
    if path.is_file():
        content = toml_files.read_toml(path, "front end")
        if TABLE in content:
            found.append(of_table(path, content[TABLE]))
    config = model.with_name(CONFIG)
    if config.is_file() and (stated := of_experiment(config)) is not None:
        found.append(stated)
    return found


def of_table(path: Path, table: Any) -> Stated:
    """Return what a table of a file says.

    Raises:
        InputError: it is no front end.
    """
    if not isinstance(table, dict):
        raise InputError(f"{path}: {TABLE} must be a table, [{TABLE}]")
    values = dict(table)
    base = values.pop("base", None)
    if base is not None and base not in PRESETS:
        raise InputError(f"{path}: base must be one of {', '.join(PRESETS)}, not {base!r}")
    stated = Stated(origin=str(path), base=base, values=values)
    stated.applied(WESPEAKER)
    return stated


def of_experiment(config: Path) -> Stated | None:
    """Return what a WeSpeaker experiment's `config.yaml` says, None where that is nothing.

    Raises:
        InputError: what it says cannot be computed here.
    """
    try:
        import yaml
    except ImportError:
        return None
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None  # a file of somebody else's; who names it as an experiment is told
    arguments = content.get("dataset_args") if isinstance(content, dict) else None
    if not isinstance(arguments, dict):
        return None
    values: dict[str, Any] = {}
    if "resample_rate" in arguments:
        values["sample_rate_hz"] = arguments["resample_rate"]
    if arguments.get("frontend", "fbank") != "fbank":
        # A model of its own, which takes samples: a file of both does too.
        return Stated(origin=str(config), base="pyannote", values=values)
    fbank = _table_of(config, arguments, "fbank_args")
    for name, value in fbank.items():
        if name in _FBANK_ARGS:
            values[_FBANK_ARGS[name]] = value
        elif name == "use_energy":
            values |= {"energy_floor": float(fbank.get("energy_floor", 1.0))} if value else {}
        elif name == "snip_edges":
            values["edges"] = "snip" if value else "mirror"
        elif name == "use_power":
            values["spectrum"] = "power" if value else "magnitude"
        elif name not in _WITHOUT_EFFECT:
            raise InputError(f"{config}: fbank_args.{name} is not known; {CURE}")
    if "window" in values:
        values["window"] = _WINDOWS.get(values["window"], values["window"])
    if values.get("high_freq_hz") == 0:
        values["high_freq_hz"] = None  # the Nyquist frequency, as Kaldi writes it
    normalize = _table_of(config, arguments, "cmvn_args")
    if arguments.get("cmvn", True) is False:
        values["normalization"] = "none"
    elif normalize:
        by_mean = normalize.get("norm_mean", True)
        by_variance = normalize.get("norm_var", False)
        if by_variance and not by_mean:
            raise InputError(f"{config}: cmvn_args: norm_var needs norm_mean")
        kind = "mean-variance" if by_variance else "mean"
        values["normalization"] = kind if by_mean else "none"
    stated = Stated(origin=str(config), base="wespeaker", values=values)
    stated.applied(WESPEAKER)
    return stated


def _table_of(config: Path, arguments: dict[str, Any], name: str) -> dict[str, Any]:
    found = arguments.get(name) or {}
    if not isinstance(found, dict):
        raise InputError(f"{config}: {name} must be a table")
    return found


def of_metadata(path: Path, metadata: Mapping[str, str]) -> Stated | None:
    """Return what a file's metadata says, None where that is nothing.

    Raises:
        InputError: a value that cannot be read.
    """
    origin = f"{path}'s metadata"
    if OWN_KEY in metadata:
        with as_input(ValueError, before=f"{origin}: {OWN_KEY}: "):
            whole = read_front_end(metadata[OWN_KEY], WESPEAKER.feat_dim)
        values = whole.values()
        return Stated(origin=origin, base=values.pop("base"), values=values)
    framework = metadata.get("framework", "").strip().lower()
    base = framework if framework in PRESETS else None
    values = {}
    for key, name, kind in (
        ("sample_rate", "sample_rate_hz", int),
        ("feat_dim", "num_mel_bins", int),
        ("window_size_ms", "frame_length_ms", float),
        ("window_stride_ms", "frame_shift_ms", float),
    ):
        if key in metadata:
            try:
                values[name] = kind(metadata[key])
            except ValueError as error:
                raise InputError(f"{origin}: {key} {metadata[key]!r} is no number") from error
    if "window_type" in metadata:
        window = metadata["window_type"].strip().lower()
        values["window"] = _WINDOWS.get(window, window)
    if "normalize_samples" in metadata:
        values["scale"] = _known(origin, "normalize_samples", metadata, _NORMALIZE_SAMPLES)
    if "feature_normalize_type" in metadata:
        known = _NORMALIZE_FEATURES
        values["normalization"] = _known(origin, "feature_normalize_type", metadata, known)
        if base != "wespeaker" and values["normalization"] != "none":
            values["normalized_over"] = "utterance"
    if base is None and not values:
        return None
    stated = Stated(origin=origin, base=base, values=values)
    stated.applied(WESPEAKER)
    return stated


def metadata_of(front_end: FrontEnd, embedding_dim: int) -> dict[str, str]:
    """Return what sherpa-onnx reads of a file that is fed so, for `brought`."""
    fbank = front_end.fbank
    said = {
        "framework": "3d-speaker" if front_end.base == "3d-speaker" else "wespeaker",
        "language": "any",
        "sample_rate": str(front_end.sample_rate_hz),
        "output_dim": str(embedding_dim),
        "normalize_samples": "1" if front_end.scale == "unit" else "0",
        "feature_normalize_type": _NORMALIZED_AS.get(front_end.normalization, ""),
    }
    if fbank.mel_scale == "slaney":
        said |= {
            "framework": NEMO,
            "feat_dim": str(front_end.feat_dim),
            "window_type": fbank.window,
            "window_size_ms": f"{fbank.frame_length_ms:g}",
            "window_stride_ms": f"{fbank.frame_shift_ms:g}",
        }
    return said


def brought(engine: str, front_end: FrontEnd) -> FrontEnd:
    """Return what an engine that brings a front end of this name makes of a model's own.

    Raises:
        InputError: the engine has nothing like that.
    """
    fbank = front_end.fbank
    values: dict[str, Any] = {"sample_rate_hz": front_end.sample_rate_hz}
    if fbank.mel_scale == "slaney":
        # Of NeMo's models it computes all else by itself, with a window that is periodic.
        values |= {
            **_BROUGHT_FOR_NEMO,
            "num_mel_bins": fbank.num_mel_bins,
            "window": fbank.window,
            "window_periodic": fbank.window == "hann",
            "frame_length_ms": fbank.frame_length_ms,
            "frame_shift_ms": fbank.frame_shift_ms,
        }
        whole = (fbank.frame_length_ms % 1, fbank.frame_shift_ms % 1) == (0, 0)
        fits = whole and fbank.energy_floor is None
        kinds = ("none", "mean-variance")
    else:
        values["scale"] = front_end.scale
        fits, kinds = front_end.feat_dim == WESPEAKER.feat_dim, ("none", "mean")
    fits = fits and not front_end.waveform and fbank.log == "natural"
    if not fits or front_end.normalization not in kinds:
        raise InputError(
            f"{engine} brings its own front end, {WESPEAKER.feat_dim} of Kaldi's bins with or "
            f"without their mean, or NeMo's, and has none like {front_end}"
        )
    return PRESETS[engine].with_values({**values, "normalization": front_end.normalization})


def _known(origin: str, key: str, metadata: Mapping[str, str], choices: Mapping[str, str]) -> str:
    value = metadata[key].strip()
    if value not in choices:
        told = ", ".join(repr(each) for each in choices)
        raise InputError(f"{origin}: {key} {value!r} is none of {told}; {CURE}")
    return choices[value]


def decide(path: Path, asked: Stated | None, sources: Sequence[Stated]) -> Decided:
    """Return the front end of a model file; where nothing says, WeSpeaker's.

    What the user said goes before the sources, of which the weightiest comes first.

    Raises:
        InputError: files contradict each other.
    """
    for one, other in combinations(sources, 2):
        mine, theirs = one.applied(WESPEAKER), other.applied(WESPEAKER)
        for name, (this, that) in mine.differences(theirs).items():
            if one.says(name) and other.says(name):
                raise InputError(
                    f"{one.origin} says {name} {this}, and {other.origin} {that}: correct one of "
                    "them, or decide with --front-end"
                )
    front_end = WESPEAKER
    for stated in reversed(sources):
        front_end = stated.applied(front_end)
    notes = []
    if asked is not None:
        before, front_end = front_end, asked.applied(front_end)
        if sources:
            changed = before.differences(front_end)
            told = ", ".join(f"{name} {was}" for name, (was, _) in changed.items())
            if told:
                notes.append(f"{asked.origin} goes before what {sources[0].origin} says ({told})")
    elif not sources:
        notes.append(f"{path}: says nothing of its front end: WeSpeaker's is used; {CURE}")
    elif all(each.base is None for each in sources) and front_end.base == WESPEAKER.base:
        told = ", ".join(name for stated in sources for name in stated.values)
        notes.append(
            f"{sources[0].origin} says {told} of its front end: the rest is WeSpeaker's; {CURE}"
        )
    return Decided(front_end, tuple(notes))
