"""`extract` from end to end: real processes, real audio, and what may be wrong with either."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtfbench.embed.embeddings import read_embeddings
from rtfbench.engines.mnn_files import to_mnn

from .extraction import MODEL, Command, names, write_list


def test_result_is_in_the_order_of_the_list(expected: str) -> None:
    """A line an utterance, in order, each with the model's 512 values."""
    assert names(expected) == [f"u{i}" for i in range(40)]
    assert {len(line.split()) for line in expected.splitlines()} == {513}


def test_only_failures_are_told_at_once(
    rtfbench: Command, recordings: list[Path], tmp_path: Path
) -> None:
    """Without a terminal, what went well is one line at the end; --quiet leaves that out too."""
    broken = tmp_path / "broken.wav"
    broken.write_text("no audio")
    scp = write_list(tmp_path / "wav.scp", [recordings[0], broken, recordings[1]])
    told = [
        rtfbench("extract", "--wav-scp", scp, *MODEL, *options).stderr.splitlines()
        for options in ((), ("--quiet",))
    ]
    assert told[0][0].startswith(f"rtfbench: utterance u1: {broken}")
    assert not [line for line in told[0] if line.startswith("u0: RTF")]
    assert told[0][1].startswith("2 utterances: RTF ")
    assert told[1] == told[0][:1]


def test_two_jobs_compute_the_same(
    rtfbench: Command, scp: Path, expected: str, tmp_path: Path
) -> None:
    """Two workers give one worker's file; each RTF, the total and the throughput are told."""
    done = rtfbench(
        *("extract", "--wav-scp", scp, *MODEL, "--jobs", 2, "--result", tmp_path / "e.txt"),
        "--verbose",
    )
    assert done.returncode == 0
    assert (tmp_path / "e.txt").read_text() == expected
    each = re.findall(r"^(u\d+): RTF ([\d.]+) \(([\d.]+) s\)$", done.stderr, re.MULTILINE)
    assert [name for name, _, _ in each] == names(expected)
    total = re.search(
        r"^40 utterances: RTF ([\d.]+) \(([\d.]+) s of processing for ([\d.]+) s of audio\), "
        r"[\d.]+ x real time on 2 jobs, loading included$",
        done.stderr,
        re.MULTILINE,
    )
    assert total, done.stderr
    rtf, processing_s, audio_s = map(float, total.groups())
    assert rtf == pytest.approx(processing_s / audio_s, rel=0.1)
    assert audio_s == pytest.approx(sum(float(seconds) for _, _, seconds in each), abs=0.5)
    summed_s = sum(float(rtf) * float(seconds) for _, rtf, seconds in each)
    assert processing_s == pytest.approx(summed_s, rel=0.05)


@pytest.mark.parametrize("ending", ["npz", "ark"])
def test_binary_results_hold_the_same(
    rtfbench: Command, scp: Path, expected: str, tmp_path: Path, ending: str
) -> None:
    """The ending chooses the format; the values are those of the text with more digits."""
    result = tmp_path / f"e.{ending}"
    done = rtfbench("extract", "--wav-scp", scp, *MODEL, "--result", result)
    assert done.returncode == 0, done.stderr
    text = tmp_path / "e.txt"
    text.write_text(expected)
    for got, want in zip(read_embeddings(result), read_embeddings(text), strict=True):
        assert got.name == want.name
        np.testing.assert_allclose(got.embedding_D, want.embedding_D, rtol=1e-5)
    left = {each.name for each in tmp_path.iterdir()} - {"e.txt"}
    card = f"{result.name}.json"  # what they were computed with
    assert left == ({"e.ark", "e.scp", card} if ending == "ark" else {"e.npz", card})


def test_without_result_it_is_printed(
    rtfbench: Command, recordings: list[Path], expected: str
) -> None:
    """Embeddings go to standard output, all else to standard error; names have no blanks."""
    done = rtfbench("extract", *MODEL, "--wav", recordings[0], recordings[1])
    assert done.returncode == 0
    want = [line.partition(" ")[2] for line in expected.splitlines()[:2]]
    assert [line.partition(" ")[2] for line in done.stdout.splitlines()] == want
    assert names(done.stdout) == ["rec_00", "rec_01"]


def broken(folder: Path, good: Path) -> dict[str, tuple[Path, str]]:
    """Make unusable recordings: kind -> (path, what must be said of it)."""
    noise = (np.random.default_rng(1).standard_normal((16000, 2)) * 1000).astype(np.int16)
    soundfile.write(folder / "stereo.wav", noise, 16000)
    soundfile.write(folder / "rate.wav", noise[:, 0], 8000)
    soundfile.write(folder / "short.wav", noise[:399, 0], 16000)
    soundfile.write(folder / "silent.wav", noise[:0, 0], 16000)
    soundfile.write(folder / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    (folder / "text.wav").write_text("no audio")
    (folder / "empty.wav").touch()
    (folder / "cut.wav").write_bytes(good.read_bytes()[:5000])
    (folder / "folder.wav").mkdir()
    said = {
        "stereo": "--channel",
        "rate": "--resample",
        "short": "too short for one frame",
        "silent": "no samples",
        "nan": "NaN",
        "text": "convert it",
        "empty": "it is empty",
        "cut": "cut off",
        "folder": "is a folder",
        "missing": "does not exist",
    }
    return {kind: (folder / f"{kind}.wav", text) for kind, text in said.items()}


def test_hundreds_with_five_percent_broken(
    rtfbench: Command, recordings: list[Path], expected: str, tmp_path: Path
) -> None:
    """Every broken recording is told with its utterance's name, every other one is complete."""
    kinds = list(broken(tmp_path, recordings[0]).values())
    lines, bad, want = [], {}, []
    values = [line.partition(" ")[2] for line in expected.splitlines()]
    for i in range(200):
        if i % 20 == 7:
            path, bad[f"x{i}"] = kinds[i // 20 % len(kinds)]
            lines.append(f"x{i} {path}")
        else:
            lines.append(f"x{i} {recordings[i % 40]}")
            want.append(f"x{i} {values[i % 40]}")
    scp = tmp_path / "wav.scp"
    scp.write_text("\r\n\r\n".join(lines))
    result = tmp_path / "e.txt"
    done = rtfbench("extract", "--wav-scp", scp, *MODEL, "--jobs", 2, "--result", result)
    assert done.returncode == 1
    assert result.read_text().splitlines() == want
    told = dict(re.findall(r"^rtfbench: utterance (\w+): (.*)$", done.stderr, re.MULTILINE))
    assert told.keys() == bad.keys()
    assert all(bad[name] in told[name] for name in bad)
    assert "10 of 200 skipped: x7, x27, x47, x67, x87 and 5 more" in done.stderr
    assert "Traceback" not in done.stderr


def test_resume_fills_in_what_was_broken(
    rtfbench: Command, recordings: list[Path], expected: str, tmp_path: Path
) -> None:
    """After a recording is repaired, --resume computes it alone and puts it into its place."""
    mine = [Path(shutil.copy(each, tmp_path / each.name)) for each in recordings[:6]]
    whole = mine[2].read_bytes()
    mine[2].write_text("no audio")
    scp = write_list(tmp_path / "wav.scp", mine)
    arguments = ("extract", "--wav-scp", scp, *MODEL, "--result", tmp_path / "e.txt")
    assert rtfbench(*arguments).returncode == 1
    lines = expected.splitlines()[:6]
    assert (tmp_path / "e.txt").read_text().splitlines() == [*lines[:2], *lines[3:]]
    mine[2].write_bytes(whole)
    again = rtfbench(*arguments, "--resume", "--verbose")
    assert again.returncode == 0
    assert re.findall(r"^(u\d+): RTF", again.stderr, re.MULTILINE) == ["u2"]
    assert (tmp_path / "e.txt").read_text().splitlines() == lines
    assert rtfbench(*arguments, "--resume").returncode == 0
    assert (tmp_path / "e.txt").read_text().splitlines() == lines


def test_strict_stops_at_the_first(
    rtfbench: Command, recordings: list[Path], expected: str, tmp_path: Path
) -> None:
    """With --strict nothing behind the first failure is written, and what is done is kept."""
    scp = write_list(tmp_path / "wav.scp", [*recordings[:3], tmp_path / "none", *recordings[4:]])
    arguments = ("extract", "--wav-scp", scp, *MODEL, "--result", tmp_path / "e.txt")
    done = rtfbench(*arguments, "--strict", "--jobs", 2)
    assert done.returncode == 1
    assert "go on with --resume" in done.stderr
    assert not (tmp_path / "e.txt").exists()
    part = (tmp_path / "e.txt.part").read_text()
    assert part.splitlines() == expected.splitlines()[:3]
    refused = rtfbench(*arguments)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    assert (tmp_path / "e.txt.part").read_text() == part
    assert rtfbench(*arguments, "--overwrite").returncode == 1
    lines = expected.splitlines()
    assert (tmp_path / "e.txt").read_text().splitlines() == [*lines[:3], *lines[4:]]


@pytest.mark.parametrize(
    ("engine", "options", "message"),
    [
        ("faulty-crash", (), "tried 2 times: worker ended early, killed by SIGSEGV"),
        ("faulty-hang", ("--timeout", 2), "tried 2 times: no embedding within 2 s"),
        ("faulty-raise", (), "KeyError"),
        ("faulty-nan", (), "not 512 finite values"),
    ],
)
def test_an_engine_that_fails_costs_its_utterances_only(
    rtfbench: Command,
    recordings: list[Path],
    tmp_path: Path,
    engine: str,
    options: tuple[object, ...],
    message: str,
) -> None:
    """Each utterance is told with what happened; no empty result appears."""
    result = tmp_path / "e.txt"
    done = rtfbench(
        *("extract", "--wav", *recordings[:2], *MODEL, "--engine", engine, *options),
        *("--result", result),
    )
    assert done.returncode == 1, done.stderr
    for name in ("rec_00", "rec_01"):
        (line,) = [each for each in done.stderr.splitlines() if f"utterance {name}:" in each]
        assert message in line
    assert not list(tmp_path.iterdir())


def test_one_wav_that_is_missing_does_not_lose_the_others(
    rtfbench: Command, recordings: list[Path]
) -> None:
    """A path on the command line that does not exist is the error of its own utterance."""
    done = rtfbench("extract", *MODEL, "--wav", recordings[0], "--wav", "no/such.wav")
    assert done.returncode == 1
    assert names(done.stdout) == ["rec_00"]
    assert "utterance such: no/such.wav: does not exist" in done.stderr


@pytest.mark.parametrize("ending", ["onnx", "mnn"])
def test_a_static_file_brings_its_chunk_size(
    rtfbench: Command,
    write_tiny_onnx: Callable[..., Path],
    recordings: list[Path],
    tmp_path: Path,
    ending: str,
) -> None:
    """Without a size, a static file's own is taken and told; another is refused with that one."""
    static = write_tiny_onnx(tmp_path / "static.onnx", num_frames=98)
    if ending == "mnn":
        to_mnn(static, static.with_suffix(".mnn"), static=True)
        static = static.with_suffix(".mnn")
    wav = ("--wav", recordings[0])
    done = rtfbench("extract", *wav, "--model", static)
    assert done.returncode == 0, done.stderr
    assert "takes chunks of 98 frames (16000 samples)" in done.stderr

    named = rtfbench("extract", *wav, "--model", static, "--samples-per-chunk", 16000)
    assert named.stdout == done.stdout
    assert "takes chunks" not in named.stderr

    wrong = rtfbench("extract", *wav, "--model", static, "--samples-per-chunk", 32000)
    assert wrong.returncode == 2
    assert "--chunk-samples 16000 fits" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1

    dynamic = write_tiny_onnx(tmp_path / "dynamic.onnx")
    cut = rtfbench("extract", *wav, "--model", dynamic, "--samples-per-chunk", 16000)
    name, *values = done.stdout.split()
    assert cut.stdout.split()[0] == name
    assert [float(v) for v in values] == pytest.approx(
        [float(v) for v in cut.stdout.split()[1:]], rel=1e-3, abs=1e-4
    )
