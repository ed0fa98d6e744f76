"""Lists as other toolkits write them: what chooses audio is followed, and no line ends the rest."""

import gzip
import json
import os
import zlib
from pathlib import Path
from typing import Any

import kaldiio
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from rtfbench.extract.options import setup_for
from rtfbench.extract.shards import Shard, bounds
from rtfbench.frontends.audio import AudioError
from rtfbench.inputs.find import Utterance
from rtfbench.inputs.formats import from_file
from rtfbench.inputs.json_lines import from_json_lines
from rtfbench.inputs.kaldi import from_scp, from_segments
from rtfbench.inputs.parquet import from_parquet
from rtfbench.inputs.parts import read_part

from .extraction import Command, write_list

RATE = 16000


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Return a recording of two seconds of noise."""
    samples = np.random.default_rng(0).integers(-9000, 9000, 2 * RATE).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    return tmp_path / "a.wav"


@pytest.fixture
def pcm(wav: Path) -> Any:
    """Return its samples."""
    return soundfile.read(wav, dtype="int16")[0]


def written(path: Path, *lines: dict[str, Any]) -> Path:
    """Write a list of JSON objects."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def heard(utterance: Utterance) -> Any:
    """Return an utterance's samples."""
    return np.concatenate(list(read_part(utterance.path, utterance.part)))


@pytest.mark.parametrize("offset", [{}, {"offset": None}, {"offset": 0}, {"offset": 0.0}])
def test_a_window_at_the_beginning(wav: Path, pcm: Any, tmp_path: Path, offset: Any) -> None:
    """NeMo's `duration` ends an utterance whether or not an offset begins it."""
    line = {"audio_filepath": str(wav), "duration": 0.5, **offset}
    (found,) = from_json_lines(written(tmp_path / "m.json", line)).utterances()
    np.testing.assert_array_equal(heard(found), pcm[: RATE // 2])


@pytest.mark.parametrize(
    "vad", [[[0.5, 1.0]], [["0.0", "0.25"], [0.5, 0.75], [1.5, 2.0]], [[0, 2]]]
)
def test_stretches_of_speech_are_joined(wav: Path, pcm: Any, tmp_path: Path, vad: Any) -> None:
    """WeSpeaker's `vad`, as numbers or as text."""
    line = {"key": "u", "wav": str(wav), "spk": "s", "vad": vad}
    listing = from_json_lines(written(tmp_path / "raw.list", line))
    (found,) = listing.utterances()
    want = [pcm[int(float(b) * RATE) : int(float(e) * RATE)] for b, e in vad]
    np.testing.assert_array_equal(heard(found), np.concatenate(want))
    assert listing.lengths is not None
    assert list(listing.lengths()) == [sum(float(e) - float(b) for b, e in vad)]


@pytest.mark.parametrize("vad", [[], [[1, 0]], [[0, 0]], "0 1", [[0]], [[0, "x"]], {"a": 1}])
def test_a_vad_that_is_none(wav: Path, tmp_path: Path, vad: Any) -> None:
    """It costs its own line."""
    line = {"key": "u", "wav": str(wav), "vad": vad}
    good = {"key": "v", "wav": str(wav)}
    bad, whole = from_json_lines(written(tmp_path / "raw.list", line, good)).utterances()
    assert "line 1 is no utterance" in bad.fault
    assert not whole.fault


def test_names_of_windows(wav: Path, tmp_path: Path) -> None:
    """By `uniq_id`, by stem or, where stems repeat, by path; and by where they begin."""
    lines: list[dict[str, Any]] = [
        {"audio_filepath": "x/a.wav", "offset": 0, "duration": 1},
        {"audio_filepath": "y/a.wav", "offset": 0, "duration": 1},
        {"audio_filepath": "y/a.wav", "offset": 1, "duration": 1},
        {"audio_filepath": "y/b.wav", "uniq_id": "meeting", "offset": 0.5, "duration": 1},
        {"audio_filepath": "y/b.wav", "utt_id": "given", "uniq_id": "meeting"},
    ]
    listing = from_json_lines(written(tmp_path / "m.json", *lines))
    want = ["x/a", "y/a", "a-00001000", "meeting-00000500", "given"]
    assert list(listing.names()) == want
    assert [each.name for each in listing.utterances()] == want


def test_what_might_choose_is_told_once(
    rtfbench: Command, model: Path, wav: Path, tmp_path: Path
) -> None:
    """Fields that look as if they chose audio, and are not known, in one line."""
    lines = [{"key": f"u{i}", "wav": str(wav), "start": i, "speed": 1.1} for i in range(3)]
    done = rtfbench("extract", "--input", written(tmp_path / "r.list", *lines), "--model", model)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if "'start' and 'speed'" in line)
    assert "choose nothing" in line


def test_entries_of_an_archive(wav: Path, pcm: Any, tmp_path: Path) -> None:
    """Kaldi's `FILE.ark:OFFSET`, whole and in segments, also where the list lies elsewhere."""
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/w.ark,{tmp_path}/wav.scp") as writer:
        writer("u1", (RATE, pcm))
        writer("u2", (RATE, pcm[::-1].copy()))
    scp = tmp_path / "wav.scp"
    first, second = from_scp(scp).utterances()
    np.testing.assert_array_equal(heard(first), pcm)
    np.testing.assert_array_equal(heard(second), pcm[::-1])
    (tmp_path / "segments").write_text("s u2 0.5 1.0\n")
    (segment,) = from_segments(tmp_path / "segments", scp).utterances()
    np.testing.assert_array_equal(heard(segment), pcm[::-1][RATE // 2 : RATE])
    scp.write_text(f"u {tmp_path}/w.ark:1\n")
    (wrong,) = from_scp(scp).utterances()
    with pytest.raises(AudioError, match="no WAV file at byte 1"):
        heard(wrong)


def test_commands_in_a_raw_list(rtfbench: Command, model: Path, wav: Path, tmp_path: Path) -> None:
    """They run where that is allowed; else each costs its own line."""
    lines = [
        {"key": "piped", "wav": f"cat {wav} |"},
        {"key": "plain", "wav": str(wav)},
        {"key": "shell", "wav": "cat $(ls) |"},
    ]
    options = ("extract", "--input", written(tmp_path / "r.list", *lines), "--model", model)
    done = rtfbench(*options)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["plain"]
    assert done.stderr.count("commands are not run but by extract --allow-pipes") == 2
    done = rtfbench(*options, "--allow-pipes")
    values = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert [name for name, _ in values] == ["piped", "plain"]
    assert values[0][1] == values[1][1]
    assert "needs a shell" in done.stderr


def test_a_segment_past_the_end_is_named_as_such(wav: Path, tmp_path: Path) -> None:
    """By how much it is, while half a second is forgiven."""
    (tmp_path / "segments").write_text("s a 1.0 2.4\nlate a 1.0 3.5\n")
    scp = write_list(tmp_path / "wav.scp", [wav])
    scp.write_text(f"a {wav}\n")
    near, late = from_segments(tmp_path / "segments", scp).utterances()
    assert len(heard(near)) == RATE
    with pytest.raises(AudioError, match=r"ends 1.5 s before the segment does"):
        heard(late)


@pytest.mark.parametrize("behind", ["samples", "chunks", "nothing"])
def test_a_length_that_was_never_filled_in(wav: Path, pcm: Any, behind: str) -> None:
    """A recorder that was killed leaves a 0 before its samples; a file without any is empty."""
    data = wav.read_bytes()
    at = data.index(b"data")
    rest = {"samples": data[at + 8 :], "chunks": b"LIST\4\0\0\0abcd", "nothing": b""}[behind]
    content = data[:4] + bytes(4) + data[8 : at + 4] + bytes(4) + rest
    wav.write_bytes(content)
    if behind == "samples":
        np.testing.assert_array_equal(heard(Utterance("a", wav)), pcm)
    else:
        with pytest.raises(AudioError, match="holds no samples"):
            heard(Utterance("a", wav))


@pytest.mark.parametrize(
    "key", ["", "  ", None, ["a"], {"a": 1}, True, "\ud800", "a\0b", 1.5, float("nan")]
)  # fmt: skip
def test_a_key_that_is_no_name(
    rtfbench: Command, model: Path, wav: Path, tmp_path: Path, key: Any
) -> None:
    """It costs its own line: the archive that is written can be read to its end."""
    lines = [{"key": key, "wav": str(wav)}, {"key": "good", "wav": str(wav)}]
    result = tmp_path / "e.ark"
    raw = written(tmp_path / "r.list", *lines)
    done = rtfbench("extract", "--input", raw, "--model", model, "--result", result)
    assert done.returncode == 1, done.stderr
    assert "line 1 " in done.stderr
    assert "Traceback" not in done.stderr
    assert [name for name, _ in kaldiio.load_ark(str(result))] == ["good"]


def test_a_surrogate_in_a_path_costs_its_line(
    rtfbench: Command, model: Path, wav: Path, tmp_path: Path
) -> None:
    """Wherever it stands."""
    lines = [{"key": "a", "wav": "x\ud800.wav"}, {"key": "good", "wav": str(wav)}]
    raw = written(tmp_path / "r.list", *lines)
    done = rtfbench("extract", "--input", raw, "--model", model)
    assert (done.returncode, done.stdout.split()[0]) == (1, "good")


@pytest.mark.parametrize("how", ["cut", "flipped", "behind", "endless line"])
def test_a_damaged_packed_list_is_one_line(
    rtfbench: Command, model: Path, wav: Path, tmp_path: Path, how: str
) -> None:
    """Whatever the packer's library says of it; a line of gigabytes is not unpacked."""
    lines = "".join(f"u{i} {wav}\n" for i in range(5000)).encode()
    packed = bytearray(gzip.compress(lines))
    if how == "cut":
        packed = packed[:-20]
    elif how == "flipped":
        packed[200:230] = os.urandom(30)
    elif how == "behind":
        packed += b"garbage"
    else:
        deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
        packed = bytearray(
            b"".join(deflate.compress(b"u" * (1 << 20)) for _ in range(64)) + deflate.flush()
        )
    scp = tmp_path / "wav.scp.gz"
    scp.write_bytes(packed)
    done = rtfbench("extract", "--wav-scp", scp, "--model", model)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert str(scp) in done.stderr


@pytest.mark.parametrize("lengths", [b"u0 1e300\nu1 1\n", b"\xff\xfe\n", b"u0 nan\nu1 -1\n", b"u0"])
def test_lengths_that_nothing_has(wav: Path, tmp_path: Path, lengths: bytes) -> None:
    """Shards are equal in number then."""
    scp = write_list(tmp_path / "wav.scp", [wav, wav])
    (tmp_path / "utt2dur").write_bytes(lengths)
    assert bounds(from_scp(scp), Shard(number=1, of=2)) == (0, 1)
    lines = [{"key": f"u{i}", "wav": str(wav), "duration": 1e300} for i in range(2)]
    listing = from_json_lines(written(tmp_path / "r.list", *lines))
    assert bounds(listing, Shard(number=2, of=2)) == (1, 2)


def test_a_list_that_changes_while_it_is_read_is_one_line(
    rtfbench: Command, model: Path, wav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads it again finds something else."""
    scp, result = write_list(tmp_path / "wav.scp", [wav]), tmp_path / "e.txt"

    def setup(*options: Any, **more: Any) -> Any:
        scp.write_text("alone\n")
        return setup_for(*options, **more)

    monkeypatch.setattr("rtfbench.extract.local.setup_for", setup)
    done = rtfbench("extract", "--wav-scp", scp, "--model", model, "--result", result)
    assert (done.returncode, "line 1 has no path" in done.stderr) == (2, True)


@pytest.mark.parametrize("rate", [1, 999, 20_000_000])
def test_a_rate_that_no_speech_has(
    rtfbench: Command, model: Path, wav: Path, tmp_path: Path, rate: int
) -> None:
    """It is told at once, where resampling would make gigabytes of it."""
    soundfile.write(tmp_path / "b.wav", np.zeros(RATE, np.int16), rate)
    done = rtfbench(
        "extract", "--wav", tmp_path / "b.wav", wav, "--resample", "--model", model, "--timeout", 20
    )
    assert (done.returncode, f"has {rate} Hz, as no speech has" in done.stderr) == (1, True)
    assert done.stdout.startswith("a ")


def test_columns_of_any_name(wav: Path, pcm: Any, tmp_path: Path) -> None:
    """With dots in them, and with names in bytes before the audio."""
    content, path = wav.read_bytes(), tmp_path / "a.parquet"
    tables: list[dict[str, Any]] = [
        {"id": [b"u0", b"u1"], "my.audio": [content, content]},
        {"key": ["u0", "u1"], "au.dio": [{"bytes": content, "path": "x"}] * 2},
        {"au.dio": [{"bytes": content, "path": f"d/u{i}.wav"} for i in range(2)]},
    ]
    for table in tables:
        pyarrow.parquet.write_table(pyarrow.table(table), path)
        found = list(from_parquet(path).utterances())
        assert [each.name for each in found] == ["u0", "u1"]
        np.testing.assert_array_equal(heard(found[1]), pcm)
    pyarrow.parquet.write_table(pyarrow.table({"key": ["", None], "wav": [content] * 2}), path)
    assert list(from_file(path).names()) == ["row-000000000", "row-000000001"]
