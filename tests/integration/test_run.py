"""The command line from end to end: real engines, real processes, real audio."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from rtfbench.results.store import RunFolder

from .processes import start, workers_of
from .test_left_behind import wait_until

# XVEC is the smallest model; the sweep's machinery is the same for all.
MODEL = "xvec"
ENGINES = ("onnxruntime", "mnn", "mnn-mini")

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def read_json(path: Path) -> Any:
    """Return a file's JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_cell_is_ok(swept: Path) -> None:
    """Three engines are ok under both protocols, two with another size and with two threads."""
    cells = read_json(swept / "summary.json")["cells"]
    assert {
        (c["engine"], c["protocol"], c["chunk_samples"], c["threads"], c["status"]) for c in cells
    } == {
        *((e, p, 32000, 1, "ok") for e in ENGINES for p in ("published", "steady")),
        *((e, "steady", 16000, 1, "ok") for e in ENGINES[:2]),
        *((e, "steady", 32000, 2, "ok") for e in ENGINES[:2]),
    }, [c["reason"] for c in cells]


def test_summary_has_the_promised_fields(swept: Path) -> None:
    """`summary.json` keeps its schema: names and types that machines rely on."""
    summary = read_json(swept / "summary.json")
    assert summary["schema"] == 1
    for cell in summary["cells"]:
        assert isinstance(cell["params"], int)
        assert isinstance(cell["flops"], int)
        for name in ("rtf", "rtf_frontend", "rtf_engine", "load_ms", "first_chunk_ms"):
            assert cell[name] > 0
        assert cell["chunk_ms"] is None or cell["chunk_ms"] > 0
        assert cell["peak_rss_mb"] > 10
        assert set(cell["parity"]) == {"cosine", "max_rel_err", "ok"}
        assert cell["parity"]["ok"] is True
        assert cell["effective"]["threads"] == cell["threads"]
        assert cell["rtf_ci95"] is None or cell["rtf_ci95"][0] <= cell["rtf"] <= cell["rtf_ci95"][1]
        assert cell["rtf_frontend"] + cell["rtf_engine"] <= cell["rtf"] * 1.05


def test_summary_is_derived_from_records(swept: Path, rtfbench: Command) -> None:
    """`report` computes the same result again from the records alone."""
    again = rtfbench("report", swept, "--format", "json")
    assert json.loads(again.stdout) == read_json(swept / "summary.json")
    assert rtfbench("report", swept).stdout == (swept / "table.md").read_text(encoding="utf-8")


def test_table_begins_with_the_published_columns(swept: Path) -> None:
    """The second table has the published columns, in the published format, and the footnote."""
    text = (swept / "table.md").read_text(encoding="utf-8")
    lines = text.split("## As in WeSpeaker's published table")[1].splitlines()
    header = next(line for line in lines if line.startswith("|"))
    assert [cell.strip() for cell in header.strip("|").split("|")] == [
        "Model",
        "Params",
        "FLOPs",
        "engine",
        "RTF",
    ]
    row = next(line for line in lines if "| mnn-mini ¹" in line)
    assert "| 4.61 M | 0.53 G |" in row
    assert any(line.startswith("¹ mnn-mini: a static model") for line in lines)
    assert any("num_threads = 1 · samples_per_chunk = 32000" in line for line in lines)


def test_embeddings_are_left_behind(swept: Path) -> None:
    """Every cell leaves the embeddings of its timed session; all engines agree."""
    stacks: dict[int | None, list[Any]] = {}
    for cell_id, data in RunFolder(swept).originals().items():
        stack = np.load(swept / "embeddings" / f"{cell_id}.npz")["embeddings"]
        stacks.setdefault(data.cell.chunk_samples, []).append(stack)
    assert {size: len(found) for size, found in stacks.items()} == {32000: 8, 16000: 2}
    for first, *others in stacks.values():
        assert first.shape == (1, 512)
        for stack in others:
            assert np.abs(stack - first).max() <= 1e-3 * np.abs(first).max()


def test_failing_engines_end_as_rows(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Whatever an engine does, its cell is a row with a reason, and the others are measured."""
    expected = {
        "faulty-crash": ("failed", "SIGSEGV"),
        "faulty-hang": ("timed_out", "no answer within 10 s"),
        "faulty-wrong": ("wrong_output", "limit 1e-03"),
        "faulty-nan": ("wrong_output", "limit 1e-03"),
        "faulty-raise": ("failed", "KeyError"),
        "faulty-threads": ("failed", "asked for 1 threads, but 2 are at work"),
        "faulty-exits": ("failed", "ended early"),
        "faulty-prints": ("ok", ""),
        "faulty-missing": ("unavailable", "pip install it"),
        "null": ("wrong_output", "largest error 1.0e+00"),
        "onnxruntime": ("ok", ""),
    }
    engines = [x for name in expected for x in ("--engine", name)]
    out = tmp_path / "out"
    done = rtfbench(
        *("run", "--model", model, *engines, "--protocol", "steady", "--audio", short_speech),
        *("--budget", 0.1, "--sessions", 1, "--timeout", 10, "--out", out),
    )
    cells = {cell["engine"]: cell for cell in read_json(out / "summary.json")["cells"]}
    for engine, (status, reason) in expected.items():
        assert (cells[engine]["status"], reason in cells[engine]["reason"]) == (status, True), (
            cells[engine]["reason"]
        )
        assert (cells[engine]["rtf"] is None) == (status != "ok")
    assert done.returncode == 1
    assert "| wrong output" in done.stdout
    assert "Traceback" not in done.stderr


def test_unsupported_cells_say_what_to_do(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """More threads than cores, or a static model for whole utterances, are rows with the cure."""
    out = tmp_path / "out"
    engines = ("--engine", "mnn-mini", "--engine", "onnxruntime")
    done = rtfbench(
        *("run", "--model", model, *engines, "--threads", 1, "--threads", 4096),
        *("--chunk-samples", -1, "--protocol", "steady", "--audio", short_speech),
        *("--budget", 0.1, "--sessions", 1, "--out", out, "--bare"),
    )
    found = {(c["engine"], c["threads"]): c for c in read_json(out / "summary.json")["cells"]}
    assert "--chunk-samples" in found["mnn-mini", 1]["reason"]
    assert "cores" in found["onnxruntime", 4096]["reason"]
    assert found["onnxruntime", 1]["status"] == "ok"
    assert done.returncode == 1


def wait_for_records(out: Path, process: "subprocess.Popen[str]", lines: int) -> None:
    """Wait until a run has stored this many measurements."""
    records = out / "records.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if records.exists() and records.read_text().count('"kind":"record"') >= lines:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("no records came")


def test_a_killed_worker_is_a_failed_row(short_speech: Path, tmp_path: Path) -> None:
    """Killing one worker leaves its row failed and the other row complete."""
    out = tmp_path / "out"
    process = start(
        *("run", "--model", MODEL, "--engine", "onnxruntime", "--engine", "mnn"),
        # With this seed, the first process is no ghost: of that one, no row would tell.
        *("--protocol", "steady", "--audio", short_speech, "--budget", 3, "--out", out),
        *("--seed", 0, "--sessions", 1),
    )
    wait_for_records(out, process, 4)
    os.kill(workers_of(process.pid, "rtfbench.worker")[0], signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=120)
    cells = read_json(out / "summary.json")["cells"]
    statuses = sorted(cell["status"] for cell in cells)
    assert statuses == ["failed", "ok"], stderr
    assert "SIGKILL" in next(cell["reason"] for cell in cells if cell["status"] == "failed")
    assert process.returncode == 1
    assert "Traceback" not in stderr + stdout


def test_resume_asks_which_run(rtfbench: Command) -> None:
    """Without a folder nothing tells which run goes on, and no new one begins."""
    done = rtfbench("run", "--model", MODEL, "--resume")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--out" in done.stderr


def test_ctrl_c_before_any_cell_began(short_speech: Path, tmp_path: Path) -> None:
    """While model files are made, it ends with its status, and says nothing of missing files."""
    out = tmp_path / "out"
    fresh = {"RTFBENCH_CACHE": str(tmp_path / "cache")}
    process = start(
        "run", "--model", "xvec", "--audio", short_speech, "--out", out, environment=fresh
    )
    wait_until(lambda: (out / "environment.json").exists())
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert "records.jsonl" not in stderr


def test_ctrl_c_loses_nothing_and_resume_goes_on(
    rtfbench: Command, short_speech: Path, tmp_path: Path
) -> None:
    """After Ctrl-C the table is there, no worker is left, and --resume measures what is missing."""
    out = tmp_path / "out"
    arguments = ["run", "--model", MODEL, "--engine", "onnxruntime", "--audio", short_speech]
    arguments += ["--sessions", 2, "--out", out, "--budget"]
    process = start(*arguments, 60)
    wait_for_records(out, process, 3)
    workers = workers_of(process.pid, "rtfbench.worker")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in stderr
    assert "Traceback" not in stderr
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    cells = read_json(out / "summary.json")["cells"]
    assert {cell["reason"] for cell in cells} == {"interrupted"}
    assert (out / "table.md").exists()

    refused = rtfbench(*arguments, 2)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    resumed = rtfbench(*arguments, 0.5, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    statuses = {cell["status"] for cell in read_json(out / "summary.json")["cells"]}
    assert statuses == {"ok"}
    lines = (out / "records.jsonl").read_text()
    rtfbench(*arguments, 0.5, "--resume")
    assert (out / "records.jsonl").read_text() == lines, "a finished cell is not measured again"


def test_content_decides_what_a_resumed_run_measures_again(
    rtfbench: Command, write_tiny_onnx: Callable[..., Path], short_speech: Path, tmp_path: Path
) -> None:
    """Other samples under the same name count as other recordings; what is kept must be asked."""
    out, audio = tmp_path / "run", tmp_path / "u1.flac"
    audio.write_bytes(short_speech.read_bytes())
    model, other = write_tiny_onnx(tmp_path / "a.onnx"), write_tiny_onnx(tmp_path / "b.onnx")
    arguments = [
        *("run", "--engine", "onnxruntime", "--audio", audio, "--protocol", "steady"),
        *("--budget", 0.1, "--sessions", 1, "--out", out, "--bare"),
    ]
    assert rtfbench(*arguments, "--model", model).returncode == 0
    environment, records = out / "environment.json", out / "records.jsonl"
    before = environment.read_text(), records.read_text()

    samples, rate = soundfile.read(short_speech, dtype="int16")
    soundfile.write(audio, samples[::-1], rate, format="FLAC")
    refused = rtfbench(*arguments, "--model", other, "--resume")
    assert refused.returncode == 2
    assert "other recordings" in refused.stderr.splitlines()[-1]
    assert (environment.read_text(), records.read_text()) == before, "it stays as it was"

    done = rtfbench(*arguments, "--model", model, "--resume")
    assert done.returncode == 0, done.stderr
    assert "measured again: other recordings" in done.stderr
    assert records.read_text().startswith(before[1])
    assert records.stat().st_size > len(before[1])
    assert read_json(environment)["audio_sha256"] != json.loads(before[0])["audio_sha256"]


def test_one_bad_recording_does_not_lose_the_good_ones(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """Unusable recordings are named with the cure; the others run; the status says 2."""
    soundfile.write(tmp_path / "stereo.wav", np.zeros((16000, 2)), 16000)
    soundfile.write(tmp_path / "short.wav", np.zeros(399), 16000)
    (tmp_path / "text.wav").write_text("no audio")
    (tmp_path / "speech.flac").write_bytes(short_speech.read_bytes())
    out = tmp_path / "out"
    done = rtfbench(
        *("run", "--model", model, "--engine", "onnxruntime", "--protocol", "steady"),
        *("--audio", tmp_path, "--budget", 0.1, "--sessions", 1, "--out", out, "--bare"),
    )
    assert done.returncode == 2
    summary = read_json(out / "summary.json")
    assert [cell["status"] for cell in summary["cells"]] == ["ok"]
    assert summary["environment"]["audio"] == ["speech"]
    for name, cure in {"stereo": "--channel", "short": "too short", "text": "convert it"}.items():
        (line,) = [each for each in done.stderr.splitlines() if f"{name}.wav" in each]
        assert cure in line


def test_a_list_with_a_missing_file_runs_on_the_others(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path
) -> None:
    """A missing file and a second recording of one name are told; the first ones are measured."""
    scp = tmp_path / "wav.scp"
    scp.write_text(f"u1 none.wav\nu2 {short_speech}\n")
    (tmp_path / "u2.flac").write_bytes(short_speech.read_bytes())
    out = tmp_path / "out"
    done = rtfbench(
        *("run", "--model", model, "--engine", "onnxruntime", "--protocol", "steady"),
        *("--audio", scp, "--audio", tmp_path / "u2.flac"),
        *("--budget", 0.1, "--sessions", 1, "--out", out),
    )
    assert done.returncode == 2
    assert "utterance u1: " in done.stderr
    assert "none.wav: does not exist" in done.stderr
    assert "another recording has this name" in done.stderr
    assert read_json(out / "summary.json")["environment"]["audio"] == ["u2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--model", "resnet43"], "resnet34"),
        (["run", "--engine", "onnx"], "onnxruntime"),
        (["run", "--engine", "mnn[precision=purple]"], "normal, low, high"),
        (["run", "--engine", "mnn[precision"], "name[key=value"),
        (["run", "--engine", "faulty-import"], "faulty_engines_that_do_not_exist"),
        (["run", "--chunk-samples", "0"], "-1 for the whole utterance"),
        (["run", "--chunk-samples", "100"], "too short for one frame"),
        (["run", "--threads", "0"], "greater than or equal to 1"),
        (["run", "--budget", "0"], "greater than 0"),
        (["run", "--audio", "no/such/file.wav"], "no/such/file.wav"),
        (["run", "no-such-plan.toml"], "no-such-plan.toml"),
        (["run", "--out", "/dev/null/out"], "cannot write"),
        (["run", "--host", "board", "--full"], "of a run on this host"),
        (["run", "--cluster", "local", "--bare"], "of a run on this host"),
        (["report", "no-such-run"], "rtfbench run --out"),
        (["run", "--protocol", "fast"], "published"),
    ],
)
def test_bad_input_is_one_line(
    rtfbench: Command, spawned: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """Bad input ends with status 2 and one line that names the cure."""
    # The plug-ins are installed where a process of its own is started, so one case runs there.
    command = spawned if "faulty-import" in arguments else rtfbench
    if arguments[0] == "run" and "--out" not in arguments:
        arguments = [*arguments, "--out", str(tmp_path / "out")]
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    if "Usage:" not in done.stderr:  # the option parser's own message has more lines
        assert len(done.stderr.splitlines()) == 1


def test_a_plan_file_is_a_sweep(rtfbench: Command, short_speech: Path, tmp_path: Path) -> None:
    """A TOML plan gives the sweep, and an option overrides it."""
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'models = ["{MODEL}"]\n'
        'engines = ["onnxruntime", "onnxruntime[graph_optimization=extended,spinning=off]"]\n'
        f'audio = ["{short_speech}"]\nbudget_s = 900\nsessions = 1\n'
    )
    out = tmp_path / "out"
    done = rtfbench("run", plan, "--protocol", "steady", "--budget", 0.1, "--out", out)
    assert done.returncode == 0, done.stderr
    cells = read_json(out / "summary.json")["cells"]
    assert [cell["effective"]["graph_optimization"] for cell in cells] == ["all", "extended"]
    assert "onnxruntime[graph_optimization=extended,spinning=off]" in done.stdout

    plan.write_text("modles = ['xvec']\n")
    refused = rtfbench("run", plan)
    assert refused.returncode == 2
    assert "modles" in refused.stderr
    assert "models" in refused.stderr


def test_a_reader_may_leave_early() -> None:
    """Closing standard output early, as `head` does, ends a command without a complaint.

    The status says that it did not print all, as that of any program does.
    """
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "rtfbench.commands", "cache", "list"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
