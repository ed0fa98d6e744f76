"""Write a model file and prove it right, in a process of its own."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from rtfbench.base.asking import respond
from rtfbench.base.cache import replacing
from rtfbench.base.errors import InputError, as_input
from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.base.values import Value
from rtfbench.embed import reference
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.pipeline import Pipeline, check_embedding, whole_front_end_text
from rtfbench.engines.base import SessionBase, first_line
from rtfbench.engines.protocol import (
    ONNX,
    PUBLISHED_FLOPS_BASIS,
    PUBLISHED_NUM_FRAMES,
    EngineError,
    FloatArray,
    Format,
)
from rtfbench.frontends.audio import read_audio
from rtfbench.frontends.chunking import natural_chunk_samples
from rtfbench.frontends.front_end import WESPEAKER, FrontEnd
from rtfbench.models import front_ends
from rtfbench.models.conversion import convert
from rtfbench.models.file_maker import convert_file, open_session
from rtfbench.models.model_files import FileRequest, ModelFile
from rtfbench.models.model_reading import read_model_file
from rtfbench.models.user_models import AS_IT_SAYS, Reading
from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS, Weights
from rtfbench.results.cells import MAX_REL_ERR

#: Lengths at which a model that takes any is compared with its source: the published chunk, and an
#: odd one.
CHECKED_FRAMES = (WESPEAKER.num_frames(PUBLISHED_CHUNK_SAMPLES), 321)
#: A model of samples is checked on about so much.
CHECKED_S = 2
SPEECH = DEFAULT_SPEECH / "digits_en_gb.flac"


class ExportRequest(Value):
    """What to export, of exactly one kind: a name, an experiment, or an ONNX file."""

    output: Path
    format: Format
    num_frames: int | None = None
    model: str | None = None
    weights: Weights = DEFAULT_WEIGHTS
    config: Path | None = None
    checkpoint: Path | None = None
    mean_vec: Path | None = None
    onnx: Path | None = None
    #: What is said of the ONNX file.
    reading: Reading = AS_IT_SAYS


class ExportCheck(Value):
    """One comparison with the source."""

    features: str
    num_frames: int
    max_rel_err: float
    ok: bool


class SourceFacts(Value):
    """What is known of the source, counts None where unknown.

    `ignored` are weights that were left out, and `notes` what a user is told of how it is fed.
    """

    title: str
    params: int | None
    flops: int | None
    flops_basis: str
    about: str
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Exported(Value):
    """What was written."""

    inputs: str
    outputs: str
    num_frames: int | None
    source: SourceFacts
    checks: tuple[ExportCheck, ...]


class ExportAnswer(Value):
    """How it went: `status` is that of the command."""

    status: int
    exported: Exported | None = None
    error: str = ""


@dataclass(frozen=True)
class _ModelSource:
    """Where a model comes from, and what it is written with."""

    facts: SourceFacts
    session: SessionBase
    write: Callable[[Path], None]
    front_end: FrontEnd
    num_frames: int | None


class WrongExportError(Exception):
    """What was written does not compute what its source computes."""


def export(request: ExportRequest) -> Exported:
    """Write the file, and keep it if it is right.

    Raises:
        InputError: the source cannot be used.
        WrongExportError: the file was not kept.
        EngineError: nothing could be written or run.
    """
    source = _from_onnx(request) if request.onnx else _from_torch(request)
    if source.num_frames is not None:
        _check_length(source, source.num_frames)
    with replacing(request.output) as part:
        source.write(part)
        fed_with = front_ends.of_front_end("the source", source.front_end)
        try:
            file = read_model_file(FileRequest(path=part, front_end=fed_with))
        except InputError as error:
            said = str(error).replace(f"{part}: ", "")
            raise WrongExportError(f"{request.output}: not kept: {said}") from error
        checks = _compare(source, file)
        wrong = next((check for check in checks if not check.ok), None)
        if wrong is not None:
            raise WrongExportError(
                f"{request.output}: not kept, because it does not compute what "
                f"{source.facts.title} does: largest error {wrong.max_rel_err:.1e} of the largest "
                f"value on {wrong.features} features of {wrong.num_frames} frames, "
                f"limit {MAX_REL_ERR:.0e}"
            )
    batch, frames = ("B", "T") if file.num_frames is None else ("1", str(file.num_frames))
    return Exported(
        inputs=f"{file.input_name} [{batch}, {frames}, {file.feat_dim}]",
        outputs=f"{file.output_name} [{batch}, {file.embedding_dim}]",
        num_frames=file.num_frames,
        source=source.facts,
        checks=tuple(checks),
    )


def _from_onnx(request: ExportRequest) -> _ModelSource:
    assert request.onnx is not None
    beside = tuple(front_ends.beside(request.onnx))
    asked = request.reading.of(request.onnx)
    file = read_model_file(asked.model_copy(update={"beside": beside}))
    if request.num_frames is not None and file.num_frames not in (None, request.num_frames):
        raise InputError(
            f"{request.onnx}: is fixed to {file.num_frames} frames already; "
            f"choose --num-frames {file.num_frames} or leave it out"
        )
    frames = request.num_frames or file.num_frames

    def write(part: Path) -> None:
        with TemporaryDirectory() as folder:
            made = Path(folder) / f"model.{request.format}"
            convert_file(file, made, request.format, num_frames=frames)
            if request.format == ONNX:
                _stamp(made, file.front_end)
            shutil.copyfile(made, part)

    facts = SourceFacts(
        title=f"{request.onnx.name} in onnxruntime without optimisations",
        params=file.params,
        flops=file.flops,
        flops_basis=file.flops_basis,
        about=file.about,
        notes=file.notes,
    )
    session = open_session(file, "onnxruntime", {"graph_optimization": "off"})
    return _ModelSource(facts, session, write, file.front_end, frames)


def _from_torch(request: ExportRequest) -> _ModelSource:
    try:
        from rtfbench.models.zoo import build, catalog, counter, experiment
        from rtfbench.models.zoo.export import TorchSession, to_onnx
        from rtfbench.models.zoo.repvgg import reparameterize
        from rtfbench.models.zoo.weights import seeded_model, trained_model
    except ImportError as error:
        raise InputError(
            f"exporting needs torch ({error}); install it with: pip install 'rtfbench[zoo]'"
        ) from error
    model: Any
    ignored: list[str] = []
    about, front_end = "", WESPEAKER
    if request.model is not None:
        card = catalog.get(request.model)
        title, feat_dim = f"{card.title} in torch", card.feat_dim
        is_trained = catalog.weights_of(request.model, request.weights) == "trained"
        model = trained = (trained_model if is_trained else seeded_model)(request.model)
        trained_on = "trained on synthetic voices"
        about = f"weights are {trained_on if is_trained else 'seeded: they tell no speakers apart'}"
    else:
        assert request.config is not None
        assert request.checkpoint is not None
        found = experiment.read_experiment(request.config)
        title, feat_dim = f"{found.card.title} in torch", found.feat_dim
        said = front_ends.of_experiment(request.config)
        front_end = WESPEAKER if said is None else said.applied(WESPEAKER)
        with as_input(ValueError, before=f"{request.config}: model_args.feat_dim: "):
            trained = build(found.card.name, embed_dim=found.embed_dim, feat_dim=feat_dim)
        ignored = experiment.load_weights(trained, request.checkpoint)
        model = reparameterize(trained)
        if request.mean_vec is not None:
            model = experiment.subtract_mean(model, request.mean_vec, found.embed_dim)
            title += ", mean subtracted"
    counts = counter.count(trained, PUBLISHED_NUM_FRAMES, feat_dim)
    front_end = front_end.with_bins(feat_dim)

    def write(part: Path) -> None:
        with TemporaryDirectory() as folder:
            path = part if request.format == ONNX else Path(folder) / "model.onnx"
            to_onnx(model, path, feat_dim=feat_dim, num_frames=request.num_frames)
            _stamp(path, front_end)
            if request.format != ONNX:
                convert(path, part, request.format, static=request.num_frames is not None)

    facts = SourceFacts(
        title=title,
        params=counts.params,
        flops=counts.published_flops,
        flops_basis=PUBLISHED_FLOPS_BASIS,
        about=about,
        ignored=tuple(ignored),
    )
    return _ModelSource(facts, TorchSession(model), write, front_end, request.num_frames)


def _stamp(path: Path, front_end: FrontEnd) -> None:
    """Write into an ONNX file what it is to be fed."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    kept = {each.key: each.value for each in model.metadata_props}
    onnx.helper.set_model_props(model, kept | {front_ends.OWN_KEY: whole_front_end_text(front_end)})
    onnx.save(model, str(path))


def _compare(source: _ModelSource, file: ModelFile) -> list[ExportCheck]:
    """Run the file and its source on random and on real features, at two lengths if it can."""
    session = open_session(file, "onnxruntime" if file.format == ONNX else "mnn", {})
    checks: list[ExportCheck] = []
    front_end = file.front_end
    lengths = CHECKED_FRAMES
    if front_end.waveform:
        lengths = (CHECKED_S * front_end.sample_rate_hz, CHECKED_S * front_end.sample_rate_hz + 999)
    for num_frames in (source.num_frames,) if source.num_frames else lengths:
        random_BTM = _random(num_frames, file.feat_dim)
        pipeline = Pipeline(natural_chunk_samples(num_frames, front_end), front_end)
        rate_hz = front_end.sample_rate_hz
        speech_BTM = pipeline.first_chunk(read_audio(SPEECH, sample_rate_hz=rate_hz, resample=True))
        for name, features_BTM in (("random", random_BTM), ("speech", speech_BTM)):
            found = reference.parity_of(session.run(features_BTM), source.session.run(features_BTM))
            error, ok = found.max_rel_err, found.ok
            checks.append(
                ExportCheck(features=name, num_frames=num_frames, max_rel_err=error, ok=ok)
            )
    session.close()
    return checks


def _random(num_frames: int, feat_dim: int) -> FloatArray:
    rng = np.random.default_rng(num_frames)
    return rng.standard_normal((1, num_frames, feat_dim)).astype(np.float32)


def _check_length(source: _ModelSource, num_frames: int) -> None:
    """Refuse a length at which nothing is computed: a deviation over one frame is none, say."""
    try:
        (embedding_D,) = source.session.run(_random(num_frames, source.front_end.feat_dim))
        check_embedding(embedding_D, embedding_D.size)
    except Exception as error:  # torch and the runtimes raise what they like
        raise InputError(
            f"--num-frames {num_frames}: {source.facts.title} computes no embedding of so many "
            f"frames ({first_line(error)}); choose another number"
        ) from error


def export_here(request: ExportRequest) -> ExportAnswer:
    """Export in this process, and say how it went."""
    try:
        return ExportAnswer(status=0, exported=export(request))
    except InputError as error:
        return ExportAnswer(status=2, error=str(error))
    except OSError as error:
        reason = f"{request.output}: cannot write here ({error.strerror or error})"
        return ExportAnswer(status=2, error=reason)
    except (WrongExportError, EngineError) as error:
        return ExportAnswer(status=1, error=str(error))


if __name__ == "__main__":
    respond(ExportRequest, export_here)
