"""Reading a model file: a runtime given a damaged one may end the process, so it is done apart."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rtfbench.base.asking import respond
from rtfbench.base.cache import replacing, seal, sha256_of
from rtfbench.base.errors import InputError, as_input
from rtfbench.engines.base import first_line
from rtfbench.engines.protocol import ONNX, PUBLISHED_NUM_FRAMES
from rtfbench.frontends.front_end import PRESETS, FrontEnd
from rtfbench.models import front_ends, ports
from rtfbench.models.artifacts import folder_of
from rtfbench.models.front_ends import BESIDE, CURE, Decided, Stated
from rtfbench.models.model_files import FORMATS, FileRequest, ModelFile, ModelFileAnswer, slug_of
from rtfbench.models.ports import FeaturePorts, Socket

#: Operations of a model of samples are counted at so much.
COUNTED_S = 2
#: The preset of models that take samples.
PYANNOTE = "pyannote"


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
        said = first_line(error)
        raise InputError(f"{request.path}: cannot be read as a model ({said})") from error


def _read_onnx(request: FileRequest) -> ModelFile:
    try:
        from rtfbench.models import adapting, onnx_graph
    except ImportError as error:
        raise InputError(
            f"{request.path}: reading it needs the onnx package ({error}); "
            "install it with: pip install 'rtfbench[onnxruntime]'"
        ) from error
    model = onnx_graph.load_graph(request.path)
    spoiled = onnx_graph.not_numbers(model)
    if spoiled is not None:
        raise InputError(f"{request.path}: weight {spoiled!r} holds NaN; export the model again")
    metadata = {each.key: each.value for each in model.metadata_props}
    stated = front_ends.of_metadata(request.path, metadata)
    inputs, (front_end, notes) = _fed(request, onnx_graph.inputs(model), stated)
    assumed = () if request.front_end else notes
    input_name, num_frames, adapted = inputs.features.name, inputs.num_frames, None
    output_name = _output(request, model, inputs, front_end, metadata).name
    is_plain = adapting.is_plain(model, inputs, output_name)
    if inputs.feat_dim is None or not is_plain:
        if not is_plain:
            notes += (f"{request.path}: {_told_wrapping(inputs)}; the embedding is {output_name}",)
        model = adapting.wrapped(model, inputs, output_name, front_end)
        input_name, output_name = adapting.FEATURES, adapting.EMBEDDING
        adapted = folder_of(slug_of(request.path), request.key) / f"adapted.{ONNX}"
        with replacing(adapted) as part:
            onnx_graph.save_graph(model, part)
        seal(adapted)
    counted_frames = num_frames or _published_frames(front_end)
    counts = onnx_graph.count(model, input_name, counted_frames)
    fixed = onnx_graph.fix_frames(model, input_name, counted_frames)
    # With the input fixed, inference may find sizes that the file leaves open.
    shapes = {each.name: each.shape for each in onnx_graph.outputs(fixed)}
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
        feat_dim=front_end.feat_dim,
        embedding_dim=_embedding_dim(request.path, output_name, shapes.get(output_name)),
        input_name=input_name,
        output_name=output_name,
        data_files=tuple(data_files),
        params=counts.params,
        flops=counts.flops,
        flops_basis="in the graph's convolutions, matrix products and BatchNorms "
        f"({counted_frames} {'samples' if front_end.waveform else 'frames'})",
        about=about,
        front_end=front_end,
        notes=notes,
        assumed=assumed,
        adapted=adapted,
    )


def _fed(
    request: FileRequest, sockets: Sequence[Socket], metadata: Stated | None
) -> tuple[FeaturePorts, Decided]:
    """Return which of a model's inputs is fed, and with what.

    Raises:
        InputError: it cannot be told, or what says it contradicts the input.
    """
    sources = [*([metadata] if metadata else []), *request.beside]
    # What stands in model.toml goes before the metadata, and config.yaml behind it.
    sources.sort(key=lambda each: (not each.origin.endswith(BESIDE), each is not metadata))
    decided = front_ends.decide(request.path, request.front_end, sources)
    said = [*filter(None, [request.front_end]), *sources]
    bins = next((each.values["num_mel_bins"] for each in said if each.says("num_mel_bins")), None)
    inputs = ports.find_inputs(
        request.path, sockets, request.input_name, decided.front_end, bins=bins
    )
    return inputs, _fitting(request, inputs, decided, bins)


def _fitting(
    request: FileRequest, inputs: FeaturePorts, decided: Decided, bins: int | None
) -> Decided:
    """Return the front end with the features that the input takes.

    Raises:
        InputError: they contradict each other.
    """
    path, front_end = request.path, decided.front_end
    takes_samples = inputs.layout in ("BN", "B1N")
    if takes_samples and not front_end.waveform:
        said = [*filter(None, [request.front_end]), *request.beside]
        if any(each.base is not None for each in said):
            raise InputError(
                f"{path}: the input {inputs.features} takes samples, and {said[0].origin} says "
                f"features; choose --front-end {PYANNOTE}"
            )
        samples = PRESETS[PYANNOTE].with_values({"sample_rate_hz": front_end.sample_rate_hz})
        note = f"{path}: takes samples: it is fed those from -1 to 1; {CURE}"
        return Decided(samples, (note,))
    if front_end.waveform:
        if not takes_samples:
            raise InputError(
                f"{path}: the input {inputs.features} takes features, and its front end "
                f"({front_end}) makes none; name another with --front-end"
            )
        return decided
    energies = front_end.feat_dim - front_end.fbank.num_mel_bins
    if inputs.feat_dim is None:
        open_ = (
            f"{path}: the input {inputs.features} leaves mel bins open: it gets "
            f"{front_end.fbank.num_mel_bins}; say num_mel_bins in {BESIDE} beside the file"
        )
        return Decided(front_end, (*decided.notes, *([open_] if bins is None else [])))
    if bins is not None and bins + energies != inputs.feat_dim:
        raise InputError(
            f"{path}: the input {inputs.features} takes {inputs.feat_dim} features a frame, and "
            f"its front end makes {bins + energies}; correct num_mel_bins"
        )
    with as_input(ValueError, before=f"{path}: the input {inputs.features}: "):
        return decided._replace(front_end=front_end.with_bins(inputs.feat_dim - energies))


def _output(
    request: FileRequest,
    model: Any,
    inputs: FeaturePorts,
    front_end: FrontEnd,
    metadata: Mapping[str, str],
) -> Socket:
    """Return the embedding among a graph's outputs, their sizes inferred for one chunk."""
    from rtfbench.models import onnx_graph

    length = inputs.num_frames or _published_frames(front_end)
    by_axis = {"B": 1, "1": 1, "T": length, "N": length, "M": front_end.feat_dim}
    sizes = [by_axis[axis] for axis in inputs.layout]
    fixed = onnx_graph.fix_axes(model, inputs.features.name, sizes)
    inferred = {
        each.name: each.shape for each in onnx_graph.outputs(fixed) if each.shape is not None
    }
    sockets = [
        each._replace(shape=inferred.get(each.name, each.shape))
        for each in onnx_graph.outputs(model)
    ]
    dim = metadata.get("output_dim", "")
    wanted = int(dim) if dim.isdecimal() else None
    return ports.find_output(request.path, sockets, request.output_name or front_end.output, wanted)


def _published_frames(front_end: FrontEnd) -> int:
    """Return the length that operations are counted at where a model takes any."""
    if front_end.waveform:
        return COUNTED_S * front_end.sample_rate_hz
    return PUBLISHED_NUM_FRAMES


def _told_wrapping(inputs: FeaturePorts) -> str:
    """Say what is done to a graph so that it takes features [B, T, M]."""
    fed = {"BMT": "features [B, M, T]", "BN": "samples [B, N]", "B1N": "samples [B, 1, N]"}
    gets = f"its input {inputs.features.name} gets {fed.get(inputs.layout, 'features [B, T, M]')}"
    if inputs.lengths is None:
        return gets
    return f"{gets}, and {inputs.lengths.name} the length in {inputs.counted}"


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
    sockets = [Socket(name, _open_sizes(tensor)) for name, tensor in tensors.items()]
    inputs, (front_end, notes) = _fed(request, sockets, None)
    if inputs.layout != "BTM" or inputs.lengths is not None:
        raise InputError(
            f"{request.path}: the inputs {ports.told(sockets)} are more than features [B, T, M]; "
            "name the .onnx file that it was made from"
        )
    input_name, num_frames, feat_dim = inputs.features.name, inputs.num_frames, front_end.feat_dim
    if num_frames is None:
        interpreter.resizeTensor(tensors[input_name], (1, PUBLISHED_NUM_FRAMES, feat_dim))
        interpreter.resizeSession(session)
    outputs = interpreter.getSessionOutputAll(session)
    found = [Socket(name, _open_sizes(tensor)) for name, tensor in outputs.items()]
    named = request.output_name or front_end.output
    output = ports.find_output(request.path, found, named, None)
    mega_macs = float(interpreter.getSessionInfo(session, 1))
    return ModelFile(
        path=request.path.resolve(),
        format="mnn",
        sha256=sha256_of(request.path),
        num_frames=num_frames,
        feat_dim=feat_dim,
        embedding_dim=_embedding_dim(request.path, output.name, output.shape),
        input_name=input_name,
        output_name=output.name,
        flops=round(mega_macs * 1e6),
        flops_basis=f"as MNN counts them ({num_frames or PUBLISHED_NUM_FRAMES} frames)",
        about="an MNN file does not tell its number of parameters",
        front_end=front_end,
        notes=notes,
        assumed=() if request.front_end else notes,
    )


def _open_sizes(tensor: Any) -> tuple[int | None, ...]:
    return tuple(size if size > 0 else None for size in tensor.getShape())


def _embedding_dim(path: Path, name: str, shape: tuple[int | None, ...] | None) -> int:
    if shape is None or len(shape) != 2 or shape[1] is None:
        raise InputError(
            f"{path}: the output {Socket(name, shape)} is no embedding [B, D] of a known size; "
            "name another with --model-output"
        )
    return shape[1]


def _read_here(request: FileRequest) -> ModelFileAnswer:
    try:
        return ModelFileAnswer(file=read_model_file(request))
    except InputError as error:
        return ModelFileAnswer(error=str(error))


if __name__ == "__main__":
    respond(FileRequest, _read_here)
