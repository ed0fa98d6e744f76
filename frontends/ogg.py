"""Whether an Ogg file is whole: its pages have check sums, which decoders pass over in silence.

A page that is damaged or missing is left out by them, and the recording is a shorter one.
Source: RFC 3533, section 6.
"""

import zlib
from functools import lru_cache
from pathlib import Path
from typing import IO

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
