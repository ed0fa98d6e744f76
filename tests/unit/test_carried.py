"""What a host is sent of a comparison: the same plan, files by hash, this package."""

import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from rtfbench.base.cache import sha256_of
from rtfbench.base.errors import InputError
from rtfbench.base.ssh import RemoteHost
from rtfbench.commands.on_hosts import named
from rtfbench.engines.protocol import parse_engines
from rtfbench.measure.cluster.carried import archive, as_toml, carried, requirements
from rtfbench.measure.plan import Plan, load_plan
from tests.tiny_onnx import write_tiny

SWEPT = """
budget_s = 3
engines = ["onnxruntime[graph_optimization=off]", "openvino:int8"]
trials = "heldout"

[[sweep]]
models = ["resnet34"]
protocols = ["server"]
trace = "requests"
rates = [2, 0.5]

[[sweep]]
chunk_samples = [-1]
"""


def test_a_plan_means_the_same_once_it_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is read as the same plan there, from the folder that its files were put in."""
    monkeypatch.chdir(tmp_path)
    model = write_tiny(tmp_path / "mine.onnx")
    for name, text in {
        "plan.toml": SWEPT,
        "model.toml": "",
        "requests": "0\n1\n",
        "other/mine.onnx": "x",
        "speech/a \u00e9\u007f.wav": "a",
    }.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    flags = {"models": ["mine.onnx", "other/mine.onnx"], "audio": [tmp_path / "speech"]}
    plan = load_plan(Path("plan.toml"), flags)
    sent = carried(plan, tmp_path)
    assert set(sent.files) == {
        "plan.toml",
        "input/mine.onnx",
        "input/model.toml",
        "input/requests",
        "input/speech/a \u00e9\u007f.wav",
        "input-1/mine.onnx",
    }
    assert sent.sha256s[Path("mine.onnx")] == sha256_of(model)
    there = tmp_path / "there"
    for name, path in sent.files.items():
        (there / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).write_bytes(path.read_bytes())
    monkeypatch.chdir(there / "input")
    read = load_plan(Path("../plan.toml"), {})
    assert read.sweep[0].models == ("mine.onnx", "../input-1/mine.onnx")
    assert read.audio == (Path("speech"),)
    assert read.sweep[0].model_fields_set == plan.sweep[0].model_fields_set
    same = {"models", "audio", "sweep"}
    assert read.model_dump(exclude=same) == plan.model_dump(exclude=same)
    assert load_plan(Path("../plan.toml"), {"seed": 3}) != read
    monkeypatch.chdir(tmp_path)
    assert carried(plan, tmp_path).id == sent.id
    assert carried(plan.model_copy(update={"seed": 3}), tmp_path).id != sent.id
    with pytest.raises(InputError, match="cannot be read"):
        carried(Plan(audio=(Path("none.wav"),)), tmp_path)
    assert as_toml(Plan()) == "\n"


def test_the_archive_is_this_package(tmp_path: Path) -> None:
    """Unpacked, it is imported, and finds its version and its engines; its bytes are the same."""
    made = archive(tmp_path / "a.whl")
    assert sha256_of(made) == sha256_of(archive(tmp_path / "b.whl"))
    with zipfile.ZipFile(made) as file:
        file.extractall(tmp_path / "code")
    code = (
        "import rtfbench; from importlib.metadata import version as v; print(v('rtfbench'))\n"
        "from rtfbench.engines import registry; registry.get('onnxruntime')\n"
        "print(rtfbench.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"PYTHONPATH": str(tmp_path / "code")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        version("rtfbench"),
        str(tmp_path / "code/rtfbench/__init__.py"),
    ]


def test_pip_is_asked_for_what_a_plan_needs() -> None:
    """Engines' packages in this machine's versions; torch only where a model is made there."""

    def names(*engines: str, model: str = "mine.onnx", resample: bool = False) -> set[str]:
        plan = Plan(models=(model,), engines=parse_engines(*engines), resample=resample)
        return {each.partition("==")[0].lower() for each in requirements(plan)}

    base = names("null")
    assert {"numpy", "soundfile", "pydantic", "onnxruntime", "onnx"} <= base
    assert not {"torch", "mnn", "openvino", "pytest", "soxr"} & base
    assert names("mnn-mini") - base == {"mnn"}
    assert "nncf" in names("openvino:int8")
    assert "nncf" not in names("openvino")
    assert {"torch", "onnxscript"} <= names("null", model="resnet34")
    assert "soxr" in names("null", resample=True)
    assert all("+" not in each for each in requirements(Plan()))


def test_hosts_have_folders_of_their_own() -> None:
    """The host's name alone where no other has it; one that is none, or named twice, is refused."""
    assert named(["me@board", "pi5", "ssh://me@[::1]:22"]) == {
        "board": "me@board",
        "pi5": "pi5",
        "1-22": "ssh://me@[::1]:22",
    }
    assert list(named(["a@board", "b@board"])) == ["a-board", "b-board"]
    for hosts in (["board", "board"], [""], ["../"]):
        with pytest.raises(InputError, match="is named twice, or is no host"):
            named(hosts)
    for address in ("-oProxyCommand=x", "a b", ""):
        with pytest.raises(InputError, match="is no address"):
            RemoteHost(address, "python3", b"")
