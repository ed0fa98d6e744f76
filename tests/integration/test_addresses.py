"""`extract` of recordings and lists that a web server of this machine serves."""

import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from .extraction import Command, names, write_list, write_tar


class Ranges(SimpleHTTPRequestHandler):
    """Serves a folder, and stretches of its files, as stores of objects do."""

    def do_GET(self) -> None:
        """Send a file, or the bytes that are asked for."""
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if wanted is None:
            super().do_GET()
            return
        content = Path(self.translate_path(self.path)).read_bytes()
        first, last = int(wanted[1]), min(int(wanted[2]), len(content) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(content[first : last + 1])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Yield a folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_is_read_as_a_folder_is(
    rtfbench: Command, model: Path, recordings: list[Path],
    served: tuple[Path, str], tmp_path: Path,
) -> None:  # fmt: skip
    """A list, a tar file and recordings; what is not there costs itself only."""
    folder, url = served
    wavs = []
    for number, recording in enumerate(recordings[:3]):
        wavs.append(folder / f"u{number}.wav")
        wavs[-1].write_bytes(recording.read_bytes())
    here = rtfbench("extract", "--wav", *wavs, "--model", model)
    assert here.returncode == 0, here.stderr
    write_tar(folder / "all.tar", wavs)
    tar = rtfbench("extract", "--input", f"{url}/all.tar", "--model", model, "--jobs", 2)
    assert (tar.returncode, tar.stdout) == (0, here.stdout), tar.stderr
    write_list(folder / "wav.scp", [Path("u0.wav"), Path("gone.wav"), Path("u2.wav")])
    some = rtfbench("extract", "--wav-scp", f"{url}/wav.scp", "--model", model)
    assert some.returncode == 1
    assert names(some.stdout) == ["u0", "u2"]
    assert set(some.stdout.splitlines()) < set(here.stdout.splitlines())
    assert f"utterance u1: {url}/gone.wav: does not exist; check the path" in some.stderr
    none = rtfbench("extract", "--input", f"{url}/none.list", "--model", model)
    assert (none.returncode, none.stdout) == (2, "")
    assert none.stderr.count("\n") == 1
