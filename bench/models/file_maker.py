"""What engines read of a user's model file, and the session of its reference, without torch."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rtfbench.base.cache import intact, replacing, seal, sha256_of
from rtfbench.embed.pipeline import front_end_text
from rtfbench.engines import registry
from rtfbench.engines.base import SessionBase
from rtfbench.engines.protocol import (
    FLOAT32,
    ONNX,
    EngineError,
    Format,
    ModelArtifact,
    SessionOptions,
)
from rtfbench.models.artifacts import ArtifactRequest
from rtfbench.models.conversion import convert, quantize
from rtfbench.models.front_ends import metadata_of
from rtfbench.models.model_files import ModelFile
from rtfbench.models.user_models import UserModel


class FileMaker:
    """Makes what engines read of a user's model file."""

    def __init__(self, user: UserModel) -> None:
        self._user = user

    def make_artifact(self, request: ArtifactRequest) -> ModelArtifact:
        """Return the file that an engine reads: the user's own where it fits, else a conversion.

        Raises:
            ConversionError: it cannot be converted.
        """
        file = self._user.file
        frames = request.chunk_frames if request.form == "static" else None
        path, recipe = self._user.folder / request.file_name, ""
        if request.precision != FLOAT32:
            recipe = self._quantize(path, request, frames)
        elif (file.format, file.form) == (request.format, request.form):
            path = file.runs
        elif not intact(path):
            convert_file(file, path, request.format, num_frames=frames)
            seal(path)
        return replace(
            _artifact(file),
            name=self._user.title,
            path=path,
            format=request.format,
            form=request.form,
            num_frames=frames,
            sha256=file.sha256 if path == file.path else sha256_of(path),
            params=file.params,
            flops=file.flops,
            macs=_macs(file, request.chunk_frames),
            flops_basis=file.flops_basis,
            note=self._user.note,
            about=file.about,
            precision=request.precision,
            recipe=recipe,
        )

    def _quantize(self, path: Path, request: ArtifactRequest, frames: int | None) -> str:
        """Write the model in another precision, and return its recipe."""
        file = self._user.file
        with TemporaryDirectory(prefix="rtfbench-") as folder:
            source = Path(folder) / f"model.{ONNX}"
            convert_file(file, source, ONNX, num_frames=frames)
            return quantize(source, path, request, file.front_end)

    def open_reference(self) -> SessionBase:
        """Open what embeddings are compared with.

        That is onnxruntime in float32 on the graph as it is, or for MNN's own files MNN itself.
        """
        file = self._user.reference
        if file.format == ONNX:
            return open_session(file, "onnxruntime", {"graph_optimization": "off"})
        return open_session(file, "mnn", {"precision": "high"})


def convert_file(file: ModelFile, path: Path, format: Format, *, num_frames: int | None) -> None:
    """Write an ONNX file in another form or format, fixed to a length if one is given."""
    from rtfbench.models import onnx_graph

    source, model = file.runs, onnx_graph.load_graph(file.runs)
    others = [each for each in model.graph.output if each.name != file.output_name]
    if num_frames != file.num_frames or file.data_files or others or format == ONNX:
        # As one file: the converter does not look for data files. With one output: nobody has to
        # say again which one is the embedding.
        source = path.with_suffix(f".{ONNX}")
        for each in others:
            model.graph.output.remove(each)
        if num_frames is not None:
            model = onnx_graph.fix_frames(model, file.input_name, num_frames)
        with replacing(source) as part:
            onnx_graph.save_graph(model, part)
    if format != ONNX:
        said = metadata_of(file.front_end, file.embedding_dim)
        convert(source, path, format, static=num_frames is not None, said=said)


def _macs(file: ModelFile, chunk_frames: int | None) -> int | None:
    """Count the chunk that is measured, where the file can be counted."""
    if file.format != ONNX or chunk_frames is None:
        return None
    from rtfbench.models import onnx_graph

    return onnx_graph.count(onnx_graph.load_graph(file.runs), file.input_name, chunk_frames).macs


def open_session(file: ModelFile, engine: str, settings: Mapping[str, str]) -> SessionBase:
    """Open a model file with one thread.

    Raises:
        EngineError: the engine is not installed, or cannot load the file.
    """
    found = registry.get(engine).probe()
    if not found.ok:
        raise EngineError(f"running {file.path.name} needs {engine}: {found.reason}")
    return registry.get(engine).open(_artifact(file), SessionOptions(settings=settings))


def _artifact(file: ModelFile) -> ModelArtifact:
    """Return a file as it is, uncounted."""
    return ModelArtifact(
        name=file.path.name,
        path=file.runs,
        format=file.format,
        form=file.form,
        num_frames=file.num_frames,
        feat_dim=file.feat_dim,
        embedding_dim=file.embedding_dim,
        sha256=file.sha256,
        input_name=file.input_name,
        output_name=file.output_name,
        front_end=front_end_text(file.front_end),
    )
