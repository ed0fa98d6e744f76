"""Kaldi's binary vectors: `.ark` files, and the `.scp` that says where in them each is.

They are written and read here: the packages that do it run commands and unpickle objects that a
file names.
"""

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from rtfbench.base.cache import replacing
from rtfbench.base.files import followed
from rtfbench.base.scratch import held_folder
from rtfbench.engines.protocol import FloatArray

Rows = Callable[[], Iterator[tuple[str, FloatArray]]]

ENDINGS = (".ark", ".scp")
TYPES: dict[bytes, np.dtype[Any]] = {b"F": np.dtype("<f4"), b"D": np.dtype("<f8")}
VECTOR, MATRIX = b"V ", b"M "


def write_ark(path: Path, rows: Rows, part_bytes: int | None = None) -> None:
    """Write vectors to `.ark`, and where each is to the `.scp` beside it.

    With a size, they go to `NAME.1.ark`, `NAME.2.ark` and so on, none of them larger unless it
    holds a single vector. What an older `.scp` of that name had vectors in is deleted.
    """
    path = followed(path) if path.is_symlink() else path
    scp = path.with_suffix(".scp")
    before = written_arks(scp) | {path.with_suffix(".ark")}
    arks: list[Path] = []
    # The innermost is closed first: there is no `.scp` before its `.ark`.
    with (
        replacing(scp) as scp_part,
        scp_part.open("w", encoding="utf-8") as places,
        held_folder(scp.parent) as folder,
    ):
        with ExitStack() as stack:
            file: IO[bytes] | None = None
            for name, embedding_D in rows():
                head = name.encode() + b" "
                vector = b"\0BFV \4" + struct.pack("<i", len(embedding_D))
                vector += embedding_D.astype("<f4").tobytes()
                size = len(head) + len(vector)
                if file is None or (part_bytes and file.tell() + size > part_bytes):
                    stack.close()
                    number = "" if part_bytes is None else f".{len(arks) + 1}"
                    arks.append(path.with_name(f"{path.stem}{number}.ark"))
                    file = stack.enter_context((folder / arks[-1].name).open("wb"))
                    shown = arks[-1].resolve()  # once a file: a system call for each folder
                file.write(head)
                places.write(f"{name} {shown}:{file.tell()}\n")
                file.write(vector)
        for ark in arks:
            (folder / ark.name).replace(ark)
    for ark in before - set(arks):
        ark.unlink(missing_ok=True)


def written_arks(scp: Path) -> set[Path]:
    """Return the files beside a `.scp` that it has vectors in, and that are named as its parts."""
    name = re.compile(rf"{re.escape(scp.stem)}(\.\d+)?\.ark")
    found = set()
    with suppress(OSError, UnicodeDecodeError), scp.open(encoding="utf-8") as lines:
        for line in lines:
            ark = Path(_place(line)[1])
            if name.fullmatch(ark.name) and ark.parent == scp.parent.resolve():
                found.add(scp.with_name(ark.name))
    return found


def read_ark(path: Path) -> Iterator[tuple[str, FloatArray]]:
    """Yield the vectors of an `.ark` file, binary or text; a matrix of one row is a vector.

    Raises:
        ValueError, struct.error: it is damaged.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        while (name := _word(file)) is not None:
            if not name:
                raise ValueError("a vector has no name")
            yield name, _vector(file)


def read_scp(path: Path) -> Iterator[tuple[str, FloatArray]]:
    """Yield the vectors that a `.scp` names, from whatever files they are in.

    A file is looked for from the present folder, as Kaldi does, and then beside the `.scp`.

    Raises:
        ValueError, struct.error: it or one of them is damaged.
        OSError: one cannot be read.
    """
    with path.open(encoding="utf-8") as lines, ExitStack() as stack:
        opened, file = "", None
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            name, ark, offset = _place(line)
            if not ark or not offset.isdecimal():
                raise ValueError(f"line {number}: need UTTERANCE FILE.ark:OFFSET")
            if file is None or ark != opened:  # neighbours are in one file
                stack.close()
                beside = path.parent / ark
                found = beside if not Path(ark).exists() and beside.exists() else Path(ark)
                file, opened = stack.enter_context(found.open("rb")), ark
            file.seek(int(offset))
            yield name, _vector(file)


def _place(line: str) -> tuple[str, str, str]:
    """Return name, file and offset of a line of a `.scp`."""
    name, *others = line.split(maxsplit=1)
    ark, _, offset = "".join(others).strip().rpartition(":")
    return name, ark, offset


def _word(file: IO[bytes]) -> str | None:
    """Read up to a blank; None at the end of the file."""
    word = b""
    while (byte := file.read(1)) not in (b" ", b"\t", b""):
        word += byte
    return word.decode().strip() if byte or word.strip() else None


def _vector(file: IO[bytes]) -> FloatArray:
    """Read a vector as Kaldi writes it: NUL B, type, sizes and values, or `[ V1 V2 ... ]`."""
    mark = file.read(2)
    if mark != b"\0B":
        return _text_vector(mark + file.readline())
    dtype, shape = TYPES.get(file.read(1)), file.read(2)
    if dtype is None or shape not in (VECTOR, MATRIX):
        raise ValueError("not a binary Kaldi vector")
    if shape == MATRIX and _size(file) != 1:
        raise ValueError("a matrix of several rows is no embedding")
    size = _size(file)
    content = file.read(size * dtype.itemsize) if size > 0 else b""
    if not content or len(content) != size * dtype.itemsize:
        raise ValueError("cut off")
    return np.array(np.frombuffer(content, dtype), np.float32)


def _size(file: IO[bytes]) -> int:
    if file.read(1) != b"\4":
        raise ValueError("not a binary Kaldi vector")
    (size,) = struct.unpack("<i", file.read(4))
    return int(size)


def _text_vector(line: bytes) -> FloatArray:
    """Return the vector of a line that begins behind the name."""
    opening, *values, closing = line.split() or [b"", b""]
    if (opening, closing) != (b"[", b"]") or not values:
        raise ValueError("not a Kaldi vector, binary or in text")
    return np.array(values, np.float32)
