"""Exports that other programs read."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from rtfbench.report import exports, markdown
from rtfbench.report.document import Table, document
from tests.unit.report.results import failed, measured, ratio, row, summary


def test_tidy_csv_has_a_line_a_measurement() -> None:
    """Every record is a line with its cell, its nanoseconds and its RTF."""
    text = exports.tidy_csv([measured(100, 200), measured(50, engine="other", status="failed")])
    lines = list(csv.DictReader(io.StringIO(text)))
    assert len(lines) == 6
    assert lines[2]["engine"] == "mnn"
    assert lines[2]["processing_ns"] == "200000000"
    assert float(lines[2]["rtf"]) == 0.2 / 5
    assert lines[2]["chunks"] == "3"
    assert {line["status"] for line in lines} == {"ok", "failed"}
    assert all(None not in line and None not in line.values() for line in lines)


def test_pytest_benchmark_reads_its_export(tmp_path: Path) -> None:
    """`pytest-benchmark compare` prints our passes: 0.2 and 0.4 s, in seconds a pass."""
    path = tmp_path / "0001_run.json"
    text = exports.pytest_benchmark(
        summary(row()), [measured(100, 200), measured(1, engine="bad", status="failed")]
    )
    path.write_text(text)
    (benchmark,) = json.loads(text)["benchmarks"]
    assert benchmark["stats"]["data"] == pytest.approx([0.2, 0.4])
    assert benchmark["stats"]["median"] == pytest.approx(0.3)
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "resnet34[mnn-dynamic-t1-32000-steady]" in done.stdout
    assert "200.0000" in done.stdout


def test_jobs_and_batches_have_names_of_their_own() -> None:
    """Two cells of one name would be one benchmark."""
    cells = [measured(100), measured(100)]
    shared = cells[1].cell.model_copy(update={"jobs": 2, "batch": 4, "protocol": "throughput"})
    cells[1].declaration = cells[1].declaration.model_copy(update={"cell": shared})
    found = json.loads(exports.pytest_benchmark(summary(row()), cells))["benchmarks"]
    assert [each["name"] for each in found] == [
        "resnet34[mnn-dynamic-t1-32000-steady]",
        "resnet34[mnn-dynamic-t1-32000-j2-b4-throughput]",
    ]
    lines = list(csv.DictReader(io.StringIO(exports.tidy_csv(cells))))
    assert {(line["jobs"], line["batch"]) for line in lines} == {("1", "1"), ("2", "4")}


def test_a_single_pass_can_be_exported() -> None:
    """One pass has no spread, which is no error."""
    stats = json.loads(exports.pytest_benchmark(summary(row()), [measured(100)]))["benchmarks"][0]
    assert stats["stats"]["stddev"] == 0
    assert stats["stats"]["rounds"] == 1


def test_a_pass_that_was_cut_short_is_left_out() -> None:
    """A pass over fewer utterances would look fast."""
    data = measured(100, 100)
    data.records.pop()
    stats = json.loads(exports.pytest_benchmark(summary(row()), [data]))["benchmarks"][0]["stats"]
    assert stats["data"] == pytest.approx([0.2])


def test_github_action_benchmark_entries() -> None:
    """Entries have name, unit, value and range; a row without RTF is no entry."""
    text = exports.github_action_benchmark(summary(row(), failed(engine="other")))
    (entry,) = json.loads(text)
    assert (entry["unit"], entry["value"], entry["range"]) == ("RTF", 0.02, "5.0 %")
    assert entry["name"] == "ResNet-34 / mnn dynamic / 1 thr / 32000 / steady"


def test_ratios_are_exported_with_their_intervals() -> None:
    """RTFs of CI's hosts jump from one to the next; what can be followed over time is a ratio."""
    result = summary(
        row(engine="onnxruntime", rtf=0.04), row(), failed(engine="other"), ratios=(ratio(),)
    )
    entries = json.loads(exports.github_action_benchmark(result))
    assert [entry["unit"] for entry in entries] == ["RTF", "RTF", "times as long"]
    assert entries[-1]["name"] == (
        "ResNet-34 / mnn dynamic / 1 thr / 32000 / steady × onnxruntime dynamic"
    )
    assert (entries[-1]["value"], entries[-1]["range"]) == (0.5, "2.0 %")
    metrics = json.loads(exports.bencher(result))
    assert metrics["ResNet-34 / mnn dynamic / 1 thr / 32000 / steady"] == {
        "rtf": {"value": 0.02, "lower_value": 0.019, "upper_value": 0.021},
        "ratio": {"value": 0.5, "lower_value": 0.49, "upper_value": 0.51},
    }
    assert len(metrics) == 2


def test_every_row_has_a_name_of_its_own() -> None:
    """Rows that differ in the number of jobs alone would otherwise be one benchmark."""
    rows = (row(protocol="throughput", jobs=1), row(protocol="throughput", jobs=2), row(batch=4))
    assert len(json.loads(exports.bencher(summary(*rows)))) == 3


def test_metrics_of_bencher_fit_its_schema() -> None:
    """What Bencher publishes of its format: measures with a value and two ends, all numbers."""
    schema = {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    name: {"type": "number"} for name in ("value", "lower_value", "upper_value")
                },
                "required": ["value"],
                "additionalProperties": False,
            },
        },
    }
    jsonschema = pytest.importorskip("jsonschema")
    result = summary(row(), row(engine="other", rtf_ci95=None), ratios=(ratio(ci95=None),))
    jsonschema.validate(json.loads(exports.bencher(result)), schema)


def test_names_start_no_formula() -> None:
    """A spreadsheet computes what begins with such a sign, and names of files may."""
    for name in ("=1+1", "@SUM(A1)", "-x", "+x"):
        assert exports._inert(name) == f"'{name}"
    for value in ("mnn", "a=b", -1.5, None):
        assert exports._inert(value) == value


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<img src=x>.onnx", "\\<img src=x>.onnx"),
        ("![a](http://x/y.png)", "![a]\\(http://x/y.png)"),
        ("@all.onnx", "@\u200ball.onnx"),
        ("mnn@3.6.0 < 0.05", "mnn@3.6.0 < 0.05"),
        ("`<b>` and <b>", "`<b>` and \\<b>"),
        ("`<b>", "'\\<b>"),
        ("onnxruntime[graph_optimization=all]", "onnxruntime[graph_optimization=all]"),
    ],
)
def test_names_are_no_markdown(name: str, shown: str) -> None:
    """Neither in sentences nor in cells: whoever opens a pull request chooses them."""
    made = document(name, Table(("model",), ((name,),), (False,)))
    drawn = markdown.draw(made).splitlines()
    assert drawn[0] == shown
    assert drawn[-1].strip("| ") == shown
