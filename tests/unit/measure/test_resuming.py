"""What a resumed run keeps, and what it measures again."""

from pathlib import Path

import pytest

from rtfbench.base.errors import InputError
from rtfbench.engines.protocol import Availability, EngineSpec
from rtfbench.measure.resuming import Kept, stored_environment, take_up
from rtfbench.results.cells import Cell, Status
from rtfbench.results.host import Environment
from rtfbench.results.lines import Declaration, Outcome
from rtfbench.results.store import ENVIRONMENT as ENVIRONMENT_FILE
from rtfbench.results.store import RunFolder
from tests.unit.test_store import CELL, ENVIRONMENT, record

THEN = ENVIRONMENT.model_copy(
    update={
        "rtfbench": "1.0",
        "cpu": "a CPU",
        "python": "3.12.1",
        "packages": {"numpy": "2.0", "onnxruntime": "1.20"},
        "audio": ("u1",),
        "audio_s": 3.0,
        "audio_sha256": "ab",
    }
)


def cell(engine: str, model: str = "xvec") -> Cell:
    """Return a cell of an engine."""
    return CELL.model_copy(update={"engine": engine, "model": model})


def end(folder: RunFolder, found: Cell, version: str, status: Status = "ok") -> None:
    """Store a cell that was measured with a version of its engine."""
    name = f"{found.model} {found.engine}"
    folder.append(Declaration(cell_id=name, cell=found, title="XVEC"))
    folder.append(Outcome(cell_id=name, status=status, version=version))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Return a finished run: two engines on one model, and one of them on another."""
    found = RunFolder.create(tmp_path / "run", overwrite=False, resume=False)
    found.write(ENVIRONMENT_FILE, THEN.model_dump_json())
    end(found, cell("onnxruntime"), "1.20")
    end(found, cell("mnn"), "3.0")
    end(found, cell("mnn", "resnet34"), "3.0")
    return found


def take(folder: RunFolder, now: Environment = THEN, **versions: str) -> Kept:
    """Take a folder up, with these versions of engines; without any they are those of then."""
    installed = {"onnxruntime": "1.20", "mnn": "3.0", **versions}

    def probe(spec: EngineSpec) -> Availability:
        return Availability(spec.name in installed, version=installed.get(spec.name, ""))

    return take_up(folder, stored_environment(folder), now, probe)


def test_nothing_changed(folder: RunFolder) -> None:
    """What is finished counts on."""
    kept = take(folder)
    assert kept.finished == {"xvec onnxruntime", "xvec mnn", "resnet34 mnn"}
    assert (kept.stale, kept.reasons) == (frozenset(), ())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rtfbench": "1.1"}, "rtfbench 1.1, and 1.0 then"),
        ({"python": "3.13.0"}, "Python 3.13.0, and 3.12.1 then"),
        ({"packages": {"numpy": "2.1", "onnxruntime": "1.20"}}, "numpy 2.1, and 2.0 then"),
        ({"audio_sha256": "cd"}, "other recordings"),
        ({"scored_sha256": "cd"}, "other recordings"),
        ({"audio": ("u2",)}, "other recordings"),
    ],
)
def test_what_all_cells_depend_on(
    folder: RunFolder, change: dict[str, object], reason: str
) -> None:
    """Another harness or other recordings: nothing of before is put beside what comes."""
    kept = take(folder, THEN.model_copy(update=change))
    assert kept.finished == frozenset()
    assert kept.stale == {"xvec onnxruntime", "xvec mnn", "resnet34 mnn"}
    assert kept.reasons == (reason,)


def test_a_new_version_costs_the_comparisons_that_it_is_in(folder: RunFolder) -> None:
    """Its neighbours there are measured again too: only what took turns can be compared."""
    kept = take(folder, onnxruntime="1.21")
    assert kept.finished == {"resnet34 mnn"}
    assert kept.stale == {"xvec onnxruntime", "xvec mnn"}
    assert kept.reasons == ("onnxruntime: 1.21, and 1.20 then",)


def test_an_engine_that_refused_may_have_learnt(folder: RunFolder) -> None:
    """Nothing was stored of its version, so any other package may be the one that it lacked."""
    end(folder, cell("openvino", "ecapa512"), "", "unsupported")
    assert "ecapa512 openvino" in take(folder).finished
    packages = {**THEN.packages, "openvino": "2026.1"}
    kept = take(folder, THEN.model_copy(update={"packages": packages}))
    assert kept.stale == {"ecapa512 openvino"}


def test_what_is_not_installed_keeps_no_comparison_open(folder: RunFolder) -> None:
    """It would not be measured now either; once it is there, all take turns anew."""
    end(folder, cell("openvino"), "", "unavailable")
    assert take(folder).finished >= {"xvec onnxruntime", "xvec mnn", "xvec openvino"}
    assert take(folder, openvino="2026.1").finished == {"resnet34 mnn"}


def test_an_engine_is_asked_by_the_cell_that_knows_its_version(folder: RunFolder) -> None:
    """A cell that gave something else, before its version was known, does not hide the others."""
    end(folder, cell("mnn", "campplus"), "", "wrong_output")
    assert take(folder, mnn="3.1").stale >= {"resnet34 mnn", "campplus mnn"}


def test_what_is_timed_counts_though_its_comparison_has_not_ended(tmp_path: Path) -> None:
    """Beside an engine that failed, another's times are of that host and harness all the same."""
    folder = RunFolder.create(tmp_path / "run", overwrite=False, resume=False)
    folder.write(ENVIRONMENT_FILE, THEN.model_dump_json())
    end(folder, cell("onnxruntime"), "1.20")
    folder.append(record(0, 5).model_copy(update={"cell_id": "xvec onnxruntime"}))
    end(folder, cell("mnn"), "3.0", "failed")
    with pytest.raises(InputError, match="another host"):
        take(folder, THEN.model_copy(update={"cpu": "another CPU"}))
    kept = take(folder, THEN.model_copy(update={"rtfbench": "1.1"}))
    assert kept.stale == {"xvec onnxruntime"}
    assert take(folder) == Kept()


def test_an_unreadable_environment_tells_nothing(folder: RunFolder) -> None:
    """Then all is measured again."""
    folder.write(ENVIRONMENT_FILE, "{")
    kept = take(folder)
    assert kept.finished == frozenset()
    assert "environment.json cannot be read" in kept.reasons[0]


@pytest.mark.parametrize("change", [{"cpu": "another CPU"}, {"usable_cores": 1}])
def test_another_host_is_refused(folder: RunFolder, change: dict[str, object]) -> None:
    """Times of two hosts are never put together."""
    with pytest.raises(InputError, match=r"another host.*choose another --out"):
        take(folder, THEN.model_copy(update=change))
