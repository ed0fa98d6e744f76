"""Damaged models, caches, recordings and folders: a line that says so, and no embedding."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from onnx import numpy_helper

from rtfbench.embed.embeddings import read_embeddings

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Tiny = Callable[..., Path]


@pytest.fixture
def with_weight(write_tiny_onnx: Tiny, tmp_path: Path) -> Callable[[float], Path]:
    """Return a function that writes a model whose first weight is the given one."""

    def write(value: float) -> Path:
        path = write_tiny_onnx(tmp_path / "spoiled.onnx")
        model = onnx.load(str(path))
        for tensor in model.graph.initializer:
            if tensor.name == "weight":
                weight = numpy_helper.to_array(tensor).copy()
                weight[0, 0] = value
                tensor.CopyFrom(numpy_helper.from_array(weight, "weight"))
        onnx.save(model, str(path))
        return path

    return write


def test_weights_that_are_no_numbers(
    rtfbench: Command,
    with_weight: Callable[[float], Path],
    short_speech: Path,
    tmp_path: Path,
) -> None:
    """The file is refused for every engine: MNN would make finite vectors of it."""
    options = ("--model", with_weight(np.nan), "--engine", "mnn")
    for command in (
        ("extract", *options, "--wav", short_speech),
        ("run", *options, "--audio", short_speech, "--out", tmp_path / "run"),
    ):
        done = rtfbench(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert "spoiled.onnx: weight 'weight' holds NaN" in done.stderr


@pytest.mark.parametrize("engine", ["onnxruntime", "mnn"])
def test_embeddings_that_are_not_finite(
    rtfbench: Command,
    with_weight: Callable[[float], Path],
    short_speech: Path,
    tmp_path: Path,
    engine: str,
) -> None:
    """Weights that overflow give no vector and no time; the reference is looked at too."""
    options, out = ("--model", with_weight(3e38), "--engine", engine), tmp_path / "run"
    if engine == "onnxruntime":  # MNN makes finite values of these, which its row tells
        done = rtfbench("extract", *options, "--wav", short_speech)
        assert (done.returncode, done.stdout) == (1, "")
        assert "not 16 finite values" in done.stderr
    done = rtfbench(
        *("run", *options, "--audio", short_speech, "--protocol", "steady"),
        *("--budget", 0.1, "--sessions", 1, "--out", out, "--bare"),
    )
    assert done.returncode == 1
    (row,) = json.loads((out / "summary.json").read_text())["cells"]
    assert row["rtf"] is None
    assert "the reference of short_en_us" in row["reason"]


@pytest.mark.parametrize("engine", ["onnxruntime", "mnn"])
def test_a_model_that_hears_nothing_gives_nothing(
    rtfbench: Command, write_tiny_onnx: Tiny, short_speech: Path, tmp_path: Path, engine: str
) -> None:
    """Of weights that are all zero every recording would have the same embedding."""
    path = write_tiny_onnx(tmp_path / "deaf.onnx")
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        if tensor.name == "weight":
            zeros = np.zeros_like(numpy_helper.to_array(tensor))
            tensor.CopyFrom(numpy_helper.from_array(zeros, "weight"))
    onnx.save(model, str(path))
    done = rtfbench("extract", "--model", path, "--engine", engine, "--wav", short_speech)
    assert (done.returncode, done.stdout) == (1, "")
    assert "give the same embedding" in done.stderr


def test_samples_that_are_too_large(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Their features are not finite: the recording is skipped, and the others are embedded."""
    noise = np.random.default_rng(0).standard_normal(16000)
    soundfile.write(tmp_path / "loud.wav", 1e30 * noise, 16000, subtype="FLOAT")
    result = tmp_path / "e.txt"
    done = rtfbench(
        *("extract", "--model", model, "--engine", "mnn", "--result", result),
        *("--wav", tmp_path / "loud.wav", "--wav", short_speech),
    )
    assert done.returncode == 1
    assert "features are not finite" in done.stderr
    assert [name for name, _ in read_embeddings(result)] == [short_speech.stem]


def test_half_an_ogg_file_is_none(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """It is told from a short recording by its last page."""
    samples, rate = soundfile.read(short_speech)
    whole, half = tmp_path / "whole.ogg", tmp_path / "half.ogg"
    soundfile.write(whole, np.tile(samples, 5), rate)
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    done = rtfbench("extract", "--model", model, "--wav", whole, "--wav", half)
    assert done.returncode == 1
    assert f"{half}: is cut off" in done.stderr
    assert done.stdout.startswith("whole ")


@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_a_damaged_cache_is_made_again(
    rtfbench: Command, write_tiny_onnx: Tiny, short_speech: Path, cache: Path, tmp_path: Path,
    damage: str,
) -> None:  # fmt: skip
    """Model files and references are held against their SHA-256 before they are used."""
    model = write_tiny_onnx(tmp_path / f"cached_{damage}.onnx")
    out = tmp_path / "run"
    run = (
        *("run", "--model", model, "--engine", "mnn", "--audio", short_speech),
        *(
            "--protocol",
            "steady",
            "--budget",
            0.1,
            "--sessions",
            1,
            "--out",
            out,
            "--overwrite",
            "--bare",
        ),
    )
    assert rtfbench(*run).returncode == 0
    (made,) = (cache / "models").glob(f"cached_{damage}_onnx-*/*.mnn")
    (reference,) = (cache / "references").glob(f"cached_{damage}_onnx-*.npz")
    whole = {path: path.read_bytes() for path in (made, reference)}
    for path, data in whole.items():
        half = data[: len(data) // 2]
        flipped = half + bytes(255 - byte for byte in data[len(half) :])
        path.write_bytes(flipped if damage == "flipped" else half)
    # Either one, taken as it is, would end the cell as one that fails or is wrong.
    done = rtfbench(*run)
    assert done.returncode == 0, done.stderr
    for path, data in whole.items():
        assert path.read_bytes()[len(data) // 2 :] == data[len(data) // 2 :]


def test_a_folder_of_the_user_that_has_our_name(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """What lies in the present folder is not run in place of our modules."""
    for package in ("rtfbench", "bench", "engines", "frontends"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('not ours')\n")
    command = Path(sys.executable).with_name("rtfbench")
    done = subprocess.run(
        [str(command), "extract", "--model", str(model), "--wav", str(short_speech)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "not ours" not in done.stderr


def test_a_recording_that_never_comes(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """A FIFO is refused without waiting for a writer; an impossible name costs itself only."""
    fifo, scp = tmp_path / "fifo.wav", tmp_path / "wav.scp"
    os.mkfifo(fifo)
    scp.write_text(f"a {fifo}\nb /{'x' * 300}.wav\nc {short_speech}\n")
    done = rtfbench("extract", "--model", model, "--wav-scp", scp)
    assert done.returncode == 1
    assert f"{fifo}: is no regular file" in done.stderr
    assert "File name too long" in done.stderr
    assert done.stdout.startswith("c ")


def test_a_damaged_run_goes_on(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Garbage among the records is told in one line, set aside by --resume, and the rest used."""
    out = tmp_path / "run"
    run = (
        *("run", "--model", model, "--engine", "onnxruntime", "--audio", short_speech),
        *("--protocol", "steady", "--budget", 0.1, "--sessions", 1, "--out", out, "--bare"),
    )
    assert rtfbench(*run).returncode == 0
    records = out / "records.jsonl"
    whole = records.read_bytes()
    first, rest = whole.split(b"\n", 1)
    records.write_bytes(first + b"\n\xff\xfe garbage\n" + rest)
    done = rtfbench("report", out)
    assert done.returncode == 2
    assert f"{records}:2: damaged line" in done.stderr
    done = rtfbench(*run, "--resume")
    assert done.returncode == 0
    assert "1 damaged line set aside" in done.stderr
    assert (out / "damaged.jsonl").read_bytes() == b"\xff\xfe garbage\n"
    assert records.read_bytes() == whole


def test_names_that_end_lines(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """What some take for the end of a line may stand in a file's name."""
    names = ["line\u2028separator", "next\u0085line", "new\nline"]
    audio = [
        part
        for name in names
        for part in ("--audio", shutil.copy(short_speech, tmp_path / f"{name}.flac"))
    ]
    out = tmp_path / "run"
    done = rtfbench(
        *("run", "--model", model, "--engine", "onnxruntime", *audio),
        *("--protocol", "steady", "--budget", 0.1, "--sessions", 1, "--out", out, "--bare"),
    )
    assert done.returncode == 0, done.stderr
    assert rtfbench("report", out).returncode == 0
    (row,) = json.loads((out / "summary.json").read_text())["cells"]
    assert row["utterances"] == len(names)


def test_a_models_name_is_one_line_of_the_table(
    rtfbench: Command, write_tiny_onnx: Tiny, short_speech: Path, tmp_path: Path
) -> None:
    """Whatever stands in it, the rows stay rows, and what is said stays a line."""
    model, out = write_tiny_onnx(tmp_path / "new\nline | bar.onnx"), tmp_path / "run"
    done = rtfbench(
        *("run", "--model", model, "--engine", "onnxruntime", "--audio", short_speech),
        *("--protocol", "steady", "--budget", 0.1, "--sessions", 1, "--out", out),
    )
    assert done.returncode == 0, done.stderr
    table = (out / "table.md").read_text()
    assert "| new line \\| bar.onnx |" in table
    assert "\nline" not in done.stderr + table


@pytest.mark.parametrize("folder", ["/proc/nowhere", "/dev/null", "b\udcffd", "x" * 300])
def test_a_cache_that_cannot_be(
    rtfbench: Command, spawned: Command, model: Path, short_speech: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, folder: str,
) -> None:  # fmt: skip
    """One line that names the folder, the reason and the cure."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTFBENCH_CACHE", folder)
    for command in (
        ("extract", "--model", model, "--engine", "mnn", "--wav", short_speech),
        ("run", "--model", model, "--audio", short_speech, "--out", tmp_path / "run"),
    ):
        # A library that was loaded from a place without a name in text stays loaded.
        done = (rtfbench if folder.isascii() else spawned)(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[-1].endswith("name another folder in RTFBENCH_CACHE")
    assert "\udcff" not in done.stderr


def test_a_damaged_environment_is_written_anew(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """And a cell whose declaration is missing is measured again."""
    out = tmp_path / "run"
    run = (
        *("run", "--model", model, "--engine", "onnxruntime", "--audio", short_speech),
        *("--protocol", "steady", "--budget", 0.1, "--sessions", 1, "--out", out, "--bare"),
    )
    assert rtfbench(*run).returncode == 0
    environment = out / "environment.json"
    whole = environment.read_text()
    environment.write_text("{")
    done = rtfbench("report", out)
    assert done.returncode == 2
    assert "environment.json: damaged" in done.stderr
    assert "--resume" in done.stderr
    environment.write_text(whole)
    records = out / "records.jsonl"
    records.write_bytes(records.read_bytes().split(b"\n", 1)[1])
    done = rtfbench("report", out)
    assert done.returncode == 2
    assert "was not declared before it" in done.stderr
    environment.write_text("{")
    assert rtfbench(*run, "--resume").returncode == 0
    assert rtfbench("report", out).returncode == 0


def test_names_that_are_no_text(
    spawned: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """A name that is not UTF-8 costs its own recording only."""
    folder = tmp_path / "audio"
    folder.mkdir()
    shutil.copy(short_speech, folder / "good.flac")
    shutil.copy(short_speech, os.fsdecode(os.fsencode(folder) + b"/b\xffd.flac"))
    out = tmp_path / "run"
    done = spawned("extract", "--model", model, "--wav", folder)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "not UTF-8" in done.stderr
    assert done.stdout.startswith("good ")
    done = spawned(
        *("run", "--model", model, "--engine", "onnxruntime", "--audio", folder),
        *("--protocol", "steady", "--budget", 0.1, "--sessions", 1, "--out", out, "--bare"),
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    (row,) = json.loads((out / "summary.json").read_text())["cells"]
    assert row["status"] == "ok"


#: No machine has so much memory.
BOMB_SHAPE = (2, 1 << 57)


def _array_header(shape: tuple[int, ...], kind: str = "<f4") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def test_what_takes_more_memory_than_there_is_names_its_file(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Headers that promise 2 to the power of 60 bytes: one line with the file."""
    trials, bomb, features = (tmp_path / name for name in ("trials", "bomb.npz", "bomb.npy"))
    trials.write_text("a b target\n")
    with zipfile.ZipFile(bomb, "w") as archive:
        archive.writestr("names.npy", _array_header((2,), "<U1") + np.array(["a", "b"]).tobytes())
        archive.writestr("embeddings.npy", _array_header(BOMB_SHAPE))
    features.write_bytes(_array_header(BOMB_SHAPE))
    for path, command in (
        (bomb, ("score", "--trials", trials, "--embeddings", bomb)),
        (
            features,
            ("frontend", "check", "--model", model, "--wav", short_speech, "--features", features),
        ),
    ):
        done = rtfbench(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[-1] == (
            f"rtfbench: {path}: takes more memory than there is; free some, or name a smaller file"
        )


def test_records_that_were_changed_are_no_result(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """A digit that still can be read is told from the one that the summary was derived from.

    Lines that a killed run added are none, and without the summary the records are taken as they
    are.
    """
    out = tmp_path / "run"
    run = (
        *("run", "--model", model, "--engine", "onnxruntime", "--audio", short_speech),
        *("--protocol", "steady", "--budget", 0.1, "--sessions", 1, "--out", out),
    )
    assert rtfbench(*run).returncode == 0
    records = out / "records.jsonl"
    whole = records.read_bytes()
    *_, last = whole.splitlines(keepends=True)
    records.write_bytes(whole + last)
    assert rtfbench("report", out).returncode == 0
    records.write_bytes(whole.replace(b'"processing_ns":', b'"processing_ns":1', 1))
    for command in (
        ("report", out),
        ("report", out, out),
        ("plot", out),
        ("compare", out, out),
        (*run, "--resume"),
    ):
        done = rtfbench(*command)
        assert (done.returncode, done.stdout) == (2, ""), command
        (line,) = done.stderr.splitlines()
        assert f"{records}: is not what summary.json was derived from; `rtfbench check" in line
    assert rtfbench("check", out).returncode == 1
    records.write_bytes(whole)
    environment = out / "environment.json"
    told = environment.read_text()
    environment.write_text(told.replace('"usable_cores": ', '"usable_cores": 1', 1))
    done = rtfbench("report", out)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{environment}: is not what summary.json was derived from" in done.stderr
    environment.write_text(told)
    (out / "summary.json").unlink()
    records.write_bytes(whole.replace(b'"processing_ns":', b'"processing_ns":1', 1))
    assert rtfbench("report", out).returncode == 0


def test_long_reading_gives_a_sign_of_life(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Lists, embeddings and shards: the first line is due at once here."""
    scp, result, trials = (tmp_path / name for name in ("wav.scp", "e.txt", "trials"))
    scp.write_text(f"a {short_speech}\n")
    trials.write_text("a a target\n")
    extract = ("extract", "--model", model, "--engine", "onnxruntime", "--wav-scp", scp)
    score = ("score", "--trials", trials, "--embeddings", result)
    merge = ("merge", tmp_path / "shards", "--result", tmp_path / "whole.txt")
    monkeypatch.setattr("rtfbench.extract.report.EVERY_S", 0.0)
    for command, read in (
        ((*extract, "--result", result), [scp]),
        ((*extract, "--result", tmp_path / "shards", "--shard", "1/1"), [scp]),
        (score, [trials, result]),
        (merge, [tmp_path / "shards"]),
    ):
        done = rtfbench(*command)
        assert done.returncode == 0, done.stderr
        for path in read:
            assert f"0 s: reading {path}\n" in done.stderr
