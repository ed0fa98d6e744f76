"""`report`, `plot` and `replay` from the command line, on a real run."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]

CLAIM = """
title = "XVEC"
source = "this test"
protocol = "steady"
[[row]]
label = "first"
model = "xvec"
engine = "onnxruntime"
rtf = 0.01
params = "4.61 M"
flops = "0.53 G"
[[row]]
label = "second"
model = "xvec"
engine = "mnn"
rtf = 10.0
[[ratio]]
row = "second"
against = "first"
"""


def test_a_run_leaves_page_and_pictures(swept: Path) -> None:
    """The run folder has the page and each picture as SVG and PNG."""
    assert (swept / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    names = {path.name for path in (swept / "plots").iterdir()}
    for name in ("rtf-by-chunk-size-xvec-t1", "rtf-by-model-t1", "where-the-time-goes"):
        assert {f"{name}.svg", f"{name}.png"} <= names


def test_plot_draws_elsewhere(rtfbench: Command, swept: Path, tmp_path: Path) -> None:
    """`plot --out` writes the same pictures to another folder and names them."""
    done = rtfbench("plot", swept, "--out", tmp_path / "pictures")
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert Path(line).read_bytes() == (swept / "plots" / Path(line).name).read_bytes()


def test_figures_of_the_export_are_those_of_the_records(rtfbench: Command, swept: Path) -> None:
    """The CSV has every record of the cells asked for, its RTFs recomputed from records.jsonl."""
    text = rtfbench("report", swept, "--format", "csv").stdout
    lines = list(csv.DictReader(io.StringIO(text)))
    stored = [json.loads(line) for line in (swept / "records.jsonl").read_text().splitlines()]
    replicas = {
        line["cell_id"]
        for line in stored
        if line["kind"] == "declaration" and line["cell"]["replica"]
    }
    records = [
        line for line in stored if line["kind"] == "record" and line["cell_id"] not in replicas
    ]
    assert replicas
    assert len(lines) == len(records)
    expected = sorted(each["processing_ns"] / each["audio_ns"] for each in records)
    assert sorted(float(line["rtf"]) for line in lines) == expected


def test_every_format_prints(rtfbench: Command, swept: Path) -> None:
    """Each format goes to standard output and nothing else does."""
    for name in ("json", "pytest-benchmark", "github-action-benchmark"):
        done = rtfbench("report", swept, "--format", name)
        assert json.loads(done.stdout)
        assert not done.stderr
    page = rtfbench("report", swept, "--format", "html").stdout
    assert page == (swept / "report.html").read_text(encoding="utf-8")
    assert rtfbench("report", swept, "--format", "markdown").stdout.startswith("- **XVEC: ")


def test_the_step_summary_is_appended_to(
    rtfbench: Command, swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--github-summary` adds the markdown after what is there; without the file it says so."""
    path = tmp_path / "summary.md"
    path.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    assert rtfbench("report", swept, "--github-summary").returncode == 0
    table = (swept / "table.md").read_text(encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "before\n" + table
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    refused = rtfbench("report", swept, "--github-summary")
    assert refused.returncode == 2
    assert "GITHUB_STEP_SUMMARY is not set" in refused.stderr


def test_without_extras_a_run_says_what_is_missing(swept: Path) -> None:
    """Where matplotlib and jinja2 are absent, the reports that need neither still work."""
    code = (
        "import sys, importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda n, *a: None if n in ('matplotlib', 'jinja2') else found(n, *a)\n"
        "sys.modules['matplotlib'] = sys.modules['jinja2'] = None\n"
        "from rtfbench.commands import main\nmain()"
    )

    def without(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True, text=True, check=False, env=dict(os.environ),
        )  # fmt: skip

    assert without("report", swept).returncode == 0
    for arguments, extra in (
        (("plot", swept), "rtfbench[plot]"),
        (("report", swept, "--format", "html"), "rtfbench[report]"),
    ):
        refused = without(*arguments)
        assert refused.returncode == 2
        assert extra in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_replay_ends_with_a_verdict(rtfbench: Command, short_speech: Path, tmp_path: Path) -> None:
    """A claim of our own is measured; one that is off by far is not reproduced, counts agree."""
    path = tmp_path / "claim.toml"
    path.write_text(CLAIM, encoding="utf-8")
    out = tmp_path / "out"
    done = rtfbench("replay", path, "--audio", short_speech, "--budget", 0.5, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (out / "replay.md").read_text(encoding="utf-8")
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("| second / first")]
    assert "1000×" in line
    assert "not reproduced" in line
    assert done.stdout.endswith(
        "Verdict: of 1 ratios 1 not reproduced; 2 of 2 counts agree digit by digit.\n"
    )
    assert (out / "records.jsonl").is_file()


def test_replay_lists_the_claims(rtfbench: Command) -> None:
    """Without a name, the claims of the package are listed."""
    done = rtfbench("replay")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "wespeaker-mnn",
        "wespeaker-onnxruntime",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plot", "no-such-run"], "rtfbench run --out"),
        (["replay", "wespeaker-nnm"], "did you mean wespeaker-mnn"),
        (["replay", "absent.toml"], "cannot read the claim"),
        (["replay", "wespeaker-mnn", "--budget", "0"], "greater than 0"),
        (["replay", "wespeaker-mnn", "--audio", "no/such.wav"], "no/such.wav"),
    ],
)
def test_bad_input_is_one_line(rtfbench: Command, arguments: list[str], message: str) -> None:
    """Bad input ends with status 2 and one line that names the cure."""
    done = rtfbench(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_claim_of_an_unknown_model_is_refused(rtfbench: Command, tmp_path: Path) -> None:
    """A claim's names are checked before anything is made."""
    path = tmp_path / "claim.toml"
    for wrong, right, message in (
        ('"mnn"', '"mnm"', "no engine 'mnm'"),
        ('"xvec"', '"xvac"', "did you mean xvec"),
    ):
        path.write_text(CLAIM.replace(wrong, right), encoding="utf-8")
        done = rtfbench("replay", path, "--out", tmp_path / "out")
        assert done.returncode == 2
        assert message in done.stderr
        assert not (tmp_path / "out").exists()
