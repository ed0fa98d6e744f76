"""Models of others: shapes, metadata and front ends as real exports have them."""

import json
import subprocess
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, helper, numpy_helper

from rtfbench import Embedder, InputError
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.scoring import cosine
from rtfbench.engines.protocol import FloatArray
from rtfbench.frontends.audio import read_audio
from rtfbench.frontends.front_end import PRESETS, UNIT, WESPEAKER, Features, FrontEnd
from rtfbench.models import front_ends
from rtfbench.models.front_ends import Stated
from rtfbench.models.model_files import FileRequest
from rtfbench.models.model_reading import read_model_file

Command = Callable[..., "subprocess.CompletedProcess[str]"]
SPEECH = DEFAULT_SPEECH / "digits_en_gb.flac"
DIM = 12
FLOAT = TensorProto.FLOAT
WEIGHT_MD = np.random.default_rng(1).standard_normal((80, DIM)).astype(np.float32)
WEIGHT_SD = np.random.default_rng(2).standard_normal((160, DIM)).astype(np.float32)


def embedding_of(features_TM: FloatArray) -> FloatArray:
    """Compute what the models here compute: the mean of squares over time, times a matrix."""
    weight = WEIGHT_MD if features_TM.shape[1] == 80 else WEIGHT_SD
    found: FloatArray = (features_TM.astype(np.float64) ** 2).mean(axis=0) @ weight
    return found


def write(
    path: Path,
    sizes: Sequence[Any] = ("B", "T", 80),
    *,
    layout: str = "BTM",
    kind: int = FLOAT,
    lengths: tuple[str, int] | None = None,
    output: Sequence[Any] = ("B", DIM),
    others: bool = False,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a model of a layout and type of input, and of a shape of output."""
    nodes = []
    constants: dict[str, Any] = {
        "weight": WEIGHT_MD,
        "shape": np.array([0, *output[1:]], np.int64),
    }
    tensor = "x"
    if kind != FLOAT:
        nodes.append(helper.make_node("Cast", [tensor], ["float"], to=FLOAT))
        tensor = "float"
    if layout == "BMT":
        nodes.append(helper.make_node("Transpose", [tensor], ["btm"], perm=[0, 2, 1]))
        tensor = "btm"
    if layout in ("BN", "B1N"):  # frames of 160 samples that do not overlap
        constants |= {"cut": np.array([0, -1, 160], np.int64), "weight": WEIGHT_SD}
        nodes += [
            helper.make_node("Flatten", [tensor], ["flat"], axis=1),
            helper.make_node("Reshape", ["flat", "cut"], ["btm"]),
        ]
        tensor = "btm"
    nodes += [
        helper.make_node("Mul", [tensor, tensor], ["squares"]),
        helper.make_node("ReduceMean", ["squares"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weight"], ["flat_embedding"]),
    ]
    made = "flat_embedding"
    if lengths is not None:  # a wrong length changes the embedding
        scale = np.array(1.0, np.float32)
        nodes += [
            helper.make_node("Shape", ["squares"], ["sizes"]),
            helper.make_node("Gather", ["sizes", "second"], ["frames"]),
            helper.make_node("Cast", ["frames"], ["frames_float"], to=FLOAT),
            helper.make_node("Cast", [lengths[0]], ["lengths_float"], to=FLOAT),
        ]
        constants |= {"second": np.array([1]), "scale": scale}
        one = "frames_float" if lengths[1] == TensorProto.INT64 else "scale"
        nodes += [
            helper.make_node("Div", ["lengths_float", one], ["share"]),
            helper.make_node("Mul", [made, "share"], ["shared"]),
        ]
        made = "shared"
    nodes.append(helper.make_node("Reshape", [made, "shape"], ["reshaped"]))
    nodes.append(helper.make_node("Cast", ["reshaped"], ["embs"], to=kind))
    outputs = [helper.make_tensor_value_info("embs", kind, [*output])]
    if others:
        nodes.append(helper.make_node("Concat", ["reshaped", "reshaped"], ["logits"], axis=1))
        outputs.insert(0, helper.make_tensor_value_info("logits", FLOAT, ["B", 2 * DIM]))
    inputs = [helper.make_tensor_value_info("x", kind, [*sizes])]
    if lengths is not None:
        inputs.append(helper.make_tensor_value_info(*lengths, ["B"]))
    graph = helper.make_graph(
        nodes,
        "lookalike",
        inputs,
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, str(path))
    return path


def expected(front_end: FrontEnd = WESPEAKER, path: Path = SPEECH) -> FloatArray:
    """Compute the embedding of a whole recording."""
    samples = read_audio(path, sample_rate_hz=front_end.sample_rate_hz, resample=True).samples
    return embedding_of(front_end.normalized(Features(front_end)(samples)))


def off(found: FloatArray, wanted: FloatArray) -> float:
    """Return the largest difference, as a share of the largest value."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


LOOKALIKES: dict[str, dict[str, Any]] = {
    "plain": {},
    "bmt": {"sizes": ("B", 80, "T"), "layout": "BMT"},
    "b1d": {"output": ("B", 1, DIM)},
    "bd1": {"output": ("B", DIM, 1)},
    "float16": {"kind": TensorProto.FLOAT16},
    "float64": {"kind": TensorProto.DOUBLE},
    "frames": {"lengths": ("length", TensorProto.INT64)},
    "int32 frames": {"lengths": ("feats_len", TensorProto.INT32)},
    "shares": {"lengths": ("wav_lens", FLOAT)},
    "all at once": {
        "sizes": ("B", 80, "T"),
        "layout": "BMT",
        "lengths": ("length", TensorProto.INT64),
        "output": ("B", 1, DIM),
        "kind": TensorProto.FLOAT16,
    },
    "open mel axis": {"sizes": ("B", "T", "F")},
}


@pytest.mark.parametrize("name", LOOKALIKES)
def test_other_shapes_give_the_same_embedding(name: str, tmp_path: Path) -> None:
    """Whatever a model calls and shapes its input and output, it gets the same features."""
    model = write(tmp_path / "model.onnx", **LOOKALIKES[name])
    with Embedder(model, chunk_samples=-1) as embedder:
        found = embedder.embed(SPEECH)
    rough = LOOKALIKES[name].get("kind") == TensorProto.FLOAT16
    if name == "int32 frames":
        frames = WESPEAKER.num_frames(len(read_audio(SPEECH).samples))
        assert off(found, expected() * frames) < 1e-4
    else:
        assert off(found, expected()) < (1e-2 if rough else 1e-4)


@pytest.mark.parametrize("engine", ["mnn", "openvino"])
def test_every_engine_runs_what_was_wrapped(engine: str, tmp_path: Path) -> None:
    """Files of other formats are made from the graph in its usual shape."""
    look: dict[str, Any] = {
        "sizes": ("B", 80, "T"),
        "layout": "BMT",
        "lengths": ("length", TensorProto.INT64),
    }
    model = write(tmp_path / "model.onnx", **look, output=("B", 1, DIM))
    with Embedder(model, engine=engine, chunk_samples=32000) as embedder:
        found = embedder.embed(SPEECH)
    with Embedder(write(tmp_path / "plain.onnx"), chunk_samples=32000) as embedder:
        assert off(found, embedder.embed(SPEECH)) < 1e-3


def test_a_fixed_channels_first_model_is_recognised(tmp_path: Path) -> None:
    """[1, 80, 100] is 80 bins of 100 frames, and not the other way round."""
    look: dict[str, Any] = {"sizes": (1, 80, 100), "layout": "BMT", "output": (1, DIM)}
    file = read_model_file(FileRequest(path=write(tmp_path / "fixed.onnx", **look)))
    assert (file.num_frames, file.feat_dim) == (100, 80)
    with pytest.raises(InputError, match="does not tell frames from mel bins"):
        read_model_file(FileRequest(path=write(tmp_path / "odd.onnx", (1, 80, 64))))
    with pytest.raises(InputError, match="does not tell frames from mel bins"):
        read_model_file(FileRequest(path=write(tmp_path / "open.onnx", (1, 198, "F"))))
    said = Stated(origin="test", values={"layout": "BTM"})
    told = read_model_file(FileRequest(path=tmp_path / "open.onnx", front_end=said))
    assert (told.num_frames, told.feat_dim) == (198, 80)
    path = write(tmp_path / "odd.onnx", (1, 64, 80))
    assert read_model_file(FileRequest(path=path, front_end=said)).num_frames == 64


@pytest.mark.parametrize(("sizes", "layout"), [(("B", "N"), "BN"), (("B", 1, "N"), "B1N")])
def test_models_of_samples_get_samples(sizes: Any, layout: str, tmp_path: Path) -> None:
    """A model that takes a waveform is fed it in -1 to 1, in chunks of its own."""
    model = write(tmp_path / "wave.onnx", sizes, layout=layout)
    with Embedder(model, chunk_samples=32000) as embedder:
        found = embedder.embed(SPEECH)
    samples = read_audio(SPEECH).samples * np.float32(UNIT)
    chunks = -(-len(samples) // 32000)
    filled = np.concatenate([samples, samples[: chunks * 32000 - len(samples)]])
    wanted = [embedding_of(part.reshape(-1, 160)) for part in np.split(filled, chunks)]
    assert off(found, np.mean(wanted, axis=0)) < 1e-4


SHERPA = {
    "framework": "3d-speaker",
    "sample_rate": "16000",
    "output_dim": str(DIM),
    "normalize_samples": "1",
    "feature_normalize_type": "global-mean",
}
NEMO = {
    "framework": "nemo",
    "sample_rate": "16000",
    "output_dim": str(DIM),
    "feat_dim": "80",
    "window_type": "hann",
    "window_size_ms": "25",
    "window_stride_ms": "10",
    "feature_normalize_type": "per_feature",
}


def test_what_is_assumed_is_warned_of(tmp_path: Path) -> None:
    """An embedder of a file that says nothing warns, with the cure; one that is told does not."""
    model = write(tmp_path / "model.onnx")
    with pytest.warns(UserWarning, match=r"says nothing of its front end.*--front-end"):
        Embedder(model).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Embedder(model, front_end="wespeaker").close()
        Embedder(write(tmp_path / "told.onnx", metadata=SHERPA)).close()


@pytest.mark.parametrize(
    "command",
    [
        ("compare", "onnxruntime", "onnxruntime", "--budget", 1, "--model"),
        ("doctor", "--budget", 1, "--model"),
        ("export", "--format", "onnx", "-o", "made.onnx", "--onnx"),
    ],
)
def test_every_command_says_once_what_it_assumes(
    rtfbench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[Any, ...]
) -> None:
    """And takes the name of the embedding, and the front end about which nothing is said then."""
    monkeypatch.chdir(tmp_path)
    model = write(tmp_path / "two.onnx", others=True)
    done = rtfbench(*command, model)
    assert (done.returncode, "name the embedding with --model-output" in done.stderr) == (2, True)
    named = rtfbench(*command, model, "--model-output", "embs")
    assert named.stderr.count("says nothing of its front end") == 1
    told = rtfbench(*command, model, "--model-output", "embs", "--front-end", "kaldi")
    assert "says nothing" not in told.stderr
    if command[0] == "export":
        assert (done.returncode, named.returncode, told.returncode) == (2, 0, 0), told.stderr
        assert str(read_model_file(FileRequest(path=Path("made.onnx"))).front_end).startswith(
            "kald"
        )


def test_the_users_file_is_named_and_no_runtime_heard(rtfbench: Command, tmp_path: Path) -> None:
    """What is made of a model in the cache is no name for it, nor what onnxruntime says of that."""
    look: dict[str, Any] = {
        "sizes": (1, 80, 100),
        "layout": "BMT",
        "output": (1, DIM),
        "lengths": ("wav_lens", FLOAT),
    }
    model = write(tmp_path / "fixed.onnx", **look)
    done = rtfbench("extract", "--wav", SPEECH, "--model", model, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    assert f"{model}: a static model, which takes chunks of 100 frames" in done.stderr
    assert "rtfbench_" not in done.stderr


def test_metadata_decides_the_front_end(tmp_path: Path) -> None:
    """What sherpa-onnx's exporters write is what a model is fed, and nothing is said of it."""
    threed = write(tmp_path / "threed.onnx", metadata=SHERPA)
    look: dict[str, Any] = {
        "sizes": ("B", 80, "T"),
        "layout": "BMT",
        "lengths": ("length", TensorProto.INT64),
    }
    nemo = write(tmp_path / "nemo.onnx", **look, metadata=NEMO, others=True)
    for model, name in ((threed, "3d-speaker"), (nemo, "nemo")):
        with Embedder(model, chunk_samples=-1) as embedder:
            assert str(embedder.setup.front_end) == name
            assert off(embedder.embed(SPEECH), expected(PRESETS[name])) < 1e-3
    assert not read_model_file(FileRequest(path=threed)).notes


def test_a_runtime_may_bring_its_own_front_end(rtfbench: Command, tmp_path: Path) -> None:
    """sherpa-onnx is fed samples, and its row tells its front end's share of the difference."""
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    model = write(tmp_path / "threed.onnx", metadata={**SHERPA, "language": "English"})
    config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(model))
    extractor = sherpa_onnx.SpeakerEmbeddingExtractor(config)
    stream = extractor.create_stream()
    stream.accept_waveform(16000, read_audio(SPEECH).samples * np.float32(UNIT))
    stream.input_finished()
    with Embedder(model, engine="sherpa-onnx", chunk_samples=-1) as embedder:
        found = embedder.embed(SPEECH)
    assert off(found, np.array(extractor.compute(stream))) < 1e-6
    theirs = expected(PRESETS["sherpa-onnx"])
    assert off(found, theirs) < 1e-3
    out = tmp_path / "out"
    done = rtfbench(
        *("run", "--model", model, "--engine", "onnxruntime", "--engine", "sherpa-onnx"),
        *("--audio", SPEECH, "--chunk-samples", -1, "--protocol", "steady", "--budget", 0.1),
        *("--sessions", 1, "--out", out, "--bare"),
    )
    assert done.returncode == 0, done.stderr
    row = json.loads((out / "summary.json").read_text())["cells"][1]
    turned = cosine(theirs, expected(PRESETS["3d-speaker"]))
    assert row["effective"]["own_front_end_cosine"] == pytest.approx(turned, abs=1e-4)
    assert row["parity"]["ok"]
    assert f"brings its own front end: cosine {turned:.4f} to the reference" in row["note"]
    for options, why in (
        (("--front-end", "speechbrain"), "has none like speechbrain"),
        (("--form", "static"), "choose --form dynamic"),
    ):
        refused = rtfbench(
            *("extract", "--wav", SPEECH, "--model", model, "--engine", "sherpa-onnx", *options),
            *("--result", tmp_path / "e.npz", "--jobs", 1),
        )
        assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr


@pytest.mark.parametrize("window", ["hann", "hamming"])
def test_a_runtime_brings_another_front_end_for_nemo(window: str, tmp_path: Path) -> None:
    """sherpa-onnx's embedding is what it is of the file itself, and what we say of it."""
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    look: dict[str, Any] = {
        "sizes": ("B", 80, "T"),
        "layout": "BMT",
        "lengths": ("length", TensorProto.INT64),
        "metadata": {**NEMO, "language": "x", "window_type": window, "window_size_ms": "20"},
    }
    model = write(tmp_path / "nemo.onnx", **look, others=True)
    config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(model))
    extractor = sherpa_onnx.SpeakerEmbeddingExtractor(config)
    stream = extractor.create_stream()
    samples = read_audio(SPEECH).samples[:32000]
    stream.accept_waveform(16000, samples * np.float32(UNIT))
    stream.input_finished()
    wanted = np.array(extractor.compute(stream))
    with Embedder(model, engine="sherpa-onnx", chunk_samples=-1) as embedder:
        assert off(embedder.embed(samples * np.float32(UNIT)), wanted) < 1e-6
    with Embedder(model, front_end="sherpa-onnx", chunk_samples=-1) as embedder:
        assert off(embedder.embed(samples * np.float32(UNIT)), wanted) < 1e-3


@pytest.mark.parametrize("normalize", ["global-mean", ""])
@pytest.mark.parametrize("scale", ["0", "1"])
def test_the_preset_is_what_the_runtime_makes_of_a_model(
    scale: str, normalize: str, tmp_path: Path
) -> None:
    """Named for a model, sherpa-onnx's front end has the scale and normalisation that it says."""
    pytest.importorskip("sherpa_onnx")
    said = {"normalize_samples": scale, "feature_normalize_type": normalize}
    model = write(tmp_path / "model.onnx", metadata=SHERPA | said)
    samples = read_audio(SPEECH).samples[:32000] * np.float32(UNIT)
    samples[8000:16000] = 0
    made = []
    for engine, front_end in (("sherpa-onnx", None), (None, "sherpa-onnx")):
        with Embedder(model, engine=engine, front_end=front_end, chunk_samples=-1) as embedder:
            made.append(embedder.embed(samples))
    assert off(made[1], made[0]) < 1e-3


def test_a_model_for_8_khz_gets_8_khz(rtfbench: Command, tmp_path: Path) -> None:
    """Its recordings are read at 8 kHz; others are refused, or resampled on demand."""
    model = write(tmp_path / "m.onnx", metadata={"framework": "wespeaker", "sample_rate": "8000"})
    low, result = tmp_path / "low.wav", tmp_path / "e.npz"
    samples = read_audio(SPEECH, sample_rate_hz=8000, resample=True).samples
    soundfile.write(low, samples * UNIT, 8000, subtype="PCM_16")
    with Embedder(model, chunk_samples=-1) as embedder:
        front_end = WESPEAKER.with_values({"sample_rate_hz": 8000})
        assert off(embedder.embed(low), expected(front_end, low)) < 1e-4
        with pytest.raises(InputError, match="has 16000 Hz, not 8000; convert it with"):
            embedder.embed(SPEECH)
    plain = write(tmp_path / "plain.onnx")
    arguments = ("--wav", low, "--model", plain, "--resample", "--result", result, "--jobs", 1)
    done = rtfbench("extract", *arguments)
    assert done.returncode == 0, done.stderr
    assert "1 recording was raised from 8000 to 16000 Hz" in done.stderr
    assert "says nothing of its front end: WeSpeaker's is used" in done.stderr


def test_model_toml_and_the_option(tmp_path: Path) -> None:
    """`model.toml` beside a file is read; `--front-end` goes before it; both name their values."""
    model = write(tmp_path / "model.onnx")
    (tmp_path / "model.toml").write_text('[front_end]\nbase = "3d-speaker"\nwindow = "hann"\n')
    wanted = PRESETS["3d-speaker"].with_values({"window": "hann"})
    with Embedder(model, chunk_samples=-1) as embedder:
        assert off(embedder.embed(SPEECH), expected(wanted)) < 1e-3
        assert str(embedder.setup.front_end) == "3d-speaker (window hann)"
    with Embedder(model, chunk_samples=-1, front_end="sherpa-onnx") as embedder:
        assert off(embedder.embed(SPEECH), expected(PRESETS["sherpa-onnx"])) < 1e-3
    mine = tmp_path / "mine.toml"
    mine.write_text('scale = "unit"\nnormalization = "none"\n')
    with Embedder(model, chunk_samples=-1, front_end=str(mine)) as embedder:
        assert embedder.setup.front_end.normalization == "none"


def test_an_experiment_beside_a_file_is_read(tmp_path: Path) -> None:
    """WeSpeaker's config.yaml says rate, window, lengths and normalisation."""
    (tmp_path / "config.yaml").write_text(
        "dataset_args:\n  resample_rate: 8000\n  fbank_args:\n    num_mel_bins: 80\n"
        "    frame_shift: 10\n    frame_length: 25\n    dither: 1.0\n    window_type: povey\n"
        "  cmvn_args:\n    norm_mean: true\n    norm_var: false\n"
    )
    file = Embedder(write(tmp_path / "model.onnx"), chunk_samples=-1)
    told = file.setup.front_end
    assert (told.sample_rate_hz, told.fbank.window, told.normalization) == (8000, "povey", "mean")
    file.close()
    without = "dataset_args:\n  cmvn: false\n  cmvn_args:\n    norm_mean: true\n"
    (tmp_path / "config.yaml").write_text(without)
    with Embedder(tmp_path / "model.onnx", chunk_samples=-1) as embedder:
        assert embedder.setup.front_end.normalization == "none"
    (tmp_path / "config.yaml").write_text("dataset_args:\n  frontend: s3prl\n")
    with pytest.raises(InputError, match=r"takes features, and its front end .* makes none"):
        Embedder(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("metadata", "toml", "reason"),
    [
        ({"sample_rate": "8000"}, "sample_rate_hz = 16000", "sample_rate_hz"),
        ({**SHERPA}, 'window = "hamming"', "says window hamming, and .* povey"),
        ({"sample_rate": "fast"}, "", "sample_rate 'fast' is no number"),
        ({"feature_normalize_type": "odd"}, "", "'odd' is none of"),
        ({"normalize_samples": "2"}, "", "'2' is none of '0', '1'"),
        ({"sample_rate": "-1"}, "", "sample_rate_hz must be positive"),
        ({}, "windows = 3", "no 'windows'"),
        ({}, 'base = "kaldy"', "base must be one of wespeaker"),
        ({}, "num_mel_bins = 40", "takes 80 features a frame, and its front end makes 40"),
        ({"rtfbench.front_end": "{"}, "", "no front end"),
    ],
)
def test_contradictions_are_refused(
    metadata: dict[str, str], toml: str, reason: str, tmp_path: Path
) -> None:
    """What files say of one thing must be one thing, and must be possible."""
    model = write(tmp_path / "model.onnx", metadata=metadata)
    if toml:
        (tmp_path / "model.toml").write_text(f"[front_end]\n{toml}\n")
    with pytest.raises(InputError, match=reason) as refused:
        Embedder(model)
    assert len(str(refused.value).splitlines()) == 1


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    """Pointers of Git LFS, web pages, whole numbers and newer opsets are told in one line."""
    lfs, page, new, said = (tmp_path / f"{name}.onnx" for name in ("lfs", "page", "new", "said"))
    said.write_text('{"error": "Repository not found"}')
    lfs.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    page.write_text("\n<!DOCTYPE html>\n<html><body>404</body></html>\n")
    model = onnx.load(str(write(new)))
    model.opset_import[0].version = 99
    onnx.save(model, str(new))
    whole = write(tmp_path / "whole.onnx", kind=TensorProto.INT64)
    for path, reason in (
        (lfs, "a pointer of Git LFS"),
        (page, "a web page"),
        (said, "or a server's message, not the model"),
        (write(tmp_path / "flat.onnx", ("T", 80)), "features without a batch axis"),
        (new, "needs a newer onnxruntime than 1.32, which takes up to opset 28"),
        (whole, "takes int64, and features are floating point"),
    ):
        with pytest.raises(InputError, match=reason):
            Embedder(path)


def test_no_signal_no_verdict(rtfbench: Command, tmp_path: Path) -> None:
    """Silence, a constant and two frames are refused; without a threshold there is no verdict."""
    model = write(tmp_path / "model.onnx")
    rng = np.random.default_rng(0)
    for name, samples in {
        "silence": np.zeros(32000),
        "constant": np.full(32000, 0.1),
        "two": rng.standard_normal(560) * 0.1,
    }.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, 16000, subtype="PCM_16")
        for front_end in (None, "nemo", "speechbrain")[: 1 if name == "two" else 3]:
            with (
                Embedder(model, front_end=front_end) as embedder,
                pytest.raises(InputError, match=r"no signal"),
            ):
                embedder.embed(tmp_path / f"{name}.wav")
    verify = ("verify", "--model", model, "--enroll", SPEECH, "--test")
    done = rtfbench(*verify, tmp_path / "silence.wav", "--threshold", "0.5")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no signal" in done.stderr
    done = rtfbench(*verify, SPEECH)
    assert done.returncode == 0
    assert done.stdout.startswith("score 1.000000; no decision without --threshold")


def test_a_silent_chunk_is_left_out(tmp_path: Path) -> None:
    """Of a recording with a silent half, the embedding is that of the other half."""
    model = write(tmp_path / "model.onnx")
    samples = read_audio(SPEECH).samples[:32000] * np.float32(UNIT)
    with Embedder(model, chunk_samples=16000) as embedder:
        half = embedder.embed(samples[:16000])
        both = embedder.embed(np.concatenate([samples[:16000], np.zeros(32400, np.float32)]))
    assert off(both, half) < 0.5
    assert np.abs(both).max() > 0.5 * np.abs(half).max()


def test_catalog_models_take_no_front_end() -> None:
    """Theirs is known; the option is refused, and a preset that is not there too."""
    with pytest.raises(InputError, match="leave --front-end"):
        Embedder("xvec", weights="seeded", front_end="nemo")
    with pytest.raises(InputError, match="there is no such front end; it is one of"):
        front_ends.named("wespeeker")


def test_an_exported_file_carries_its_front_end(tmp_path: Path, rtfbench: Command) -> None:
    """`rtfbench export` writes into the file what it is fed, and reading it says nothing more."""
    source = write(tmp_path / "a.onnx", metadata=SHERPA)
    made = tmp_path / "out" / "b.onnx"
    made.parent.mkdir()
    done = rtfbench("export", "--onnx", source, "--format", "onnx", "-o", made)
    assert done.returncode == 0, done.stderr
    file = read_model_file(FileRequest(path=made))
    assert str(file.front_end) == "3d-speaker"
    assert not file.notes


def test_the_doctor_names_a_step(rtfbench: Command, tmp_path: Path) -> None:
    """`frontend check` names the window that differs, and agrees where nothing does."""
    model = write(tmp_path / "model.onnx")
    short, features = tmp_path / "a.wav", tmp_path / "theirs.npy"
    samples = read_audio(SPEECH).samples[:32000]
    soundfile.write(short, samples * UNIT, 16000, subtype="PCM_16")
    check = ("frontend", "check", "--model", model, "--wav", short, "--features", features)
    for values, status, told in (
        ({"window": "povey"}, 1, "window: window povey, not hamming; alone, cosine "),
        ({}, 0, "as wespeaker makes them"),
    ):
        front_end = WESPEAKER.with_values(values)
        np.save(features, front_end.normalized(Features(front_end)(samples)))
        done = rtfbench(*check)
        assert done.returncode == status, done.stderr
        assert told in done.stdout
    np.save(features, np.zeros(5))
    done = rtfbench(*check)
    assert (done.returncode, done.stdout) == (2, "")


def test_two_front_ends_are_compared(rtfbench: Command, tmp_path: Path) -> None:
    """`frontend compare` tells the cosine of the same recording, and error rates with trials."""
    model = write(tmp_path / "model.onnx")
    names = [path.stem for path in sorted(DEFAULT_SPEECH.glob("*.flac"))[:3]]
    trials = tmp_path / "trials"
    trials.write_text(f"{names[0]} {names[0]} target\n{names[0]} {names[1]} nontarget\n")
    compare = ("frontend", "compare", "wespeaker", "sherpa-onnx", "--model", model)
    done = rtfbench(*compare, "--wav", DEFAULT_SPEECH, "--trials", trials)
    assert done.returncode == 0, done.stderr
    assert "cosine of the same recording 0." in done.stdout
    assert "enrolled with wespeaker, tested with sherpa-onnx: EER" in done.stdout
    assert "in nontarget trials" in done.stdout
    apart, theirs = [], PRESETS["sherpa-onnx"].with_values({"scale": "int16"})
    assert "wespeaker and sherpa-onnx (scale int16): cosine" in done.stdout
    for path in sorted(DEFAULT_SPEECH.glob("*.flac")):
        samples = read_audio(path, sample_rate_hz=16000, resample=True).samples
        both = [each.normalized(Features(each)(samples)) for each in (WESPEAKER, theirs)]
        frames = min(map(len, both))
        apart.append(np.abs(both[0][:frames] - both[1][:frames]).ravel())
    assert f"features: {np.concatenate(apart).mean():.3g} apart on average" in done.stdout
