"""What files of audio do not tell of themselves, and decoders pass over in silence.

A page of an Ogg file that is damaged or missing is left out, and the recording is a shorter one;
pages have check sums (RFC 3533, section 6). The length of a WAV file was never filled in where a
recorder was killed, which leaves a 0 there.
"""

import io
import zlib
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAGIC = b"OggS"
_HEADER_BYTES, _FLAGS, _CRC, _SEGMENTS = 27, 5, slice(22, 26), 26
_LAST = 0x04
_ONES = 0xFFFF_FFFF
#: zlib's CRC is this one with the bits of every byte, and of the result, in the other order.
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def damage(path: Path) -> str:
    """Say what an Ogg file lacks, in words that follow its name; empty when it is whole.

    Raises:
        OSError: it cannot be read.
    """
    found = path.stat()
    return _damage(path, found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _damage(path: Path, *_: int) -> str:
    """Read a file once, however many segments of it are asked for."""
    with path.open("rb") as file:
        return damage_in(file)


def damage_in(file: IO[bytes]) -> str:
    """Say what is wrong with an open Ogg file, as `damage`; its position stays."""
    position = file.tell()
    file.seek(0)
    try:
        return _check_pages(file)
    finally:
        file.seek(position)


def _check_pages(file: IO[bytes]) -> str:
    last = False
    while header := file.read(_HEADER_BYTES):
        if not header.startswith(_MAGIC):
            # Behind a stream's last page others may have written what is none.
            return "" if last else _damaged_before(file)
        lengths = file.read(header[_SEGMENTS]) if len(header) == _HEADER_BYTES else b""
        content = file.read(sum(lengths))
        if not lengths or len(content) < sum(lengths):
            break
        if _checksum(header + lengths + content) != header[_CRC]:
            return _damaged_before(file)
        last = bool(header[_FLAGS] & _LAST)
    return "" if last and not header else "is cut off: its last page is missing"


def _damaged_before(file: IO[bytes]) -> str:
    return f"is damaged in the page before byte {file.tell()}"


def _checksum(page: bytes) -> bytes:
    """Return the check sum of a page, as it stands in it."""
    blank = page[: _CRC.start] + bytes(4) + page[_CRC.stop :]
    mirrored = zlib.crc32(blank.translate(_MIRRORED), _ONES) ^ _ONES
    return int(f"{mirrored:032b}"[::-1], 2).to_bytes(4, "little")


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
