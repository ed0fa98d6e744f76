"""WAV files whose length was never filled in: recorders that are killed leave a 0 there."""

import io
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: The samples begin within so many bytes.
HEAD_BYTES = 1 << 16
MOST_SIZE = 0xFFFF_FFFF
#: Chunks that may follow the samples.
FURTHER = (b"LIST", b"fact", b"id3 ", b"ID3 ", b"bext", b"cue ", b"JUNK")


def completed(file: IO[bytes]) -> IO[bytes] | None:
    """Return a file with the size of all that is behind its header, None where a size is told.

    Args:
        file: a WAV file whose header says that it holds nothing.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    end, at = file.seek(0, io.SEEK_END), 12
    while head[at : at + 4] != b"data":
        if at + 8 > len(head):
            return None
        size = int.from_bytes(head[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    begin = at + 8
    # A file that has further chunks there, and no samples, is empty.
    is_empty = begin >= end or head[begin : begin + 4] in FURTHER
    if head[:4] != b"RIFF" or any(head[at + 4 : begin]) or is_empty:
        return None
    sizes = {4: min(end - 8, MOST_SIZE), at + 4: min(end - begin, MOST_SIZE)}
    return io.BufferedReader(
        _Overlaid(file, {k: v.to_bytes(4, "little") for k, v in sizes.items()})
    )


class _Overlaid(io.RawIOBase):
    """A file in which some bytes are others."""

    def __init__(self, file: IO[bytes], others: dict[int, bytes]) -> None:
        self._file, self._others = file, others
        file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: "WriteableBuffer") -> int:
        begin, view = self._file.tell(), memoryview(buffer).cast("B")
        content = bytearray(self._file.read(len(view)))
        for at, other in self._others.items():
            for index, byte in enumerate(other, start=at - begin):
                if 0 <= index < len(content):
                    content[index] = byte
        view[: len(content)] = content
        return len(content)
