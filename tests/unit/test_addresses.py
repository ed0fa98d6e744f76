"""Files at addresses give what the same files give on this machine, or say why they do not."""

import io
import json
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from rtfbench.frontends import addresses
from rtfbench.frontends.addresses import Address, AddressError, place_of
from rtfbench.frontends.audio import AudioError, read_audio
from rtfbench.inputs.find import Listing, located
from rtfbench.inputs.formats import Inputs, from_file, from_paths
from rtfbench.inputs.kaldi import from_scp, from_segments
from rtfbench.inputs.parts import read_part

PCM = np.random.default_rng(3).integers(-9000, 9000, (3, 8000), dtype=np.int16)


def wav(number: int) -> bytes:
    """Return a recording of half a second."""
    file = io.BytesIO()
    soundfile.write(file, PCM[number], 16000, format="WAV")
    return file.getvalue()


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    """Yield the address of a folder in memory, another for each test."""
    files = fsspec.filesystem("memory")
    folder = f"memory://{tmp_path.name}"
    yield folder
    files.rm(f"/{tmp_path.name}", recursive=True)


def put(address: str, content: bytes | str) -> Address:
    """Write a file."""
    with fsspec.open(address, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return Address(address)


def samples(listing: Listing) -> dict[str, Any]:
    """Return every utterance's samples by its name."""
    return {
        each.name: np.concatenate(list(read_part(each.path, each.part)))
        for each in listing.utterances()
    }


def assert_all_there(listing: Listing) -> None:
    """Three recordings, sample for sample."""
    found = samples(listing)
    assert list(found) == list(listing.names()) == ["u0", "u1", "u2"]
    for number in range(3):
        np.testing.assert_array_equal(found[f"u{number}"], PCM[number])


@pytest.mark.parametrize(
    ("text", "path"),
    [("a.wav", "a.wav"), ("file:///a/b.wav", "/a/b.wav"), ("x|y://z", "x|y://z"), ("c:/a", "c:/a")],
)
def test_what_has_no_protocol_is_a_path(text: str, path: str) -> None:
    """So are files of this machine that are written as addresses."""
    assert place_of(text) == Path(path)


def test_an_address_is_kept_as_it_is_and_shown_without_secrets() -> None:
    """Neither slashes nor what is behind them are lost; passwords and signatures are not told."""
    signed = place_of("https://me:pw@host/a/b.flac?X-Signature=abc")
    assert isinstance(signed, Address)
    assert signed.url == "https://me:pw@host/a/b.flac?X-Signature=abc"
    assert str(signed) == "https://…host/a/b.flac?…"
    assert (signed.name, signed.stem, signed.suffix) == ("b.flac", "b", ".flac")
    assert place_of("simplecache::s3://b/c.wav") == Address("simplecache::s3://b/c.wav")


def test_paths_of_a_list_at_an_address_lead_from_it(tmp_path: Path) -> None:
    """Where they are not found here."""
    here = tmp_path / "here.wav"
    here.touch()
    scp = Address("s3://bucket/data/wav.scp")
    assert located(Path("audio/a.wav"), scp) == Address("s3://bucket/data/audio/a.wav")
    assert located(here, scp) == here
    assert located(Address("gs://b/a.wav"), scp) == Address("gs://b/a.wav")


def test_kaldi_lists(bucket: str) -> None:
    """Recordings at addresses and beside the list; packed lists and segments too."""
    for number in range(3):
        put(f"{bucket}/u{number}.wav", wav(number))
    lines = f"u0 {bucket}/u0.wav\nu1 u1.wav\nu2 {bucket}/u2.wav\n"
    assert_all_there(from_scp(put(f"{bucket}/wav.scp", lines)))
    packed = Address(f"{bucket}/packed.scp.gz")
    with fsspec.open(packed.url, "wt", compression="gzip") as file:
        file.write(lines)
    assert_all_there(from_scp(packed))
    segments = put(f"{bucket}/segments", "a u1 0.1 0.2\nb u1 0.3 -1\n")
    found = samples(from_segments(segments, Address(f"{bucket}/wav.scp")))
    np.testing.assert_array_equal(found["a"], PCM[1][1600:3200])
    np.testing.assert_array_equal(found["b"], PCM[1][4800:])


def test_recordings_and_lists_that_are_named(bucket: str) -> None:
    """One by one, or as a list among them."""
    named = [put(f"{bucket}/u{number}.wav", wav(number)) for number in range(3)]
    assert_all_there(from_paths(named))
    lists = put(f"{bucket}/w.scp", "".join(f"u{i} u{i}.wav\n" for i in range(3)))
    assert_all_there(from_paths([lists]))


def test_json_lists(bucket: str) -> None:
    """WeSpeaker's, NeMo's and lhotse's."""
    for number in range(3):
        put(f"{bucket}/u{number}.wav", wav(number))
    source = {"type": "url", "channels": [0], "source": f"{bucket}/u2.wav"}
    lines = [
        {"key": "u0", "wav": f"{bucket}/u0.wav"},
        {"audio_filepath": "u1.wav", "duration": 0.5},
        {"id": "u2", "type": "MonoCut", "start": 0, "duration": 0.5, "channel": 0,
         "recording": {"id": "r", "sources": [source]}},
    ]  # fmt: skip
    assert_all_there(from_file(put(f"{bucket}/raw.list", "\n".join(map(json.dumps, lines)))))


def test_tar_files(bucket: str) -> None:
    """A tar file, and a list of some; contents are read as ranges, the files never whole."""
    for name, numbers in (("a.tar", (0, 1)), ("b.tar", (2,)), ("all.tar", range(3))):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            for number in numbers:
                member = tarfile.TarInfo(f"u{number}.wav")
                member.size = len(wav(number))
                tar.addfile(member, io.BytesIO(wav(number)))
        put(f"{bucket}/{name}", content.getvalue())
    assert_all_there(from_file(Address(f"{bucket}/all.tar")))
    assert_all_there(from_file(put(f"{bucket}/shard.list", f"{bucket}/a.tar\nb.tar\n")))


def test_parquet_files(bucket: str) -> None:
    """A column of audio, in row groups of two; its hash changes with its size."""
    table = pyarrow.table({"key": ["u0", "u1", "u2"], "audio": [wav(i) for i in range(3)]})
    content = io.BytesIO()
    pyarrow.parquet.write_table(table, content, row_group_size=2)
    listing = from_file(put(f"{bucket}/a.parquet", content.getvalue()))
    assert_all_there(listing)
    content = io.BytesIO()
    pyarrow.parquet.write_table(table.slice(0, 2), content)
    assert from_file(put(f"{bucket}/a.parquet", content.getvalue())).sha256 != listing.sha256


def test_half_an_ogg_file_is_refused(bucket: str) -> None:
    """As one on this machine is: libsndfile would take what is there for all."""
    content = io.BytesIO()
    soundfile.write(content, np.tile(PCM[0], 20), 16000, format="OGG", subtype="VORBIS")
    whole = put(f"{bucket}/whole.ogg", content.getvalue())
    half = put(f"{bucket}/half.ogg", content.getvalue()[: len(content.getvalue()) // 2])
    assert sum(map(len, read_part(whole, None))) == 160_000
    with pytest.raises(AudioError, match="cut off"):
        list(read_part(half, None))


def test_copies_are_deleted(bucket: str) -> None:
    """What was read stays while neighbours may need it, and no longer."""
    paths = [put(f"{bucket}/{number}.wav", wav(0)).copied() for number in range(5)]
    assert [path.exists() for path in paths] == [False, *[True] * addresses.COPIES]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://none.wav", r"memory://none\.wav: does not exist"),
        ("nobody://a/b.wav", "Protocol not known: nobody; install fsspec's package for it"),
        ("https://127.0.0.1:1/a.wav?key=secret", r"a\.wav\?…: cannot be read \(ClientConn"),
    ],
)
def test_what_cannot_be_read_is_one_line(url: str, message: str) -> None:
    """With the address, the reason and the cure; secrets are in none of it."""
    with pytest.raises(AudioError, match=message) as caught:
        list(read_part(Address(url), None))
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.scp", "a.list", "a.tar", "a.parquet", "a.wav"])
def test_a_file_that_is_missing_is_one_line(name: str) -> None:
    """Whatever it should be; a recording costs itself only, and later."""
    if name == "a.wav":
        assert from_paths([Address(f"memory://none/{name}")]).count == 1
        return
    with pytest.raises(AudioError, match="does not exist"):
        (from_scp if name == "a.scp" else from_file)(Address(f"memory://none/{name}"))


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a time that is told."""
    never = threading.Event()

    def hang(*_: object, **__: object) -> None:
        never.wait(30)

    monkeypatch.setattr(addresses, "FETCH_TIMEOUT_S", 0.05)
    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "get_file", hang)
    with pytest.raises(AudioError, match=r"no answer within 0\.05 s"):
        list(read_part(Address("memory://hangs/a.wav"), None))
    never.set()


def test_a_stretch_that_is_not_what_was_asked_for_is_refused(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers send the whole file instead, which would be another recording."""
    address = put(f"{bucket}/a.tar", bytes(5000))
    files = fsspec.get_filesystem_class("memory")
    monkeypatch.setattr(files, "cat_file", lambda *_, **__: bytes(5000))
    with pytest.raises(OSError, match="5000 bytes came, 10 were asked for"):
        address.read_range(100, 110)


def test_addresses_are_for_extract_alone() -> None:
    """Elsewhere they are refused with a cure, and not looked for as paths."""
    with pytest.raises(AudioError, match=r"s3://b/a\.wav: is at an address, which extract alone"):
        read_audio(Address("s3://b/a.wav"))


def test_inputs_travel_to_other_processes() -> None:
    """As JSON, with addresses and paths told apart."""
    from pydantic import TypeAdapter

    inputs = Inputs(file=Address("s3://b/a.list"), wavs=[Path("a"), Address("gs://b/c")])
    adapter = TypeAdapter(Inputs)
    assert adapter.validate_json(adapter.dump_json(inputs)) == inputs


class Hostile(BaseHTTPRequestHandler):
    """Sends for ever, whatever was asked for, or an answer that is a page."""

    def do_HEAD(self) -> None:
        """Say that there are a thousand bytes, in ranges."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self) -> None:
        """Send until nobody listens any more."""
        if "page" in self.path:
            self.wfile.write(b"<html>" + b"a secret of the page " * 300 + b"\r\n\r\n")
            return
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(bytes(1 << 16))
                time.sleep(0.001)
        self.server.ended.set()  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hostile() -> Iterator[ThreadingHTTPServer]:
    """Yield a server that sends for ever."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        server.daemon_threads, server.ended = True, threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("how", ["too long", "too much", "range"])
def test_a_transfer_ends_with_its_limit(
    hostile: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Of time or of bytes: the connection is closed, and no deleted file grows."""
    address = Address(f"http://127.0.0.1:{hostile.server_port}/{how.replace(' ', '-')}.wav")
    if how == "too long":
        monkeypatch.setattr(addresses, "FETCH_TIMEOUT_S", 0.5)
    elif how == "too much":
        monkeypatch.setattr(addresses, "MOST_BYTES", 1 << 20)
    with pytest.raises(AddressError, match=r"no answer within|bytes came"):
        address.read_range(100, 200) if how == "range" else address.copied()
    assert hostile.ended.wait(20), "it goes on"  # type: ignore[attr-defined]


def test_a_page_is_no_reason(hostile: ThreadingHTTPServer) -> None:
    """What a server answers in place of a file is told in a line of some words."""
    address = Address(f"http://127.0.0.1:{hostile.server_port}/page.wav")
    with pytest.raises(AddressError) as error:
        address.copied()
    assert len(str(error.value)) <= addresses.MOST_SAID
