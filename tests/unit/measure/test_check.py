"""A stored run is verified as it was made, and not with anything in it changed."""

import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rtfbench.base.errors import InputError
from rtfbench.base.packages import ROOT
from rtfbench.engines.protocol import ModelArtifact, parse_engines
from rtfbench.measure.check import check, runs_in
from rtfbench.measure.plan import Plan
from rtfbench.measure.whole_run import read_summary, to_json
from rtfbench.report import markdown
from rtfbench.report.run_document import of_run
from rtfbench.results.lines import Declaration
from rtfbench.results.plausible import faults
from rtfbench.results.store import CellData, RunFolder

from .scripted import Fault, Script, ScriptedMachine
from .test_interruption import HOST

STORED = ROOT / "reports" / "zen4-avx2" / "resnet34"
Lines = list[dict[str, Any]]
Change = Callable[[random.Random, Lines, Path], Lines]


def derived(folder: Path) -> None:
    """Write what a run writes at its end."""
    summary = read_summary(RunFolder(folder))
    (folder / "summary.json").write_text(to_json(summary))
    (folder / "table.md").write_text(markdown.draw(of_run(summary)))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of another host, with all that is derived from its records."""
    folder = tmp_path_factory.mktemp("honest")
    for name in ("records.jsonl", "environment.json"):
        shutil.copy(STORED / name, folder / name)
    derived(folder)
    return folder


def of_kind(rng: random.Random, lines: Lines, kind: str) -> dict[str, Any]:
    """Return a random line of a kind."""
    return rng.choice([line for line in lines if line["kind"] == kind])


def a_time(rng: random.Random, lines: Lines, _: Path) -> Lines:
    """Change one time of one record by a hundredth to a half."""
    record = of_kind(rng, lines, "record")
    name = rng.choice([n for n, v in record.items() if n.endswith("_ns") and isinstance(v, int)])
    record[name] = int(record[name] * (1 + rng.uniform(0.01, 0.5))) + 1
    return lines


def a_dropped_session(rng: random.Random, lines: Lines, _: Path) -> Lines:
    """Leave out one session of all."""
    session = rng.choice(sorted({line["session"] for line in lines if "session" in line}))
    return [line for line in lines if line.get("session") != session]


def a_dropped_record(rng: random.Random, lines: Lines, _: Path) -> Lines:
    """Leave out one record."""
    lines.remove(of_kind(rng, lines, "record"))
    return lines


def a_doubled_line(rng: random.Random, lines: Lines, _: Path) -> Lines:
    """Say one line twice."""
    index = rng.randrange(len(lines))
    return [*lines[: index + 1], *lines[index:]]


def a_swapped_engine(rng: random.Random, lines: Lines, _: Path) -> Lines:
    """Give a cell's records to another engine."""
    of_kind(rng, lines, "declaration")["cell"]["engine"] = "other"
    return lines


def an_edited_version(rng: random.Random, lines: Lines, _: Path) -> Lines:
    """Tell another version of a runtime."""
    ended = [line for line in lines if line["kind"] == "outcome" and line["version"]]
    rng.choice(ended)["version"] = "9.9"
    return lines


def another_order(rng: random.Random, lines: Lines, _: Path) -> Lines:
    """Let two records change places."""
    one, other = (
        rng.choice([n for n, line in enumerate(lines) if line["kind"] == "record"])
        for _ in range(2)
    )
    if lines[one]["session"] == lines[other]["session"]:
        return a_dropped_record(rng, lines, Path())
    lines[one], lines[other] = lines[other], lines[one]
    return lines


def another_hosts_line(rng: random.Random, lines: Lines, _: Path) -> Lines:
    """Put a record of a slower machine in the place of one."""
    record = of_kind(rng, lines, "record")
    for name, value in record.items():
        if name.endswith("_ns") and "audio" not in name and value is not None:
            whole = isinstance(value, list)
            record[name] = [3 * each for each in value] if whole else 3 * value
    return lines


#: Changes of records after which everything is derived again, as a careful forger would.
IN_RECORDS: tuple[Change, ...] = (
    *(a_time, a_dropped_session, a_dropped_record, a_doubled_line, a_swapped_engine),
    *(an_edited_version, another_order, another_hosts_line),
)
#: Those of them that leave a mark in the records themselves.
IMPLAUSIBLE = {a_dropped_record, a_doubled_line, a_swapped_engine, an_edited_version, another_order}


@pytest.mark.parametrize("change", IN_RECORDS)
def test_a_changed_record_is_found(honest: Path, tmp_path: Path, change: Change) -> None:
    """Whatever is edited in the records, the result that they had says otherwise."""
    for seed in range(4):
        rng = random.Random(f"{change.__name__} {seed}")
        folder = tmp_path / str(seed)
        shutil.copytree(honest, folder)
        path = folder / "records.jsonl"
        before = path.read_text()
        lines = change(rng, [json.loads(line) for line in before.splitlines()], folder)
        path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
        assert path.read_text() != before
        assert check(folder).answer == "differs"
        if change in IMPLAUSIBLE:
            derived(folder)
            assert check(folder).answer == "differs", "with all of it derived again"


@pytest.mark.parametrize("name", ["processing_ns", "audio_ns", "padded_audio_ns"])
def test_a_time_that_cannot_be_is_a_damaged_line(honest: Path, tmp_path: Path, name: str) -> None:
    """Nothing takes no time, and no recording is empty: a line that says so is named."""
    shutil.copytree(honest, tmp_path / "run")
    path = tmp_path / "run" / "records.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    first = next(index for index, line in enumerate(lines) if name in line)
    lines[first][name] = 0
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (found,) = check(tmp_path / "run").differences
    assert found.startswith(f"records.jsonl:{first + 1}: damaged line")


def test_a_changed_result_is_found(honest: Path, tmp_path: Path) -> None:
    """A number of `summary.json` and a line of `table.md` are those of the records, or told."""
    rng = random.Random(1)
    for seed in range(8):
        folder = tmp_path / str(seed)
        shutil.copytree(honest, folder)
        summary = json.loads((folder / "summary.json").read_text())
        row = rng.choice(summary["ratios"] + [row for row in summary["cells"] if row["rtf"]])
        name = rng.choice([n for n, value in row.items() if isinstance(value, float) and value])
        row[name] *= 1 + rng.choice((-1, 1)) * rng.uniform(1e-6, 0.1)
        (folder / "summary.json").write_text(json.dumps(summary))
        (found,) = check(folder).differences
        assert f"{name} is " in found
    (folder := tmp_path / "table").mkdir()
    shutil.copytree(honest, folder, dirs_exist_ok=True)
    text = (folder / "table.md").read_text()
    (folder / "table.md").write_text(text.replace("1.", "2.", 1))
    assert check(folder).differences[0].startswith("table.md:")
    (folder / "table.md").write_text("")
    assert len(check(folder).differences) == 4, "three places, and how many more there are"
    (folder / "summary.json").write_text("[1]")
    assert check(folder).differences[0].startswith("summary.json: damaged")


def test_an_edited_environment_is_found(honest: Path, tmp_path: Path) -> None:
    """Another host, clock or version in `environment.json` is not that of the result."""
    for number, edit in enumerate(({"cpu": "Other"}, {"packages": {"MNN": "9"}}, {"audio_s": 1.0})):
        folder = tmp_path / str(number)
        shutil.copytree(honest, folder)
        told = json.loads((folder / "environment.json").read_text()) | edit
        (folder / "environment.json").write_text(json.dumps(told))
        assert check(folder).answer == "differs"


def test_another_version_derives_otherwise(honest: Path, tmp_path: Path) -> None:
    """What another version of rtfbench wrote cannot be told by this one, but for its records."""
    folder = tmp_path / "run"
    shutil.copytree(honest, folder)
    told = json.loads((folder / "environment.json").read_text()) | {"rtfbench": "0.0.1"}
    (folder / "environment.json").write_text(json.dumps(told))
    derived(folder)
    assert check(folder).answer == "verified", "as long as it derives the same"
    (folder / "table.md").write_text("other words\n")
    found = check(folder)
    assert found.answer == "cannot be told"
    assert "made by rtfbench 0.0.1" in found.untold[0]
    lines = (folder / "records.jsonl").read_text().splitlines()
    record = next(index for index, line in enumerate(lines) if '"record"' in line)
    (folder / "records.jsonl").write_text("\n".join([*lines, lines[record]]) + "\n")
    assert check(folder).answer == "differs"


def test_what_a_model_is_fed_is_in_the_name_of_its_cell(honest: Path, tmp_path: Path) -> None:
    """A cell of a model with a front end of its own has the name that it was declared by."""
    stored = next(iter(RunFolder(honest).cells().values()))
    environment = RunFolder(honest).environment()
    artifact = ModelArtifact(
        name="mine", path=tmp_path / "mine.onnx", format="onnx", form="dynamic",
        num_frames=None, feat_dim=80, embedding_dim=256, sha256="a" * 64, front_end="{}",
    )  # fmt: skip
    artifact.path.write_bytes(b"a model")
    declared = Declaration.of(stored.cell, "mine", artifact)
    told = list(faults(environment, [declared], {declared.cell_id: CellData(declared)}, {}))
    assert told == []
    (wrong,) = faults(environment, [], {"a": CellData(stored.declaration.model_copy(
        update={"front_end": "{}"}))}, {})  # fmt: skip
    assert "its name is not that" in wrong


def test_what_is_missing_is_not_verified(honest: Path, tmp_path: Path) -> None:
    """Without a result to compare nothing can be told; a folder without a run is refused."""
    folder = tmp_path / "run"
    shutil.copytree(honest, folder)
    assert check(folder).answer == "verified"
    (folder / "summary.json").unlink()
    found = check(folder)
    assert found.answer == "cannot be told"
    assert found.untold == ("summary.json is not there",)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no records\.jsonl"):
        runs_in(tmp_path / "empty")


ENVIRONMENT = HOST.model_copy(update={"audio": ("only",), "audio_s": 20.0})
PLAN = Plan(
    models=("small", "large"), engines=parse_engines("one", "two"),
    protocols=("steady", "published"), sessions=3, half_width=0.01, budget_s=300,
)  # fmt: skip


FAULTS = (None, Fault("dies", "measuring", 1), Fault("is silent", "measuring", 2, 1), None)


@pytest.mark.parametrize("fault", FAULTS)
def test_honest_runs_raise_no_alarm(tmp_path: Path, fault: Fault | None) -> None:
    """Runs of any luck are verified: whole, with engines that die, interrupted and resumed ones."""
    for seed in range(3):
        folder = tmp_path / str(seed)
        scripts = {"one": Script(luck=0.02, noise=0.05), "two": Script(luck=0.02, fault=fault)}
        machine = ScriptedMachine(scripts, seed=seed, interrupt_at=40 + seed if seed else None)
        with suppress(KeyboardInterrupt):
            machine.measure(PLAN, folder)
        RunFolder(folder).write("environment.json", to_json(ENVIRONMENT))
        if seed == 2:
            ScriptedMachine(scripts, seed=seed).measure(PLAN, folder, resume=True)
        derived(folder)
        assert check(folder).differences == ()
