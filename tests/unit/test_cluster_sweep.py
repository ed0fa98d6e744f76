"""What hosts are given to measure, and what comes back from them."""

import base64
from pathlib import Path

import pytest

from rtfbench.base.cache import sha256_of
from rtfbench.base.errors import InputError
from rtfbench.engines.protocol import parse_engines
from rtfbench.measure.cluster.measuring import HostTask, SentFolder
from rtfbench.measure.cluster.sweep import comparison
from rtfbench.measure.plan import Axes, Plan
from rtfbench.models.facts import Facts, facts_of
from rtfbench.results.store import RunFolder


def test_hosts_get_a_plan_that_means_the_same_in_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are absolute, and go with their content's hash; names of the package stay names."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine.onnx", "model.toml", "fed.toml", "audio/a.wav"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(name)
    asked = comparison(
        Plan(
            sweep=(Axes(models=("resnet34", "mine.onnx"), engines=parse_engines("null")),),
            engines=parse_engines("null"),
            audio=(Path("audio"),),
            trials=Path("heldout"),
            front_end="fed.toml",
        ),
        {"mnn": Path("library"), "mnn-mini": None},
    )
    assert asked.plan.sweep[0].models == ("resnet34", str(tmp_path / "mine.onnx"))
    assert asked.plan.audio == (tmp_path / "audio",)
    assert asked.plan.trials == Path("heldout")
    assert asked.libraries == {"mnn": tmp_path / "library"}
    assert asked.plan.front_end == str(tmp_path / "fed.toml")
    names = ("mine.onnx", "model.toml", "fed.toml", "audio/a.wav")
    paths = [tmp_path / name for name in names]
    assert asked.files == {str(path): sha256_of(path) for path in paths}
    preset = comparison(Plan(engines=parse_engines("null"), front_end="nemo"), {})
    assert (preset.plan.front_end, preset.files) == ("nemo", {})
    with pytest.raises(InputError, match="cannot be read"):
        comparison(Plan(engines=parse_engines("null"), audio=(Path("none.wav"),)), {})


def test_a_host_measures_the_sizes_that_the_client_would() -> None:
    """Where no size of chunks is named, a plan of windows takes theirs, there as well."""
    engines = parse_engines("null")
    plan = Plan(
        engines=engines, protocols=("streams",), streams=(4,), window_s=1.5, latency_ms=300.0
    )
    asked = comparison(plan, {})
    sent = HostTask.model_validate(asked.model_dump(mode="json"))
    assert sent.plan.sizes == plan.sizes == (24000,)
    assert HostTask.model_validate_json(sent.model_dump_json()) == asked


def test_a_run_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    """Every file has its content again; one that would lead out of the folder is refused."""
    content = {"records.jsonl": b"{}", "embeddings/a.npz": bytes(range(256))}
    packed = {name: base64.b64encode(each).decode() for name, each in content.items()}
    folder = RunFolder.create(tmp_path / "run", overwrite=False, resume=False)
    SentFolder(files=packed).store(folder)
    for name, each in content.items():
        assert (folder.path / name).read_bytes() == each
    for name in ("../out", "/tmp/out", "a/../../out"):
        with pytest.raises(InputError, match="does not belong here"):
            SentFolder(files={name: packed["records.jsonl"]}).store(folder)


def test_differences_come_with_their_cure() -> None:
    """Of another version, another library and other code, each line says what to do."""
    here = facts_of(*parse_engines("onnxruntime", "null"))
    assert here.differences(here) == []
    older = here.model_copy(update={"packages": here.packages | {"onnxruntime": ""}})
    (line,) = older.differences(here)
    assert line.startswith("onnxruntime is not installed, not ")
    assert line.endswith(f"pip install onnxruntime=={here.packages['onnxruntime']}")
    other = here.model_copy(update={"libraries": {"null": "0"}})
    assert other.differences(here) == ["null is 0, not 1; put the same library there"]
    edited = Facts(packages=here.packages, libraries=here.libraries, source="other")
    (line,) = edited.differences(here)
    assert "install the same revision there" in line
