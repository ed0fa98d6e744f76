"""Files at addresses such as s3://, gs:// and https://, which are read by the user's own fsspec.

All that goes wrong is an `OSError`, as it is for a path: nobody else knows of each protocol's own.
"""

import io
import os
import re
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tempfile import mkstemp
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from weakref import finalize

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

#: What a server may take for one file, or for one stretch of one.
FETCH_TIMEOUT_S = 300.0
#: No recording and no list is larger: a server that sends more would fill the disk.
MOST_BYTES = 16 << 30
#: So much is told of what a server answers: it may be a whole page.
MOST_SAID = 160
#: What is read at once of a file that is not read as a whole: some headers of a tar file.
RANGE_BYTES = 1 << 16
#: So many whole files are kept a while: neighbours in a list may be stretches of one recording.
COPIES = 4

_ADDRESS = re.compile(r"(?:[a-z][\w+.-]*::)*[a-z][\w+.-]+://", re.IGNORECASE)
_LOCAL = re.compile(r"(?:file|local)://", re.IGNORECASE)
# Passwords, and the signatures of addresses that open a bucket for everybody who knows them.
_SECRETS = (re.compile(r"(?<=//)[^/@\s]+@"), re.compile(r"(?<=\?)[^\s'\")]+"))

_T = TypeVar("_T")


class AddressError(OSError):
    """A file at an address that cannot be read: the reason, and the cure if there is one."""


@dataclass(frozen=True)
class Address:
    """Where a file is that no path leads to; `str` of it shows no secrets."""

    url: str

    def __str__(self) -> str:
        return _without_secrets(self.url)

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return self._name.stem

    @property
    def suffix(self) -> str:
        """The ending of the file's name."""
        return self._name.suffix

    @property
    def name(self) -> str:
        """The file's name."""
        return self._name.name

    @property
    def _name(self) -> PurePosixPath:
        return PurePosixPath(urlsplit(self.url).path)

    def beside(self, path: Path) -> "Address":
        """Return where a file is that is named from this one's folder."""
        folder, _, _ = self.url.partition("?")[0].rpartition("/")
        return Address(f"{folder}/{path.as_posix()}")

    def copied(self) -> Path:
        """Return a copy of the file, to be opened at once: it is kept until others are copied.

        Raises:
            OSError: it cannot be read.
        """
        return _copy(self).path

    def read_range(self, begin: int, end: int) -> bytes:
        """Return the bytes from one place up to another.

        Raises:
            OSError: they cannot be read, or are others than were asked for.
        """
        transfer = _Transfer(end - begin)
        content: bytes = _within_limit(
            self, lambda system, path: _range(system, path, begin, end, transfer), transfer
        )
        if len(content) != end - begin:
            raise AddressError(
                f"{len(content)} bytes came, {end - begin} were asked for: it is cut off, or its "
                "server gives no ranges; copy it here"
            )
        return content


Place = Path | Address


def place_of(text: str | os.PathLike[str] | Address) -> Place:
    """Return what a user names: an address if it has a protocol, else a path."""
    if isinstance(text, Address):
        return text
    if not isinstance(text, str) or not _ADDRESS.match(text):
        return Path(text)
    local = _LOCAL.match(text)
    return Path(text[local.end() :]) if local else Address(text)


def open_ranges(place: Place) -> IO[bytes]:
    """Open a file for reading here and there, without a copy.

    Raises:
        OSError: it cannot be read, or is a device or a FIFO, from which nothing may ever come.
    """
    if isinstance(place, Path):
        return regular(place).open("rb")
    return io.BufferedReader(_Ranges(place), RANGE_BYTES)


def regular(path: Path) -> Path:
    """Return a path, once no device and no FIFO is there: to open one may wait for ever.

    Raises:
        OSError: one is.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise AddressError("it is no regular file; write what it holds to one and name that")
    return path


def size_bytes(place: Place) -> int:
    """Return a file's size.

    Raises:
        OSError: there is no such file, or nobody tells.
    """
    if isinstance(place, Path):
        return place.stat().st_size
    size: int | None = _within_limit(place, lambda system, path: system.info(path)["size"])
    if size is None:
        raise AddressError("its server does not tell its size; copy it here")
    return size


class _Ranges(io.RawIOBase):
    """A file of which each read is a request of its own."""

    def __init__(self, address: Address) -> None:
        self._address, self._size, self._at = address, size_bytes(address), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}
        self._at = max(0, origin[whence] + offset)
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._size)
        if end <= self._at:
            return 0
        content = self._address.read_range(self._at, end)
        view[: len(content)] = content
        self._at = end
        return len(content)


class _Copy:
    """A file's content on this machine; it goes with this object."""

    def __init__(self, address: Address) -> None:
        fd, name = mkstemp(prefix="rtfbench-", suffix=address.suffix)
        os.close(fd)
        self.path = Path(name)
        finalize(self, self.path.unlink, missing_ok=True)
        transfer = _Transfer(MOST_BYTES)
        _within_limit(
            address,
            lambda system, path: system.get_file(path, name, callback=transfer.callback()),
            transfer,
        )


_copy = lru_cache(maxsize=COPIES)(_Copy)


class _Transfer:
    """Ends a transfer from within, where it brings too much or nobody waits for it any more."""

    def __init__(self, most_bytes: int) -> None:
        self.given_up = False
        self._most_bytes, self._came_bytes = most_bytes, 0

    def came(self, count: int) -> None:
        """Hear of bytes.

        Raises:
            AddressError: there are to be no more.
        """
        self._came_bytes += count
        if self.given_up or self._came_bytes > self._most_bytes:
            raise AddressError(
                f"more than the {self._most_bytes} bytes came that there should be at most; copy "
                "it here"
            )

    def callback(self) -> Any:
        """Return what fsspec tells of bytes."""
        from fsspec.callbacks import Callback

        came, told = self.came, [0]

        class TransferCallback(Callback):  # type: ignore[misc]
            def relative_update(self, inc: int = 1) -> None:
                came(inc)

            def absolute_update(self, value: int) -> None:
                came(value - told[0])
                told[0] = value

        return TransferCallback()


class _Sink(io.BytesIO):
    """Takes bytes into memory as long as they may come."""

    def __init__(self, transfer: _Transfer) -> None:
        super().__init__()
        self._transfer = transfer

    def write(self, data: "ReadableBuffer") -> int:
        written = super().write(data)
        self._transfer.came(written)
        return written


def _range(system: Any, path: str, begin: int, end: int, transfer: _Transfer) -> bytes:
    """Return some bytes of a file; a web server may send the whole of it, which may never end."""
    if not type(system).__module__.endswith("implementations.http"):
        content: bytes = system.cat_file(path, start=begin, end=end)
        return content
    headers = {**system.kwargs.get("headers", {}), "Range": f"bytes={begin}-{end - 1}"}
    sink = _Sink(transfer)
    system.get_file(path, sink, headers=headers)
    return sink.getvalue()


def _within_limit(
    address: Address, call: Callable[[Any, str], _T], transfer: _Transfer | None = None
) -> _T:
    """Return what a file system says, which is asked in a thread: it may never answer.

    Raises:
        OSError: whatever went wrong.
    """
    found: Future[_T] = Future()

    def ask() -> None:
        try:
            found.set_result(call(*_file_system(address)))
        except Exception as error:  # each protocol has its own
            found.set_exception(error)

    Thread(target=ask, daemon=True).start()
    try:
        return found.result(FETCH_TIMEOUT_S)
    except (FileNotFoundError, AddressError):
        raise
    except TimeoutError as error:
        if transfer is not None:
            transfer.given_up = True
        raise AddressError(f"no answer within {FETCH_TIMEOUT_S:g} s; try again later") from error
    except PermissionError as error:
        raise AddressError("access is denied; give fsspec the credentials") from error
    except Exception as error:
        said = _without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))
        raise AddressError(said[:MOST_SAID]) from error


def _file_system(address: Address) -> tuple[Any, str]:
    """Return fsspec's file system for an address, and the path in it.

    Raises:
        AddressError: it needs a package that is not installed.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        cure = "install it with: pip install 'rtfbench[remote]'"
        raise AddressError(f"addresses need fsspec; {cure}") from error
    try:
        system, path = url_to_fs(address.url)
    except (ImportError, ValueError) as error:
        reason = _without_secrets(" ".join(str(error).split()))
        cure = "install fsspec's package for it, such as s3fs for s3://, gcsfs for gs://"
        raise AddressError(f"{reason}; {cure}") from error
    return system, path


def _without_secrets(text: str) -> str:
    for each in _SECRETS:
        text = each.sub("…", text)
    return text
