"""Tar files of any tool: each recording is read as it is, and none is left out without a word."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtfbench.frontends.audio import AudioError
from rtfbench.inputs.parts import read_part
from rtfbench.inputs.tars import from_tar

from .extraction import Command, write_tar

RATE = 16000


@pytest.fixture(scope="module")
def folder(recordings: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with recordings, one of which has a hole, and links of either kind."""
    folder = tmp_path_factory.mktemp("tar")
    speech, _ = soundfile.read(recordings[0], dtype="int16")
    samples = np.concatenate([speech, np.zeros(40 * RATE, np.int16), speech])
    soundfile.write(folder / "holes.wav", samples, RATE)
    subprocess.run(["fallocate", "--dig-holes", str(folder / "holes.wav")], check=True)
    shutil.copy(recordings[1], folder / "a.wav")
    os.link(folder / "a.wav", folder / "hard.wav")
    (folder / "sub").mkdir()
    (folder / "sub" / "soft.wav").symlink_to("../a.wav")
    (folder / "sub" / "twice.wav").symlink_to("soft.wav")
    return folder


@pytest.mark.parametrize("kind", ["gnu", "oldgnu", "pax", "posix"])
@pytest.mark.parametrize("sparse", ["0.0", "0.1", "1.0"])
def test_sparse_and_linked_members(folder: Path, tmp_path: Path, kind: str, sparse: str) -> None:
    """What a tar file leaves out, holes and doubles, is there again: every sample of every name."""
    options = [f"--format={kind}", "-S"]
    if kind in ("pax", "posix"):
        options.append(f"--sparse-version={sparse}")
    packed = tmp_path / "a.tar"
    subprocess.run(["tar", *options, "-cf", str(packed), "-C", str(folder), "."], check=True)
    assert packed.stat().st_size < (folder / "holes.wav").stat().st_size, "nothing was left out"
    found = {each.name: each for each in from_tar(packed).utterances()}
    assert set(found) == {"holes", "a", "hard", "sub/soft", "sub/twice"}
    for name, each in found.items():
        assert not each.fault
        want, _ = soundfile.read(folder / f"{name}.wav", dtype="int16")
        got = np.concatenate(list(read_part(each.path, each.part)))
        np.testing.assert_array_equal(got, want)


def test_a_link_that_leads_out_is_told(rtfbench: Command, model: Path, tmp_path: Path) -> None:
    """A link to nothing in the tar file, a circle and a FIFO cost themselves, each with a word."""
    packed = tmp_path / "a.tar"
    write_tar(packed, [])
    with tarfile.open(packed, "a") as tar:
        for name, kind, leads in (
            ("out.wav", tarfile.SYMTYPE, "/data/out.wav"),
            ("gone.wav", tarfile.LNKTYPE, "nowhere.wav"),
            ("circle.wav", tarfile.SYMTYPE, "circle.wav"),
            ("fifo.wav", tarfile.FIFOTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, leads
            tar.addfile(member)
    done = rtfbench("extract", "--input", packed, "--model", model)
    assert done.returncode == 1
    for name in ("out", "gone", "circle", "fifo"):
        assert f"utterance {name}: {packed}: {name}.wav is no file in it" in done.stderr


@pytest.mark.parametrize("how", ["header", "cut", "joined"])
def test_no_tar_file_ends_early(recordings: list[Path], tmp_path: Path, how: str) -> None:
    """A damaged header, half a header and a second tar file behind the first are no end."""
    packed, other = tmp_path / "a.tar", tmp_path / "b.tar"
    write_tar(packed, recordings[:3])
    write_tar(other, recordings[3:5])
    data = packed.read_bytes()
    with tarfile.open(packed) as tar:
        last = tar.getmembers()[-1].offset
    if how == "header":
        packed.write_bytes(data[:last] + b"x" * 512 + data[last + 512 :])
    elif how == "cut":
        packed.write_bytes(data[: last + 100])
    else:
        packed.write_bytes(data + other.read_bytes())
    with pytest.raises(AudioError, match=f"{packed}: (is damaged|holds more behind its end)"):
        from_tar(packed)


def test_the_hash_of_a_list_knows_its_members(recordings: list[Path], tmp_path: Path) -> None:
    """Two tar files of one name, size and number of recordings are two lists."""
    hashes = set()
    for number, pair in enumerate((recordings[:2], recordings[2:4], recordings[1::-1])):
        (tmp_path / str(number)).mkdir()
        packed = tmp_path / str(number) / "a.tar"
        with tarfile.open(packed, "w") as tar:
            for wav in pair:
                member, content = tarfile.TarInfo(wav.name), wav.read_bytes()[:5000]
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        hashes.add(from_tar(packed).sha256)
        assert packed.stat().st_size == (tmp_path / "0" / "a.tar").stat().st_size
        assert from_tar(packed).sha256 == from_tar(packed).sha256
    assert len(hashes) == 3
