"""What every engine must do, as tests that a subclass runs on its own."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import psutil
import pytest
from pydantic import TypeAdapter

from rtfbench.embed.scoring import cosine
from rtfbench.engines import registry
from rtfbench.engines.base import EngineBase, SessionBase
from rtfbench.engines.protocol import (
    FLOAT32,
    ONNX,
    ConversionError,
    EngineError,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    Precision,
    Quantization,
    SessionOptions,
    completed_settings,
    parse_engine,
)
from rtfbench.frontends.front_end import WESPEAKER
from rtfbench.testing import tiny_model
from rtfbench.testing.tiny_model import STATIC_FRAMES, reference

#: Opens and closes sessions of an engine, and gets a signal.
SIGNALLED = """
import signal, sys
from pydantic import TypeAdapter
from rtfbench.engines.protocol import parse_engine
from rtfbench.engines import registry
from rtfbench.engines.protocol import ModelArtifact, SessionOptions

named = parse_engine(sys.argv[1])
engine = registry.on(named.name, named.settings)
artifacts = [TypeAdapter(ModelArtifact).validate_json(each) for each in sys.argv[2:]]
sessions = [engine.open(artifact, SessionOptions()) for artifact in artifacts]
while sessions:
    sessions.pop(0).close()
signal.signal(signal.SIGINT, lambda *_: print("taken"))
signal.raise_signal(signal.SIGINT)
"""


PROFILED_RUNS = 3
#: What the convolution and the linear layer are called: tensors, weights in ONNX and in torch.
NAMES = {"convolved", "rectified", "embs", "kernels", "weight", "conv.weight", "linear.weight"}
#: Counters in microseconds may add up to a little more than the clock shows.
ROUNDED = 1.05
#: Runs of a session after which its memory must not have grown: a kept input alone would be 12 MB.
RUNS, LONG_FRAMES, MOST_GROWTH_BYTES = 200, 200, 4 << 20
#: Of samples, where full scale is 1.
LOUDNESS = 0.1
#: Processor time over wall time that one thread may show: the clocks are not read at one moment.
MOST_LOAD = 1.3
#: Least cosine to float32, of a model with random weights on random features.
LEAST_COSINE: Mapping[Precision, float] = {
    "tf32": 0.9999,
    "bf16": 0.999,
    "fp16": 0.9999,
    "fp16-weights": 0.9999,
    "int8-weights": 0.999,
    "int8": 0.98,
}

Artifacts = Mapping[Form, ModelArtifact | str]


def features(num_frames: int, *, batch: int = 1, seed: int = 0) -> FloatArray:
    """Return random features, float32 [B, T, M]."""
    rng = np.random.default_rng(seed)
    shape = (batch, num_frames, tiny_model.FEAT_DIM)
    return rng.standard_normal(shape).astype(np.float32)


class EngineConformance:
    """Subclass it, say which engine it is for, and run pytest.

    `name` is the engine's, with settings where it needs any ("mnn[home=DIR]"). `tolerance` is what
    an embedding may differ from float64 by, relative to its largest value. `computes` is False for
    an engine that opens no file and answers zeros.
    """

    name: ClassVar[str]
    tolerance: ClassVar[float] = 1e-5
    computes: ClassVar[bool] = True

    def fed(
        self, engine: EngineBase, num_frames: int, *, batch: int = 1, seed: int = 0
    ) -> FloatArray:
        """Return what an engine is fed: features, or as many samples where it takes those."""
        if not engine.front_end:
            return features(num_frames, batch=batch, seed=seed)
        shape = (batch, num_frames * WESPEAKER.frame_shift, 1)
        noise = np.random.default_rng(seed).standard_normal(shape)
        return np.asarray(LOUDNESS * noise, np.float32)

    def expected(self, engine: EngineBase, input_BTM: FloatArray) -> FloatArray:
        """Return what the tiny model makes of that."""
        if not engine.front_end:
            return reference(input_BTM)
        return tiny_model.reference_behind(engine.front_end, input_BTM)

    @pytest.fixture
    def engine(self) -> EngineBase:
        """Return the engine."""
        found = parse_engine(self.name)
        return registry.on(found.name, found.settings)

    @pytest.fixture
    def artifacts(self, engine: EngineBase) -> Artifacts:
        """Return the tiny model in each form, or why it cannot be written in that form."""
        forms: tuple[Form, ...] = ("dynamic", "static")
        return {form: _written(engine.format, form) for form in forms}

    @pytest.fixture(params=["dynamic", "static"])
    def artifact(
        self, request: pytest.FixtureRequest, engine: EngineBase, artifacts: Artifacts
    ) -> ModelArtifact:
        """Return the tiny model in each form that the engine takes."""
        form: Form = request.param
        found = artifacts[form]
        refusal = found if isinstance(found, str) else _refusal(engine, found)
        if isinstance(found, str) or refusal:
            assert form != engine.default_form, f"it refuses its default form: {refusal}"
            pytest.skip(refusal)
        return found

    @pytest.fixture
    def dynamic(self, engine: EngineBase, artifacts: Artifacts) -> ModelArtifact:
        """Return the dynamic model; what needs one is skipped where the engine takes none."""
        found = artifacts["dynamic"]
        if isinstance(found, str) or _refusal(engine, found) or not self.computes:
            pytest.skip(f"{engine.name} runs no dynamic model")
        return found

    def close_to(self, output_BD: FloatArray, expected_BD: FloatArray) -> bool:
        """Say whether embeddings are what they should be."""
        if not self.computes:
            return output_BD.shape == expected_BD.shape and not output_BD.any()
        error = np.abs(output_BD - expected_BD).max()
        return bool(error <= self.tolerance * np.abs(expected_BD).max())

    # What it says of itself.

    def test_probe_tells_the_version(self, engine: EngineBase) -> None:
        """An installed engine says that it is available, and in which version."""
        found = engine.probe()
        assert found.ok, found.reason
        assert found.version

    def test_what_hosts_can_lack_is_declared(self, engine: EngineBase) -> None:
        """Nothing is lacking but what `may_lack` names, or `lacks` would not be asked."""
        assert set(engine.lacks()) <= set(engine.may_lack)

    def test_it_is_registered_under_its_own_name(self, engine: EngineBase) -> None:
        """The entry point's name is the engine's `name`."""
        assert engine.name == parse_engine(self.name).name == registry.get(engine.name).name

    def test_engine_and_session_have_every_member(
        self, engine: EngineBase, artifact: ModelArtifact
    ) -> None:
        """Engine and session derive from the base classes, which say what they have to have."""
        assert isinstance(engine, EngineBase)
        assert isinstance(engine.open(artifact, SessionOptions()), SessionBase)

    # What it computes.

    def test_the_embedding_is_right(self, engine: EngineBase, artifact: ModelArtifact) -> None:
        """The embedding is float32 [1, D] and within the tolerance of numpy's."""
        input_BTM = self.fed(engine, STATIC_FRAMES)
        output_BD = engine.open(artifact, SessionOptions()).run(input_BTM)
        assert output_BD.dtype == np.float32
        assert self.close_to(output_BD, self.expected(engine, input_BTM))

    def test_dynamic_models_change_length(self, engine: EngineBase, dynamic: ModelArtifact) -> None:
        """A dynamic model takes one length after another, and the first again."""
        session = engine.open(dynamic, SessionOptions())
        for num_frames in (STATIC_FRAMES, 33, 121, STATIC_FRAMES):
            input_BTM = self.fed(engine, num_frames, seed=num_frames)
            assert self.close_to(session.run(input_BTM), self.expected(engine, input_BTM))

    def test_a_dynamic_batch_is_its_elements(
        self, engine: EngineBase, dynamic: ModelArtifact
    ) -> None:
        """A batch of a dynamic model gives each element its own embedding; then one alone again."""
        session = engine.open(dynamic, SessionOptions())
        input_BTM = self.fed(engine, STATIC_FRAMES, batch=3)
        assert self.close_to(session.run(input_BTM), self.expected(engine, input_BTM))
        assert self.close_to(session.run(input_BTM[1:2]), self.expected(engine, input_BTM[1:2]))

    def test_the_same_again(self, engine: EngineBase, artifact: ModelArtifact) -> None:
        """One thread gives the same bits again, in the same session and in one opened anew."""
        input_BTM = self.fed(engine, STATIC_FRAMES)
        session = engine.open(artifact, SessionOptions())
        first_BD = session.run(input_BTM)
        np.testing.assert_array_equal(session.run(input_BTM), first_BD)
        session.close()
        for _ in range(3):
            session = engine.open(artifact, SessionOptions())
            np.testing.assert_array_equal(session.run(input_BTM), first_BD)
            session.close()

    def test_output_belongs_to_the_caller(
        self, engine: EngineBase, artifact: ModelArtifact
    ) -> None:
        """A later run does not overwrite an earlier result, nor does closing the session."""
        session = engine.open(artifact, SessionOptions())
        first_BD = session.run(self.fed(engine, STATIC_FRAMES, seed=1))
        kept_BD = first_BD.copy()
        session.run(self.fed(engine, STATIC_FRAMES, seed=2))
        session.close()
        np.testing.assert_array_equal(first_BD, kept_BD)

    def test_input_stays_as_it_is(self, engine: EngineBase, artifact: ModelArtifact) -> None:
        """Running changes nothing in the caller's array."""
        input_BTM = self.fed(engine, STATIC_FRAMES)
        kept_BTM = input_BTM.copy()
        engine.open(artifact, SessionOptions()).run(input_BTM)
        np.testing.assert_array_equal(input_BTM, kept_BTM)

    # What it takes.

    def test_threads_are_those_asked_for(self, engine: EngineBase, artifact: ModelArtifact) -> None:
        """The session tells the threads that it was given, and one thread is never two at work."""
        session = engine.open(artifact, SessionOptions(threads=1))
        assert session.effective["threads"] == 1
        input_BTM = self.fed(engine, STATIC_FRAMES)
        session.run(input_BTM)
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        while time.perf_counter_ns() - wall_ns < 200e6:
            session.run(input_BTM)
        load = (time.process_time_ns() - cpu_ns) / (time.perf_counter_ns() - wall_ns)
        assert load < MOST_LOAD, f"one thread was asked for, {load:.1f} were at work"

    def test_every_setting_can_be_chosen(self, engine: EngineBase, artifact: ModelArtifact) -> None:
        """Every value of every setting opens, is reported by the session, and computes the same."""
        input_BTM = self.fed(engine, STATIC_FRAMES)
        lacks = engine.lacks()
        for name, values in engine.choices.items():
            for value in values:
                if reason := lacks.get(f"{name}={value}"):
                    options = SessionOptions(settings={name: value})
                    assert engine.supports(artifact, options).reason == reason
                    continue
                session = engine.open(artifact, SessionOptions(settings={name: value}))
                assert session.effective[name] == value
                expected_BD = self.expected(engine, input_BTM)
                assert self.close_to(session.run(input_BTM), expected_BD), (name, value)

    @pytest.mark.parametrize("settings", [{"colour": "blue"}, {"precision": "purple"}])
    def test_unknown_settings_are_refused(
        self, engine: EngineBase, artifact: ModelArtifact, settings: dict[str, str]
    ) -> None:
        """A setting or value that the engine does not have is an error that names it."""
        support = engine.supports(artifact, SessionOptions(settings=settings))
        assert not support.ok
        assert engine.name in support.reason
        with pytest.raises(EngineError, match=engine.name):
            engine.open(artifact, SessionOptions(settings=settings))

    def test_precisions_are_computed_in(
        self, engine: EngineBase, artifact: ModelArtifact, tmp_path: Path
    ) -> None:
        """Every precision that it lists opens, stays near float32, and shows in `operators`.

        What this host lacks for one is refused with the reason in place of that.
        """
        lacks = engine.lacks()
        others = [each for each in engine.precisions if each != FLOAT32]
        calibration_NTM = self.fed(engine, STATIC_FRAMES, batch=8, seed=3)
        input_BTM = self.fed(engine, STATIC_FRAMES, seed=4)
        expected_BD = self.expected(engine, input_BTM)
        for precision in others:
            if reason := lacks.get(precision):
                refused = engine.supports(artifact, SessionOptions(precision=precision))
                assert (refused.ok, refused.reason) == (False, reason)
                continue
            found, needed = artifact, engine.precisions[precision]
            if needed != FLOAT32:
                onnx_path = tmp_path / f"float32.{ONNX}"
                tiny_model.write_onnx(onnx_path, artifact.num_frames)
                path = tmp_path / f"{precision}.{artifact.format}"
                wanted = Quantization(
                    precision=needed,
                    static=artifact.form == "static",
                    calibration_NTM=calibration_NTM,
                    settings=completed_settings(engine.recipes, {}),
                )
                engine.quantize(onnx_path, path, wanted)
                found = replace(artifact, path=path, precision=needed)
            session = engine.open(found, SessionOptions(precision=precision))
            output_BD = session.run(input_BTM)
            assert cosine(output_BD[0], expected_BD[0]) >= LEAST_COSINE[precision], precision
            if not precision.endswith("-weights"):
                assert session.operators().get(precision), f"{precision} does not show"

    # What it tells of its operators; an engine without profiles tells the total alone.

    def test_operators_are_named_and_within_their_run(
        self, engine: EngineBase, artifact: ModelArtifact
    ) -> None:
        """Every run has its operators, which take no longer than it and name what they compute."""
        profiler = engine.profiler(artifact, SessionOptions())
        if profiler is None:
            return
        shape = (1, tiny_model.STATIC_FRAMES, tiny_model.FEAT_DIM)
        features_BTM = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        took_ns = [profiler.run(features_BTM) for _ in range(PROFILED_RUNS)]
        runs = profiler.finish()
        assert len(runs) == PROFILED_RUNS
        for run in runs:
            assert run.operators
            assert all(each.ns >= 0 and each.kind for each in run.operators)
            assert sum(each.ns for each in run.operators) <= ROUNDED * max(took_ns)
            assert {name for each in run.operators for name in each.sources} & NAMES

    # What it refuses.

    @pytest.mark.parametrize(
        "wrong_BTM",
        [
            features(STATIC_FRAMES)[..., :79],
            features(STATIC_FRAMES)[0],
            features(STATIC_FRAMES).astype(np.float64),
            features(STATIC_FRAMES)[:, :0],
        ],
        ids=["bins", "axes", "type", "empty"],
    )
    def test_features_of_another_shape_are_refused(
        self, engine: EngineBase, artifact: ModelArtifact, wrong_BTM: FloatArray
    ) -> None:
        """Features that the model cannot take are an error that says what it takes."""
        with pytest.raises(EngineError, match=rf"float32 \[B, .*, {artifact.feat_dim}\]"):
            engine.open(artifact, SessionOptions()).run(wrong_BTM)

    def test_static_models_refuse_another_length(
        self, engine: EngineBase, artifacts: Artifacts
    ) -> None:
        """A static model takes its own number of frames only."""
        found = artifacts["static"]
        if isinstance(found, str) or _refusal(engine, found):
            pytest.skip(f"{engine.name} runs no static model")
        session = engine.open(found, SessionOptions())
        with pytest.raises(EngineError, match=f"{STATIC_FRAMES}"):
            session.run(self.fed(engine, STATIC_FRAMES + 1))

    def test_other_formats_are_refused(self, engine: EngineBase, artifact: ModelArtifact) -> None:
        """A model of another runtime's format is refused with the way to the right one."""
        if not self.computes:
            pytest.skip(f"{engine.name} never opens the file")
        other = replace(artifact, format="of-nobody")
        support = engine.supports(other, SessionOptions())
        assert not support.ok
        assert f".{engine.format} file" in support.reason, "a refusal names its cure"

    @pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated"])
    def test_files_that_are_no_models(
        self, engine: EngineBase, artifact: ModelArtifact, tmp_path: Path, damage: str
    ) -> None:
        """A file that is no complete model is an error that names the file."""
        if not self.computes:
            pytest.skip(f"{engine.name} never opens the file")
        path = tmp_path / f"damaged.{artifact.format}"
        content = artifact.path.read_bytes()
        if damage != "missing":
            path.write_bytes({"empty": b"", "text": b"hello\n" * 99}.get(damage, content[:-2000]))
        with pytest.raises(EngineError, match=str(path)):
            engine.open(replace(artifact, path=path), SessionOptions())

    # What it leaves behind.

    def test_close_is_final_and_repeatable(
        self, engine: EngineBase, artifact: ModelArtifact
    ) -> None:
        """A session may be closed twice; what it reports can still be read."""
        session = engine.open(artifact, SessionOptions())
        session.close()
        session.close()
        assert session.effective["threads"] == 1
        if self.computes:
            with pytest.raises(EngineError, match="closed"):
                session.run(self.fed(engine, STATIC_FRAMES))

    def test_runs_leave_no_memory_behind(self, engine: EngineBase, artifact: ModelArtifact) -> None:
        """Two hundred runs take no more memory than the first ones."""
        session = engine.open(artifact, SessionOptions())
        input_BTM = self.fed(engine, artifact.num_frames or LONG_FRAMES)
        process = psutil.Process(os.getpid())
        for _ in range(20):
            session.run(input_BTM)
        before = process.memory_info().rss
        for _ in range(RUNS):
            session.run(input_BTM)
        grown = process.memory_info().rss - before
        assert grown <= MOST_GROWTH_BYTES, f"{RUNS} runs left {grown >> 20} MB behind"

    def test_signals_are_taken_afterwards(
        self, engine: EngineBase, artifacts: Mapping[Form, ModelArtifact | str]
    ) -> None:
        """A process that had two sessions, one of each form, takes Ctrl-C as its handler says."""
        taken = [
            TypeAdapter(ModelArtifact).dump_json(each).decode()
            for each in artifacts.values()
            if not isinstance(each, str) and engine.supports(each, SessionOptions()).ok
        ]
        command = [sys.executable, "-c", SIGNALLED, self.name, taken[0], taken[-1]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.returncode, done.stderr[-500:])
        assert done.stdout.endswith("taken\n")


@cache
def _folder() -> "TemporaryDirectory[str]":
    return TemporaryDirectory(prefix="rtfbench-")


@cache
def _written(format: Format, form: Form) -> ModelArtifact | str:
    """Write the tiny model once a process."""
    try:
        return tiny_model.write(Path(_folder().name), format, form)
    except ConversionError as error:
        return str(error)


def _refusal(engine: EngineBase, artifact: ModelArtifact) -> str:
    """Return why an engine does not take a form, nothing where it does."""
    support = engine.supports(artifact, SessionOptions())
    assert support.ok or "--form" in support.reason, "a refusal names its cure"
    return support.reason if not support.ok else ""
