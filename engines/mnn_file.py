"""What an MNN model file says of itself, read without a runtime.

A minimal library does not check the file that it is given: it reads what is not there, and takes
a model without stored shapes for one that needs no work. Both are found here. The layout is that
of FlatBuffers (a table points to a list of where its fields lie); the numbers of the fields are
those of `table Net` in MNN's schema.
"""

import mmap
import struct
from collections.abc import Sequence
from pathlib import Path

from rtfbench.engines.protocol import EngineError, ModelArtifact, SettingMismatchError

#: MNN_FORWARD_CPU, and MNN_FORWARD_CPU_EXTENSION: the CPU with its instruction-set extension.
CPU_BACKENDS = (0, 13)

#: Fields of `Net` that point to something, and whether that is a list of pointers again.
_NAME, _TENSORS, _EXTRA, _OPERATORS, _OUTPUTS, _TENSOR_NAMES = 0, 1, 2, 3, 4, 7
_LISTS = (_TENSORS, _OPERATORS, _OUTPUTS, _TENSOR_NAMES)
_USAGE = 9
#: `Usage_INFERENCE_STATIC`: the converter stored every shape (`saveStaticModel`).
_STATIC = 2


def check_opened(artifact: ModelArtifact, input_shape: Sequence[int], backend: int) -> None:
    """Compare what a session says of itself with what is known of its model.

    Raises:
        EngineError: the model is of another form.
        SettingMismatchError: it computes on no CPU.
    """
    if any(size < 0 for size in input_shape) != (artifact.form == "dynamic"):
        raise EngineError(
            f"{artifact.path}: declared {artifact.form}, but its input is {input_shape}"
        )
    if backend not in CPU_BACKENDS:
        raise SettingMismatchError(f"MNN: asked for the CPU, got backend {backend}")


def stores_shapes(path: Path) -> bool:
    """Say whether a model file needs no shape inference, once it is known not to be cut off.

    The file is written back to front: what its first fields point to lies at its very end.

    Raises:
        EngineError: it is missing, empty, cut off, or no MNN model; the message names it.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(data)
    except (OSError, ValueError) as error:  # a ValueError is an empty file
        raise EngineError(f"{path}: no such model file, or an empty one") from error
    except (struct.error, IndexError) as error:
        raise EngineError(
            f"{path}: not a complete MNN model; copy it again, or convert it again with: "
            "rtfbench export"
        ) from error


def _read(data: mmap.mmap) -> bool:
    net = _unsigned(data, 0)
    offsets = _offsets(data, net)
    for field in (_NAME, _EXTRA, *_LISTS):
        if offsets[field]:
            place = net + offsets[field]
            target = place + _unsigned(data, place)
            if field in _LISTS:
                _check_list(data, target)
            elif field == _NAME:
                data[target + 4 + _unsigned(data, target)]  # the zero at a text's end
            else:
                _offsets(data, target)
    if not offsets[_OPERATORS]:
        raise IndexError("no operators")
    usage = data[net + offsets[_USAGE]] if offsets[_USAGE] else 0
    return usage == _STATIC


def _check_list(data: mmap.mmap, start: int) -> None:
    """Touch what each entry of a list points to."""
    for index in range(_unsigned(data, start)):
        place = start + 4 * (index + 1)
        _unsigned(data, place + _unsigned(data, place))


def _offsets(data: mmap.mmap, table: int) -> list[int]:
    """Return where in a table each of its fields lies, 0 for one that is absent."""
    places = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, places)[0] if places >= 0 else 0
    if size < 4:
        raise IndexError("no table")
    found = list(struct.unpack_from(f"<{(size - 4) // 2}H", data, places + 4))
    return found + [0] * (_USAGE + 1 - len(found))


def _unsigned(data: mmap.mmap, place: int) -> int:
    value: int = struct.unpack_from("<I", data, place)[0]
    return value
