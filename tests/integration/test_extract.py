"""`extract` from end to end: real processes, real audio, and everything that can go wrong."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.embed.audio_input import DEFAULT_SPEECH
from bench.embed.embeddings import read_embeddings
from engines.mnn_convert import to_mnn

# XVEC is the smallest model; quarter-second chunks make it fast.
MODEL = ("--model", "xvec", "--engine", "onnxruntime", "--samples-per-chunk", 4000)

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Cut the package's speech into forty recordings of 0.3 to 3 s, as 16-bit WAV."""
    folder = tmp_path_factory.mktemp("recordings")
    speech = np.concatenate(
        [soundfile.read(path, dtype="int16")[0] for path in sorted(DEFAULT_SPEECH.glob("*.flac"))]
    )
    rng = np.random.default_rng(4)
    paths = []
    for number in range(40):
        length = int(rng.integers(4800, 48000))
        start = int(rng.integers(0, len(speech) - length))
        paths.append(folder / f"rec {number:02}.wav")
        soundfile.write(paths[-1], speech[start : start + length], 16000)
    return paths


def write_list(path: Path, recordings: list[Path]) -> Path:
    """Write a `wav.scp` that names recordings u0, u1, ..."""
    path.write_text("".join(f"u{i} {each}\n" for i, each in enumerate(recordings)))
    return path


@pytest.fixture(scope="module")
def scp(recordings: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the list of all recordings."""
    return write_list(tmp_path_factory.mktemp("list") / "wav.scp", recordings)


@pytest.fixture(scope="module")
def expected(rtfbench: Command, scp: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the result of an undisturbed run with one worker."""
    result = tmp_path_factory.mktemp("expected") / "e.txt"
    done = rtfbench("extract", "--wav-scp", scp, *MODEL, "--result", result)
    assert done.returncode == 0, done.stderr
    assert not list(result.parent.glob("*.part*"))
    return result.read_text()


def names(text: str) -> list[str]:
    """Return the first field of every line."""
    return [line.split()[0] for line in text.splitlines()]


def test_result_is_in_the_order_of_the_list(expected: str) -> None:
    """A line an utterance, in order, each with the model's 512 values."""
    assert names(expected) == [f"u{i}" for i in range(40)]
    assert {len(line.split()) for line in expected.splitlines()} == {513}


def test_two_jobs_compute_the_same(
    rtfbench: Command, scp: Path, expected: str, tmp_path: Path
) -> None:
    """Two workers give one worker's file; each RTF, the total and the throughput are told."""
    done = rtfbench(
        *("extract", "--wav-scp", scp, *MODEL, "--jobs", 2, "--result", tmp_path / "e.txt")
    )
    assert done.returncode == 0
    assert (tmp_path / "e.txt").read_text() == expected
    each = re.findall(r"^(u\d+): RTF ([\d.]+) \(([\d.]+) s\)$", done.stderr, re.MULTILINE)
    assert [name for name, _, _ in each] == names(expected)
    total = re.search(
        r"^40 utterances: RTF ([\d.]+) \(([\d.]+) s of processing for ([\d.]+) s of audio\), "
        r"[\d.]+ x real time on 2 jobs$",
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
    assert left == ({"e.ark", "e.scp"} if ending == "ark" else {"e.npz"})


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
        "empty": "convert it",
        "cut": "cut off",
        "folder": "is a folder",
        "missing": "does not exist",
    }
    return {kind: (folder / f"{kind}.wav", text) for kind, text in said.items()}


def test_a_thousand_with_five_percent_broken(
    rtfbench: Command, recordings: list[Path], expected: str, tmp_path: Path
) -> None:
    """Every broken recording is told with its utterance's name, every other one is complete."""
    kinds = list(broken(tmp_path, recordings[0]).values())
    lines, bad, want = [], {}, []
    values = [line.partition(" ")[2] for line in expected.splitlines()]
    for i in range(1000):
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
    assert "50 of 1000 skipped: x7, x27, x47, x67, x87 and 45 more" in done.stderr
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
    again = rtfbench(*arguments, "--resume")
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


def start(*arguments: object, environment: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """Start the command line without waiting for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )


@pytest.fixture(scope="module")
def long_scp(recordings: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a list that takes long enough to be interrupted: every recording fifteen times."""
    return write_list(tmp_path_factory.mktemp("long") / "wav.scp", recordings * 15)


def assert_complete(text: str, expected: str) -> None:
    """The result of `long_scp` is the expected one fifteen times."""
    values = [line.partition(" ")[2] for line in expected.splitlines()] * 15
    assert text.splitlines() == [f"u{i} {value}" for i, value in enumerate(values)]


def wait_for_lines(part: Path, process: "subprocess.Popen[str]", lines: int) -> None:
    """Wait until a part file has this many lines."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if part.exists() and part.read_text().count("\n") >= lines:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("no embeddings came")


def workers_of(pid: int) -> list[int]:
    """Return the process ids of an extraction's workers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"bench.extract.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_worker_is_replaced(
    long_scp: Path, expected: str, tmp_path: Path, jobs: int
) -> None:
    """Killing workers in the middle, again and again, changes nothing in the result."""
    result = tmp_path / "e.txt"
    process = start(*("extract", "--wav-scp", long_scp, *MODEL, "--jobs", jobs, "--result", result))
    for lines in (5, 100, 200):
        wait_for_lines(tmp_path / "e.txt.part", process, lines)
        os.kill(workers_of(process.pid)[-1], signal.SIGKILL)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert_complete(result.read_text(), expected)


@pytest.mark.parametrize(
    ("how", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, -15), (signal.SIGINT, 130)]
)
@pytest.mark.parametrize("ending", ["txt", "ark"])
def test_what_was_done_survives_the_parent(
    rtfbench: Command,
    long_scp: Path,
    expected: str,
    tmp_path: Path,
    how: signal.Signals,
    status: int,
    ending: str,
) -> None:
    """No worker stays, the part is a valid beginning, and --resume completes it."""
    result = tmp_path / f"e.{ending}"
    arguments = ("extract", "--wav-scp", long_scp, *MODEL, "--result", result)
    process = start(*arguments, "--jobs", 2)
    part = tmp_path / f"e.{ending}.part"
    wait_for_lines(part, process, 30)
    workers = workers_of(process.pid)
    process.send_signal(how)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in stderr
    assert ("go on with --resume" in stderr) == (how == signal.SIGINT)
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "a worker was left behind"
        time.sleep(0.05)
    assert not result.exists()
    done = names(part.read_text())
    assert done == [f"u{i}" for i in range(len(done))]
    assert 30 <= len(done) < 600

    with part.open("a") as file:  # as if the last line had been cut off in the middle
        file.write("u999 1.0 2.")
    resumed = rtfbench(*arguments, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    computed = re.findall(r"^(u\d+): RTF", resumed.stderr, re.MULTILINE)
    assert computed == [f"u{i}" for i in range(len(done), 600)]
    if ending == "txt":
        assert_complete(result.read_text(), expected)
    assert [name for name, _ in read_embeddings(result)] == [f"u{i}" for i in range(600)]


def test_resume_refuses_what_does_not_fit(
    rtfbench: Command, recordings: list[Path], expected: str, tmp_path: Path
) -> None:
    """Another list or setting, a duplicate and a damaged line are refused; nothing is lost."""
    scp = write_list(tmp_path / "wav.scp", [*recordings[:3], tmp_path / "none"])
    result, part = tmp_path / "e.txt", tmp_path / "e.txt.part"
    arguments = ("extract", "--wav-scp", scp, "--result", result, "--resume")
    assert rtfbench(*arguments, *MODEL, "--strict").returncode == 1
    good = part.read_text()
    first, second, _ = good.splitlines(keepends=True)
    other = write_list(tmp_path / "other.scp", recordings[:2])
    cases: list[tuple[str, tuple[object, ...], str]] = [
        (good, (*MODEL, "--wav-scp", other), "'u2', which the list does not name"),
        (good, (*MODEL, "--samples-per-chunk", 8000), "samples per chunk 4000, not 8000"),
        (good, (*MODEL, "--engine", "mnn"), "engine onnxruntime, not mnn"),
        (good, (*MODEL, "--resample"), "resampling False, not True"),
        (first + first, MODEL, "utterance 'u0' twice"),
        (first + "u1 0.5 x\n", MODEL, "line 2 is damaged"),
        (first + "u1 0.5\n", MODEL, "line 2 has another length"),
    ]
    for content, options, message in cases:
        part.write_text(content)
        refused = rtfbench(*arguments, *options)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert part.read_text() == content
    part.write_text(first + second)
    assert rtfbench(*arguments, *MODEL).returncode == 1
    assert result.read_text().splitlines() == expected.splitlines()[:3]


def test_no_room_left_is_one_line(
    rtfbench: Command, scp: Path, expected: str, tmp_path: Path
) -> None:
    """When the result cannot grow, one line says so, and --resume goes on once there is room."""
    arguments = ("extract", "--wav-scp", scp, *MODEL, "--result", tmp_path / "e.txt")
    limit = (30_000, resource.RLIM_INFINITY)
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", *map(str, arguments)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "make room and go on with --resume" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert (tmp_path / "e.txt.part").stat().st_size == 30_000
    assert rtfbench(*arguments, "--resume").returncode == 0
    assert (tmp_path / "e.txt").read_text() == expected


def test_one_writer_at_a_time(rtfbench: Command, long_scp: Path, tmp_path: Path) -> None:
    """A second run into the same result is refused while the first one is at work."""
    arguments = ("extract", "--wav-scp", long_scp, *MODEL, "--result", tmp_path / "e.txt")
    process = start(*arguments)
    try:
        wait_for_lines(tmp_path / "e.txt.part", process, 1)
        refused = rtfbench(*arguments, "--resume")
        assert refused.returncode == 2
        assert "another rtfbench is writing it" in refused.stderr
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("u1 a.wav\nu1 b.wav\n", "lines 1 and 2 are both 'u1'; rename one"),
        ("u1 a.wav\nu2 sox a.wav -t wav - |\n", "line 2 is a command, and commands are not run"),
        ("u1 a.wav\nu2\n", "line 2 has no path"),
        ("\r\n \n", "names no audio"),
    ],
)
def test_a_list_that_cannot_be_followed_is_refused_at_once(
    rtfbench: Command, tmp_path: Path, content: str, message: str
) -> None:
    """Before anything is computed, one line names the list, the line and the cure."""
    (tmp_path / "wav.scp").write_text(content)
    done = rtfbench(
        "extract", "--wav-scp", tmp_path / "wav.scp", *MODEL, "--result", tmp_path / "e.txt"
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"rtfbench: {tmp_path / 'wav.scp'}: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["wav.scp"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--wav-scp LIST or with --wav PATH"),
        (("--wav", "a.wav", "--wav-scp", "b.scp"), "--wav-scp LIST or with --wav PATH"),
        (("--wav-scp", "none.scp"), "none.scp: does not exist"),
        (("--wav", "a.wav", "--model", "resnet43"), "resnet34"),
        (("--wav", "a.wav", "--model", "none.onnx"), "none.onnx"),
        (("--wav", "a.wav", "--engine", "onnx"), "onnxruntime"),
        (("--wav", "a.wav", "--engine", "mnn[precision=purple]"), "normal, low, high"),
        (("--wav", "a.wav", "--engine", "faulty-missing", "--model", "xvec"), "pip install it"),
        (("--wav", "a.wav", "--samples-per-chunk", "100"), "too short for one frame"),
        (("--wav", "a.wav", "--threads", "4096"), "--threads 4096"),
        (("--wav", "a.wav", "--resume"), "need --result"),
        (("--wav", "a.wav", "--model", "xvec", "--result", "/dev/null/e"), "cannot write"),
        (("--wav", "a.wav", "--engine", "mnn-mini", "--samples-per-chunk", "-1"), "static"),
        (
            ("--wav", "a.wav", "--engine", "mnn-mini", "--form", "dynamic", "--model", "xvec"),
            "mnn-mini needs a static model",
        ),
    ],
)
def test_bad_input_is_one_line(rtfbench: Command, options: tuple[str, ...], message: str) -> None:
    """Bad input ends with status 2 and a line that names the cure."""
    done = rtfbench("extract", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


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
