"""Reading a model file: a runtime given a damaged one may end the process, so it is done apart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.asking import respond
from bench.base.cache import sha256_of
from bench.base.errors import InputError
from bench.models.model_files import FORMATS, FileRequest, ModelFile, ModelFileAnswer
from engines.protocol import ONNX, PUBLISHED_NUM_FRAMES
from frontends.chunking import WHOLE_UTTERANCE, ChunkPolicy

#: What the front end makes.
MEL_BINS = ChunkPolicy(WHOLE_UTTERANCE).fbank.num_mel_bins


def read_model_file(request: FileRequest) -> ModelFile:
    """Read a model file in this process; see `describe_model_file`.

    Raises:
        InputError: as `describe_model_file`.
    """
    if not request.path.stat().st_size:
        raise InputError(f"{request.path}: an empty file; export the model again")
    reader = _read_onnx if FORMATS[request.path.suffix] == ONNX else _read_mnn
    try:
        return reader(request)
    except InputError:
        raise
    except Exception as error:  # the libraries raise what they like where a graph makes no sense
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{request.path}: cannot be read as a model ({said})") from error


def _read_onnx(request: FileRequest) -> ModelFile:
    try:
        from bench.models import onnx_graph
    except ImportError as error:
        raise InputError(
            f"{request.path}: reading it needs the onnx package ({error}); "
            "install it with: pip install 'rtfbench[onnxruntime]'"
        ) from error
    model = onnx_graph.load_graph(request.path)
    spoiled = onnx_graph.not_numbers(model)
    if spoiled is not None:
        raise InputError(f"{request.path}: weight {spoiled!r} holds NaN; export the model again")
    shapes_in = {port.name: port.shape for port in onnx_graph.inputs(model)}
    shapes_out = {port.name: port.shape for port in onnx_graph.outputs(model)}
    input_name = _choose_input(request, shapes_in)
    num_frames, feat_dim = _features(request.path, input_name, shapes_in[input_name])
    counts = onnx_graph.count(model, input_name, num_frames or PUBLISHED_NUM_FRAMES)
    fixed = onnx_graph.fix_frames(model, input_name, num_frames or PUBLISHED_NUM_FRAMES)
    # With the input fixed, inference may find sizes that the file leaves open.
    shapes_out |= {p.name: p.shape for p in onnx_graph.outputs(fixed) if p.shape is not None}
    output_name = _choose_output(request, shapes_out)
    data_files = onnx_graph.data_files(request.path)
    about = f"operators not counted: {', '.join(counts.uncounted) or 'none'}"
    denormal, stored = onnx_graph.denormal_weights(model)
    if denormal:
        about += f"; {denormal:,} of {stored:,} stored values are denormal, which slows cores"
    return ModelFile(
        path=request.path.resolve(),
        format=ONNX,
        sha256=sha256_of(request.path, *data_files),
        num_frames=num_frames,
        feat_dim=feat_dim,
        embedding_dim=_embedding_dim(request.path, output_name, shapes_out[output_name]),
        input_name=input_name,
        output_name=output_name,
        data_files=tuple(data_files),
        params=counts.params,
        flops=counts.flops,
        flops_basis="in the graph's convolutions, matrix products and BatchNorms "
        f"({num_frames or PUBLISHED_NUM_FRAMES} frames)",
        about=about,
    )


def _read_mnn(request: FileRequest) -> ModelFile:
    try:
        import MNN
    except ImportError as error:
        raise InputError(
            f"{request.path}: reading it needs MNN ({error}); "
            "install it with: pip install 'rtfbench[mnn]'"
        ) from error
    try:
        interpreter: Any = MNN.Interpreter(str(request.path))
        session: Any = interpreter.createSession({"backend": "CPU", "numThread": 1})
    except Exception as error:  # the binding raises bare Exception
        raise InputError(
            f"{request.path}: not a complete MNN model; convert it again with: rtfbench export"
        ) from error
    tensors = interpreter.getSessionInputAll(session)
    shapes_in = {name: _open_sizes(tensor) for name, tensor in tensors.items()}
    input_name = _choose_input(request, shapes_in)
    num_frames, feat_dim = _features(request.path, input_name, shapes_in[input_name])
    if num_frames is None:
        interpreter.resizeTensor(tensors[input_name], (1, PUBLISHED_NUM_FRAMES, feat_dim))
        interpreter.resizeSession(session)
    outputs = interpreter.getSessionOutputAll(session)
    shapes_out = {name: _open_sizes(tensor) for name, tensor in outputs.items()}
    output_name = _choose_output(request, shapes_out)
    mega_macs = float(interpreter.getSessionInfo(session, 1))
    return ModelFile(
        path=request.path.resolve(),
        format="mnn",
        sha256=sha256_of(request.path),
        num_frames=num_frames,
        feat_dim=feat_dim,
        embedding_dim=_embedding_dim(request.path, output_name, shapes_out[output_name]),
        input_name=input_name,
        output_name=output_name,
        flops=round(mega_macs * 1e6),
        flops_basis=f"as MNN counts them ({num_frames or PUBLISHED_NUM_FRAMES} frames)",
        about="an MNN file does not tell its number of parameters",
    )


def _open_sizes(tensor: Any) -> tuple[int | None, ...]:
    return tuple(size if size > 0 else None for size in tensor.getShape())


Shapes = Mapping[str, tuple[int | None, ...] | None]


def _choose_input(request: FileRequest, shapes: Shapes) -> str:
    """Return the input's name; there may be no other that has to be fed."""
    if request.input_name is not None and request.input_name not in shapes:
        raise InputError(f"{request.path}: no input {request.input_name!r}; it has {_list(shapes)}")
    if len(shapes) != 1:
        raise InputError(
            f"{request.path}: {len(shapes)} inputs ({_list(shapes)}), and only a model with one, "
            "features [B, T, M], can be run; export it without the others"
        )
    return next(iter(shapes))


def _choose_output(request: FileRequest, shapes: Shapes) -> str:
    """Return the output that is named, or the only one of the shape [B, D]."""
    if request.output_name is not None:
        if request.output_name in shapes:
            return request.output_name
        raise InputError(
            f"{request.path}: no output {request.output_name!r}; it has {_list(shapes)}"
        )
    fitting = [name for name, shape in shapes.items() if shape is not None and len(shape) == 2]
    if len(fitting) != 1:
        raise InputError(
            f"{request.path}: {len(fitting)} outputs of the shape [B, D] among {_list(shapes)}; "
            "name the embedding with --output"
        )
    return fitting[0]


def _features(
    path: Path, name: str, shape: tuple[int | None, ...] | None
) -> tuple[int | None, int]:
    """Return frames (None for any number) and feature dimension of an input [B, T, M]."""
    if shape is None or len(shape) != 3 or shape[0] not in (None, 1):
        raise InputError(
            f"{path}: the input {_list({name: shape})} is no features [B, T, M] "
            "(batch, frames, mel bins)"
        )
    return shape[1], shape[2] or MEL_BINS


def _embedding_dim(path: Path, name: str, shape: tuple[int | None, ...] | None) -> int:
    if shape is None or len(shape) != 2 or shape[1] is None:
        raise InputError(
            f"{path}: the output {_list({name: shape})} is no embedding [B, D] of a known size; "
            "name another with --output"
        )
    return shape[1]


def _list(shapes: Shapes) -> str:
    def sizes(shape: tuple[int | None, ...] | None) -> str:
        return "?" if shape is None else ", ".join(str(size or "any") for size in shape)

    return ", ".join(f"{name} [{sizes(shape)}]" for name, shape in shapes.items()) or "none"


def _read_here(request: FileRequest) -> ModelFileAnswer:
    try:
        return ModelFileAnswer(file=read_model_file(request))
    except InputError as error:
        return ModelFileAnswer(error=str(error))


if __name__ == "__main__":
    respond(FileRequest, _read_here)
