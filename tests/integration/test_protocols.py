"""Protocols as values: one from outside is measured as the others are, an unknown one refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rtfbench import load_run
from rtfbench.base.values import UnknownNameError
from rtfbench.results import protocols
from rtfbench.results.protocols import BUILT_IN
from rtfbench.results.store import RunFolder
from tests.unit.measure.test_wire import SPEC

from .extraction import Command

OTHER = "onnxruntime[graph_optimization=off]"


@pytest.fixture(scope="module")
def paced(
    rtfbench: Command,
    model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Measure under a protocol that no module of ours knows, beside the steady one."""
    folder = tmp_path_factory.mktemp("paced")
    out = folder / "run"
    done = rtfbench(
        *("run", "--model", model, "--engine", "onnxruntime", "--engine", OTHER),
        *("--protocol", "paced", "--protocol", "steady"),
        *("--budget", 0.5, "--sessions", 1, "--out", out),
    )
    assert done.returncode == 0, done.stderr
    return out


def test_a_protocol_from_outside_is_measured(paced: Path) -> None:
    """Its procedure runs in the workers, its records become rows, and ratios of its pairs."""
    summary = load_run(paced).summary
    rows = [row for row in summary.cells if row.protocol == "paced"]
    assert [(row.engine_label, row.status) for row in rows] == [
        ("onnxruntime", "ok"),
        (OTHER, "ok"),
    ]
    assert all(row.rtf and row.parity and row.parity.ok for row in rows)
    assert [ratio.engine for ratio in summary.ratios if ratio.protocol == "paced"] == [OTHER]
    records = [each for data in RunFolder(paced).originals().values() for each in data.records]
    waits_ms = {ns / 1e6 for each in records for ns in each.own.get("waiting_ns", ())}
    assert {row.figure("longest_wait_ms") for row in rows} <= waits_ms
    assert any(not each.own for each in records), "the steady protocol has no figure of its own"


def test_what_only_a_protocol_tells_is_shown(paced: Path) -> None:
    """Its title, columns and findings are in the report, and its figures in the data frame."""
    table = (paced / "table.md").read_text()
    assert "Paced protocol: an utterance every 5 ms, timed from its arrival" in table
    assert table.count("| longest wait ms |") == 1, "the tables of other protocols lack it"
    assert "On onnxruntime one waited" in table
    frame = load_run(paced).to_dataframe("pandas")
    assert (frame.set_index("protocol").longest_wait_ms.notna()).to_dict() == {
        "paced": True,
        "steady": False,
    }


def test_an_unknown_protocol_is_refused_in_one_line(rtfbench: Command, tmp_path: Path) -> None:
    """On the command line and in a plan, with the names that are known and status 2."""
    plan = tmp_path / "plan.toml"
    plan.write_text('protocols = ["fast"]\n')
    for arguments in (("--protocol", "fast"), (plan,)):
        done = rtfbench("run", *arguments, "--out", tmp_path / "run")
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.splitlines()
        assert f"no protocol 'fast'; known: {', '.join(BUILT_IN)}" in line
    done = rtfbench("explain", "--protocol", "throughput")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "--protocol throughput: has no chunk to explain; choose published or steady" in line


def test_a_worker_refuses_an_unknown_protocol(tmp_path: Path) -> None:
    """A specification that names one ends in one line, and nothing is timed as another."""
    content = SPEC.model_dump(mode="json")
    content["cell"]["protocol"] = "fast"
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(content))
    done = subprocess.run(
        [sys.executable, "-m", "rtfbench.worker", str(spec)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{spec}: cell.protocol: no protocol 'fast'")


def test_a_plug_in_that_brings_no_protocol_is_refused() -> None:
    """What an entry point names has to be a protocol, and to have its name."""
    with pytest.raises(UnknownNameError, match="paced_protocol:NOTHING is no protocol"):
        protocols.named("broken")


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_specification_loads_no_statistics(name: str) -> None:
    """What a worker loads counts in its cell's memory: no protocol adds scipy to it."""
    spec = SPEC.model_copy(update={"cell": SPEC.cell.model_copy(update={"protocol": name})})
    code = (
        "import sys\n"
        "import rtfbench.measure.serve as serve\n"
        "serve.WorkerSpec.model_validate_json(sys.argv[1])\n"
        "print('scipy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, spec.model_dump_json()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
