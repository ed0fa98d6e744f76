"""Which of a graph's inputs takes features, on which axes, and which output is the embedding."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rtfbench.base.errors import InputError
from rtfbench.frontends.front_end import FrontEnd, Layout, Lengths
from rtfbench.models.front_ends import BESIDE

Shape = tuple[int | None, ...]
#: ONNX's numbers of types; whoever reads another format's files needs no onnx.
FLOAT, INT64 = 1, 7
TYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 10: "float16", 11: "float64"}
FLOATS = {FLOAT, 10, 11}
#: Mel bins that models of this field have.
USUAL_BINS = (20, 23, 24, 26, 30, 32, 40, 60, 64, 72, 80, 96, 128)
#: What inputs are called that say how long each element of a batch is.
LENGTH_NAMES = ("length", "lengths", "len", "lens", "wav_lens", "feats_len", "feats_lengths")


class Socket(NamedTuple):
    """An input or output; a shape of None is unknown."""

    name: str
    shape: Shape | None
    type: int = FLOAT

    def __str__(self) -> str:
        """Write it as a message does."""
        sizes = "?" if self.shape is None else ", ".join(str(s or "any") for s in self.shape)
        return f"{self.name} [{sizes}]"


class FeaturePorts(NamedTuple):
    """The input of features or samples, its layout, and the one of lengths if there is one."""

    features: Socket
    layout: Layout
    num_frames: int | None
    feat_dim: int | None
    lengths: Socket | None = None
    counted: Lengths | None = None


def told(sockets: Sequence[Socket]) -> str:
    """Write several as a message does."""
    return ", ".join(map(str, sockets)) or "none"


def find_inputs(
    path: Path,
    sockets: Sequence[Socket],
    name: str | None,
    front_end: FrontEnd,
    *,
    bins: int | None = None,
) -> FeaturePorts:
    """Return what is fed to a graph, of the sockets that have to be.

    The front end's layout and lengths go before shapes and names.

    Raises:
        InputError: it cannot be told, or nothing here can feed it.
    """
    if name is not None and name not in {each.name for each in sockets}:
        raise InputError(f"{path}: no input {name!r}; it has {told(sockets)}")
    lengths = [each for each in sockets if _is_lengths(each) and each.name != name]
    others = [each for each in sockets if each not in lengths]
    if len(others) != 1 or len(lengths) > 1:
        raise InputError(
            f"{path}: {len(sockets)} inputs ({told(sockets)}), and only a model with one, "
            "features [B, T, M] or samples, and one of lengths at most can be run; export it "
            "without the others"
        )
    (features,) = others
    if features.type not in FLOATS:
        kind = TYPES.get(features.type, f"ONNX's type {features.type}")
        raise InputError(
            f"{path}: the input {features} takes {kind}, and features are floating point; export "
            "it with an input of float32"
        )
    layout = front_end.layout or _layout(path, features, bins)
    if features.shape is None or len(features.shape) != len(layout):
        raise InputError(f"{path}: the input {features} has other axes than {layout}")
    sizes = dict(zip(layout, features.shape, strict=True))
    num_frames, feat_dim = sizes.get("T", sizes.get("N")), sizes.get("M", 1)
    if not lengths:
        return FeaturePorts(features, layout, num_frames, feat_dim)
    counted = front_end.lengths or ("shares" if lengths[0].type in FLOATS else "frames")
    return FeaturePorts(features, layout, num_frames, feat_dim, lengths[0], counted)


def find_output(
    path: Path, sockets: Sequence[Socket], name: str | None, embedding_dim: int | None
) -> Socket:
    """Return the output that is named, or the only one of the shape [B, D] or [B, 1, D].

    The file's metadata may say D, where shapes leave a choice.

    Raises:
        InputError: it cannot be told.
    """
    known = {each.name: each for each in sockets}
    if name is not None:
        if name not in known:
            raise InputError(f"{path}: no output {name!r}; it has {told(sockets)}")
        return known[name]
    fitting = [each for each in sockets if each.type in FLOATS and dim_of(each.shape) != 0]
    if embedding_dim is not None and len(fitting) != 1:
        fitting = [each for each in fitting if dim_of(each.shape) == embedding_dim] or fitting
    if len(fitting) != 1:
        raise InputError(
            f"{path}: {len(fitting)} outputs of the shape [B, D] among {told(sockets)}; "
            "name the embedding with --model-output"
        )
    return fitting[0]


def dim_of(shape: Shape | None) -> int | None:
    """Return D of an output [B, D], [B, 1, D] or [B, D, 1]; None if open, 0 if it is none."""
    if shape is None or len(shape) not in (2, 3):
        return 0
    if len(shape) == 2:
        return shape[1]
    return shape[2] if shape[1] == 1 else shape[1] if shape[2] == 1 else 0


def _is_lengths(socket: Socket) -> bool:
    """Say whether an input holds one number for each element of the batch."""
    if socket.shape is not None and len(socket.shape) == 1:
        return True
    return socket.shape is None and socket.name.lower() in LENGTH_NAMES


def _layout(path: Path, features: Socket, bins: int | None) -> Layout:
    """Tell the axes of an input by their sizes."""
    shape = features.shape
    if shape is not None and len(shape) == 2 and shape[0] in (None, 1):
        if shape[1] in USUAL_BINS:
            raise InputError(
                f"{path}: the input {features} takes features without a batch axis, or very few "
                "samples; export it with an input [B, T, M]"
            )
        return "BN"
    if shape is None or len(shape) != 3 or shape[0] not in (None, 1):
        raise InputError(
            f"{path}: the input {features} is not a feature input [B, T, M] "
            "(batch, frames, mel bins), and no samples [B, N]"
        )
    _, second, third = shape
    if second == 1 and (third is None or third not in USUAL_BINS):
        return "B1N"
    if second is None:
        return "BTM"
    by_bins = [size for size in (second, third) if size is not None and size == bins]
    usual = by_bins or [size for size in (second, third) if size in USUAL_BINS]
    if len(usual) == 1 and second != third:
        return "BMT" if usual == [second] else "BTM"
    raise InputError(
        f"{path}: the input {features} does not tell frames from mel bins; say which it is in "
        f'{BESIDE} beside the file, or in a file for --front-end: layout = "BTM" or "BMT"'
    )
