"""Models that a run takes from the user's own files, and what an embedding is compared with."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtfbench.base.errors import InputError, as_input
from rtfbench.base.values import Value
from rtfbench.embed.pipeline import front_end_text
from rtfbench.engines import registry
from rtfbench.engines.protocol import ONNX, Form
from rtfbench.frontends.chunking import WHOLE_UTTERANCE, ChunkPolicy, natural_chunk_samples
from rtfbench.frontends.front_end import FrontEnd
from rtfbench.models import artifacts
from rtfbench.models.artifacts import folder_of
from rtfbench.models.front_ends import named, of_front_end
from rtfbench.models.model_files import FileRequest, ModelFile, describe_model_file, is_path
from rtfbench.results.cells import Cell

SELF_REFERENCE = (
    "an MNN file alone has no independent reference: it is compared with MNN itself "
    "(full library, precision high); --reference FILE.onnx names a real one"
)


@dataclass(frozen=True)
class Reading:
    """What a user says of model files: what they are fed, and what input and output are called.

    `front_end` is the name of a preset, or a file in TOML.
    """

    front_end: str | None = None
    input_name: str | None = None
    output_name: str | None = None

    def of(self, path: Path) -> FileRequest:
        """Return the question about a file.

        Raises:
            InputError: there is no such front end.
        """
        return FileRequest(
            path=path,
            input_name=self.input_name,
            output_name=self.output_name,
            front_end=None if self.front_end is None else named(self.front_end),
        )


#: Of a file that says all itself.
AS_IT_SAYS = Reading()


class UserModel(Value):
    """A model file and the one that its embeddings are compared with, often itself."""

    file: ModelFile
    reference: ModelFile

    @property
    def title(self) -> str:
        """The name in tables, in one line."""
        return " ".join(self.file.path.name.split())

    @property
    def slug(self) -> str:
        """The name in names of files."""
        return self.file.slug

    @property
    def key(self) -> str:
        """A name that changes with all that its reference's embeddings depend on."""
        file, fed_with = self.reference, front_end_text(self.file.front_end)
        return artifacts.of_file(
            file.format, file.sha256, file.input_name, file.output_name, str(file.runs), fed_with
        )

    @property
    def folder(self) -> Path:
        """Where its conversions are kept; what is told of them depends on the reference too."""
        file, other = self.file, self.reference
        names = [str(file.path), file.sha256, file.input_name, file.output_name, other.sha256]
        names += [str(file.runs), front_end_text(file.front_end)]
        return folder_of(self.slug, artifacts.of_file(*names))

    @property
    def front_end(self) -> FrontEnd:
        """What it is fed."""
        return self.file.front_end

    @property
    def size_bytes(self) -> int:
        """What its weights take about."""
        return self.file.path.stat().st_size

    @property
    def note(self) -> str:
        """What a reader of its results has to know."""
        return SELF_REFERENCE if self.reference.format == "mnn" else ""

    def refusal(self, engine: str, form: Form) -> str:
        """Say why there is no file for an engine, empty if there is one."""
        wanted, path = registry.get(engine).format, self.file.path
        if not registry.get(engine).from_onnx:
            return (
                f"{engine} runs .{wanted} files, which are made from models of the catalog and not "
                f"from {path.name}"
            )
        if self.file.format != wanted and self.file.format != ONNX:
            return (
                f"{engine} reads {wanted} models, and an {self.file.format} file cannot be "
                f"converted back; name the .onnx file that {path.name} was made from"
            )
        if self.file.num_frames is not None and form == "dynamic":
            return f"{path.name} is fixed to {self.file.num_frames} frames: choose --form static"
        if self.file.format == "mnn" and self.file.form != form:
            return (
                f"{engine} needs a static model; make one from the .onnx file with: "
                "rtfbench export --onnx FILE.onnx --format mnn --num-frames 198"
            )
        return ""


def load_user_model(
    path: str, reading: Reading = AS_IT_SAYS, *, reference: Path | None = None
) -> UserModel:
    """Read a model file and its reference.

    Raises:
        InputError: one of them cannot be used, or they do not belong together.
    """
    file = describe_model_file(reading.of(Path(path)))
    if reference is None:
        return UserModel(file=file, reference=file)
    if reference.suffix != ".onnx":
        raise InputError(f"{reference}: not a reference; name the model's .onnx file")
    # It is fed what the model is fed that is compared with it.
    fed_with = of_front_end(str(file.path), file.front_end)
    other = describe_model_file(FileRequest(path=reference, front_end=fed_with))
    if other.embedding_dim != file.embedding_dim:
        raise InputError(
            f"{reference}: embeddings of {other.embedding_dim} values, and {path} gives "
            f"{file.embedding_dim}; name the .onnx file that it was made from"
        )
    if other.feat_dim != file.feat_dim:
        raise InputError(
            f"{reference}: takes {other.feat_dim} mel bins a frame, and {path} {file.feat_dim}; "
            "name the .onnx file that it was made from"
        )
    if other.num_frames not in (None, file.num_frames):
        raise InputError(
            f"{reference}: fixed to {other.num_frames} frames, and {path} is not; "
            "name a reference that takes any number"
        )
    return UserModel(file=file, reference=other)


def load_user_models(
    models: Iterable[str], reading: Reading = AS_IT_SAYS, *, reference: Path | None = None
) -> dict[str, UserModel]:
    """Read every model that is named by a file; see `load_user_model`."""
    return {
        each: load_user_model(each, reading, reference=reference)
        for each in models
        if is_path(each)
    }


def fit(
    cells: Sequence[Cell], users: Mapping[str, UserModel], *, sizes_given: bool, forms_given: bool
) -> tuple[Cell, ...]:
    """Give cells the form and chunk size of their files, where no other was asked for.

    Raises:
        InputError: a chunk size was asked for that a static file or a front end cannot take.
    """
    fitted: list[Cell] = []
    for cell in cells:
        if cell.model in users:
            cell = _fitted(cell, users[cell.model].file, sizes_given, forms_given)
        fitted.append(cell)
    return tuple({cell.model_dump_json(): cell for cell in fitted}.values())


def _fitted(cell: Cell, file: ModelFile, size_given: bool, form_given: bool) -> Cell:
    size, form, front_end = cell.chunk_samples, cell.form, file.front_end
    if file.num_frames is not None:
        size = size if size_given else natural_chunk_samples(file.num_frames, front_end)
        form = form if form_given else "static"
    elif not size_given:
        size = front_end.chunk_samples or size
    with as_input(ValueError, before=f"{file.path}: "):
        num_frames = ChunkPolicy(size, front_end).num_frames
    if size_given and file.num_frames is not None and num_frames != file.num_frames:
        given = "the whole utterance" if size == WHOLE_UTTERANCE else f"{num_frames} frames"
        raise InputError(
            f"{file.path.name} is fixed to {file.num_frames} frames, and --chunk-samples {size} "
            f"gives {given}; --chunk-samples {natural_chunk_samples(file.num_frames, front_end)} "
            "fits"
        )
    return cell.model_copy(update={"chunk_samples": size, "form": form})
