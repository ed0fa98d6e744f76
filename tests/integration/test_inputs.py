"""Every format of input gives the embeddings of the same recordings named one by one."""

import gzip
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import kaldiio
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from rtfbench.embed.embeddings import parse_line, read_embeddings
from rtfbench.engines.protocol import FloatArray
from rtfbench.inputs.parts import parse_command

from .extraction import Command, write_list, write_tar

RATE = 16000


@pytest.fixture(scope="module")
def wavs(recordings: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return six recordings u0.wav to u5.wav."""
    folder = tmp_path_factory.mktemp("wavs")
    return [Path(shutil.copy(each, folder / f"u{i}.wav")) for i, each in enumerate(recordings[:6])]


Extract = Callable[..., list[tuple[str, FloatArray]]]


@pytest.fixture(scope="module")
def extract(rtfbench: Command, model: Path) -> Extract:
    """Return a function that extracts and returns names and embeddings."""

    def run(*arguments: object) -> list[tuple[str, FloatArray]]:
        done = rtfbench("extract", "--jobs", 1, *arguments, "--model", model)
        assert done.returncode == 0, done.stderr
        return [tuple(parse_line(line)) for line in done.stdout.splitlines()]  # type: ignore[misc]

    return run


@pytest.fixture(scope="module")
def expected(extract: Extract, wavs: list[Path]) -> list[tuple[str, FloatArray]]:
    """Return the embeddings of the recordings."""
    return extract("--wav", *wavs)


def assert_same(
    found: list[tuple[str, FloatArray]], expected: list[tuple[str, FloatArray]]
) -> None:
    """Names, order and values are the same."""
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (_, got), (_, want) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_packed_list(extract: Extract, wavs: list[Path], tmp_path: Path, expected: list) -> None:  # type: ignore[type-arg]
    """A list that gzip packed is the list."""
    scp = write_list(tmp_path / "wav.scp", wavs)
    packed = tmp_path / "wav.scp.gz"
    packed.write_bytes(gzip.compress(scp.read_bytes()))
    assert_same(extract("--wav-scp", packed), expected)


def test_standard_input(
    model: Path, wavs: list[Path], tmp_path: Path, expected: list[tuple[str, FloatArray]]
) -> None:
    """A list may come through a pipe."""
    command = [
        sys.executable,
        "-m",
        "rtfbench.commands",
        "extract",
        "--wav-scp",
        "-",
        "--model",
        str(model),
    ]
    text = write_list(tmp_path / "wav.scp", wavs).read_text()
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    assert_same([tuple(parse_line(line)) for line in done.stdout.splitlines()], expected)  # type: ignore[misc]


def test_wespeaker_and_nemo_lists(
    extract: Extract, wavs: list[Path], tmp_path: Path, expected: list[tuple[str, FloatArray]]
) -> None:
    """JSON lines of either kind, and a list of tar files in place of them."""
    raw = tmp_path / "raw.list"
    lines = [json.dumps({"key": each.stem, "wav": str(each), "spk": "s"}) for each in wavs]
    raw.write_text("\n".join(lines) + "\n")
    assert_same(extract("--input", raw), expected)
    nemo = tmp_path / "manifest.json"
    lines = [
        json.dumps({"audio_filepath": str(each), "duration": soundfile.info(each).duration})
        for each in wavs
    ]
    nemo.write_text("\n".join(lines) + "\n")
    assert_same(extract("--input", nemo), expected)
    write_tar(tmp_path / "a.tar", wavs[:2])
    write_tar(tmp_path / "b.tar", wavs[2:])
    shards = tmp_path / "shard.list"
    shards.write_text(f"{tmp_path}/a.tar\nb.tar\n")
    assert_same(extract("--input", shards, "--jobs", 2), expected)
    assert_same(extract("--input", tmp_path / "a.tar"), expected[:2])


@pytest.mark.parametrize("kind", ["dataset", "keyed", "bare"])
def test_parquet(
    extract: Extract, wavs: list[Path], tmp_path: Path, expected: list[tuple[str, FloatArray]],
    kind: str,
) -> None:  # fmt: skip
    """Audio as Hugging Face stores it, with a key, or alone; in row groups of two."""
    content = [each.read_bytes() for each in wavs]
    columns: dict[str, object] = {
        "dataset": {
            "audio": [{"bytes": b, "path": w.name} for b, w in zip(content, wavs, strict=True)]
        },
        "keyed": {"key": [each.stem for each in wavs], "wav": content},
        "bare": {"wav": content},
    }
    pyarrow.parquet.write_table(
        pyarrow.table(columns[kind]), tmp_path / "a.parquet", row_group_size=2
    )
    found = extract("--input", tmp_path / "a.parquet", "--jobs", 2)
    if kind == "bare":
        assert [name for name, _ in found] == [f"row-{row:09}" for row in range(6)]
        found = [(want, values) for (want, _), (_, values) in zip(expected, found, strict=True)]
    assert_same(found, expected)


def test_parquet_out(
    rtfbench: Command, model: Path, wavs: list[Path], tmp_path: Path,
    expected: list[tuple[str, FloatArray]],
) -> None:  # fmt: skip
    """Keys, fixed-size lists and origins: all that `--resume` adds to, and what is read again."""
    result = tmp_path / "e.parquet"
    for some, *more in ((wavs[:4],), (wavs, "--resume")):
        options = ("--model", model, "--result", result, *more)
        done = rtfbench("extract", "--wav", *some, *options)
        assert done.returncode == 0, done.stderr
    table = pyarrow.parquet.read_table(result)
    assert table.column("key").to_pylist() == [name for name, _ in expected]
    assert str(table.schema.field("embedding").type).startswith("fixed_size_list<")
    assert table.column("source").to_pylist() == [str(each) for each in wavs]
    seconds = [soundfile.info(each).duration for each in wavs]
    np.testing.assert_allclose(table.column("seconds").to_pylist(), seconds)
    for (name, got), (want, values) in zip(read_embeddings(result), expected, strict=True):
        assert name == want
        np.testing.assert_allclose(got, values, rtol=1e-5)
    (tmp_path / "bad.parquet").write_text("none")
    for command in (
        ("extract", "--input", tmp_path / "bad.parquet", "--model", model),
        ("score", "--trials", tmp_path / "bad.parquet", "--embeddings", tmp_path / "bad.parquet"),
    ):
        refused = rtfbench(*command)
        assert refused.returncode == 2
        assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("piped", [False, True])
def test_segments_are_the_stretches_cut_by_hand(
    extract: Extract, wavs: list[Path], tmp_path: Path, piped: bool
) -> None:
    """Of files and of commands; an end of -1, or a little behind the end, is the end."""
    samples, _ = soundfile.read(wavs[0], dtype="int16")
    end_s = len(samples) / RATE
    parts = {"a": (0.05, 0.2), "b": (0.1, -1), "c": (0.0, end_s + 0.3), "d": (0.1234, 0.25)}
    cut = []
    for name, (begin, end) in parts.items():
        stop = len(samples) if end == -1 else round(end * RATE)
        soundfile.write(tmp_path / f"{name}.wav", samples[round(begin * RATE) : stop], RATE)
        cut.append(tmp_path / f"{name}.wav")
    (tmp_path / "segments").write_text("".join(f"{n} rec {b} {e}\n" for n, (b, e) in parts.items()))
    (tmp_path / "wav.scp").write_text(f"rec {f'cat {wavs[0]} |' if piped else wavs[0]}\n")
    options = ("--wav-scp", tmp_path / "wav.scp", "--segments", tmp_path / "segments")
    found = extract(*options, *["--allow-pipes"] * piped)
    assert_same(found, extract("--wav", *cut))


def test_nemo_offsets_are_stretches(extract: Extract, wavs: list[Path], tmp_path: Path) -> None:
    """An offset and a duration are a stretch; the name tells where it begins."""
    samples, _ = soundfile.read(wavs[0], dtype="int16")
    soundfile.write(tmp_path / "u0-00000050.wav", samples[800:3200], RATE)
    line = {"audio_filepath": str(wavs[0]), "offset": 0.05, "duration": 0.15}
    (tmp_path / "m.json").write_text(json.dumps(line))
    found = extract("--input", tmp_path / "m.json")
    assert_same(found, extract("--wav", tmp_path / "u0-00000050.wav"))


def test_pipes_run_stage_by_stage(
    rtfbench: Command, model: Path, wavs: list[Path], tmp_path: Path,
    expected: list[tuple[str, FloatArray]],
) -> None:  # fmt: skip
    """A failing, a missing and a garbled command cost their own utterance, and name the stage."""
    scp = tmp_path / "wav.scp"
    scp.write_text(
        f"u0 cat '{wavs[0]}' | cat | cat |\nu1 false | cat |\nu2 no-such-program x |\n"
        f"u3 echo no audio |\nu4 cat {tmp_path}/none |\nu5 cat {wavs[5]} |\n"
    )
    options = ("extract", "--wav-scp", scp, "--model", model)
    refused = rtfbench(*options)
    assert refused.returncode == 2
    assert "line 1 is a command" in refused.stderr
    assert "--allow-pipes" in refused.stderr
    done = rtfbench(*options, "--allow-pipes")
    assert done.returncode == 1
    found = [tuple(parse_line(line)) for line in done.stdout.splitlines()]
    assert_same(found, [expected[0], expected[5]])  # type: ignore[arg-type]
    for said in (
        "u1: false | cat |: false failed (1)",
        "u2: no-such-program x |: no-such-program cannot be run",
        "u3: echo no audio |: cannot be read as audio",
        "cat failed (1): cat: ",
    ):
        assert said in done.stderr


@pytest.mark.parametrize(
    "text",
    ["cat a; rm b |", "cat a > b |", "cat $(x) |", "cat `x` |", "a && b |", "| a |", "a 'b |"],
)
def test_no_command_needs_a_shell(text: str) -> None:
    """Whatever only a shell understands is refused."""
    with pytest.raises(ValueError, match=r"shell|need: COMMAND|quotation"):
        parse_command(text)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.list", '{"key": "u"}\n', "line 1 is no utterance"),
        ("a.list", '{"key": "u", "wav": "a"}\n{"key": "u", "wav": "b"}\n', "lines 1 and 2"),
        ("a.list", '{"audio_filepath": "a", "offset": -1}\n', "no stretch of audio"),
        ("a.list", "u0 a.wav\n", "is none of: JSON lines"),
        ("a.list", "none.tar\n", "none.tar: does not exist"),
        ("a.tar", "no tar", "cannot be read as a tar file"),
        ("none.list", None, "does not exist"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    rtfbench: Command, model: Path, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    """Status 2, with the file and the cure."""
    if content is not None:
        (tmp_path / name).write_text(content)
    done = rtfbench("extract", "--input", tmp_path / name, "--model", model)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a rec 1\n", "line 1 is no segment"),
        ("a rec 2 1\n", "ends at 1 s, begins at 2 s"),
        ("a rec 0 nan\n", "ends at nan s, begins at 0 s"),
        ("a rec inf -1\n", "ends at -1 s, begins at inf s"),
        ("a other 0 1\n", "recording 'other' is not in"),
        ("a rec 0 1\na rec 1 2\n", "lines 1 and 2 are both 'a'"),
        ("\n", "names no segment"),
    ],
)
def test_segments_that_cannot_be_read_are_one_line(
    rtfbench: Command, model: Path, wavs: list[Path], tmp_path: Path, line: str, message: str
) -> None:
    """Status 2, with the line and the cure."""
    (tmp_path / "wav.scp").write_text(f"rec {wavs[0]}\n")
    (tmp_path / "segments").write_text(line)
    options = ("--wav-scp", tmp_path / "wav.scp", "--segments", tmp_path / "segments")
    done = rtfbench("extract", *options, "--model", model)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_segment_outside_costs_itself_alone(
    rtfbench: Command, model: Path, wavs: list[Path], tmp_path: Path
) -> None:
    """Far behind the end of its recording, or beginning behind it."""
    (tmp_path / "wav.scp").write_text(f"rec {wavs[0]}\n")
    (tmp_path / "segments").write_text("a rec 0 0.2\nb rec 0 90\nc rec 80 81\n")
    options = ("--wav-scp", tmp_path / "wav.scp", "--segments", tmp_path / "segments")
    done = rtfbench("extract", *options, "--model", model)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["a"]
    assert "utterance b: " in done.stderr
    assert "before the segment begins" in done.stderr


def test_an_ark_in_parts_is_gone_on_with(
    rtfbench: Command, model: Path, wavs: list[Path], tmp_path: Path
) -> None:
    """`--resume` computes what it lacks; `score` reads it; it is not replaced unasked."""
    options = ("--model", model, "--result", tmp_path / "e.ark", "--part-size", 300)
    done = rtfbench("extract", "--wav", *wavs[:3], *options)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "e.ark").exists()
    assert rtfbench("extract", "--wav", *wavs, *options).returncode == 2
    done = rtfbench("extract", "--wav", *wavs, *options, "--resume")
    assert done.returncode == 0, done.stderr
    assert "3 utterances: RTF" in done.stderr
    stored = dict(kaldiio.load_scp(str(tmp_path / "e.scp")).items())
    assert list(stored) == [each.stem for each in wavs]
    assert len(list(tmp_path.glob("e.*.ark"))) > 1
    (tmp_path / "trials").write_text("u0 u5\nu1 u2\n")
    trials = ("score", "--trials", tmp_path / "trials", "--embeddings", tmp_path / "e.scp")
    assert rtfbench(*trials).stdout.count("\n") == 2
    for name, size in (("e.ark", "much"), ("e.npz", "1GB"), ("e.ark", 0)):
        result = ("--result", tmp_path / name, "--part-size", size, "--overwrite")
        refused = rtfbench("extract", "--wav", wavs[0], "--model", model, *result)
        assert refused.returncode == 2
        assert "--part-size" in refused.stderr


def test_a_line_that_tells_of_nothing_costs_itself_alone(
    rtfbench: Command, model: Path, wavs: list[Path], tmp_path: Path
) -> None:
    """Whatever is in it; what went before and comes after is embedded."""
    good = [json.dumps({"key": each.stem, "wav": str(each)}) for each in wavs[:2]]
    lines = [good[0], "{", '{"key": "x"}', '{"audio_filepath": "a", "offset": -1}', good[1]]
    (tmp_path / "raw.list").write_text("\n".join(lines))
    done = rtfbench("extract", "--input", tmp_path / "raw.list", "--model", model)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["u0", "u1"]
    for number in (2, 3, 4):
        assert f"utterance line-{number}: {tmp_path}/raw.list: line {number}" in done.stderr


def test_what_webdataset_writes_is_read(
    extract: Extract, wavs: list[Path], tmp_path: Path, expected: list[tuple[str, FloatArray]]
) -> None:
    """Its own writer's tar file, with the other fields of each sample."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it imports is its own matter
        webdataset = pytest.importorskip("webdataset")
        with webdataset.TarWriter(str(tmp_path / "a.tar")) as writer:
            for each in wavs:
                sample = {"__key__": each.stem, "wav": each.read_bytes(), "json": {"speaker": "s"}}
                writer.write(sample)
    assert_same(extract("--input", tmp_path / "a.tar"), expected)
