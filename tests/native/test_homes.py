"""Folders of MNN libraries, from options and environment into settings, and on to the rows."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.base.errors import InputError
from rtfbench.engines import registry
from rtfbench.engines.protocol import parse_engine
from rtfbench.measure.plan import expand, load_plan
from rtfbench.models import names
from rtfbench.models.resolve import place_libraries

from .conftest import KINDS, library_of

Standin = Callable[..., Path]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what the environment of the tests names."""
    for engine in KINDS:
        monkeypatch.delenv(library_of(engine).variable, raising=False)


def test_options_before_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option wins over its variable; each engine has its own."""
    monkeypatch.setenv("RTFBENCH_MNN_HOME", "/full")
    monkeypatch.setenv("RTFBENCH_MNN_MINI_HOME", "/mini")
    both = {"mnn": Path("/full"), "mnn-mini": Path("/mini")}
    assert names.homes_of(["mnn", "mnn-mini", "null", "nothing"]) == both
    found = names.homes_of(["mnn-mini"], {"mnn": None, "mnn-mini": Path("/other")})
    assert found == {"mnn-mini": Path("/other")}


def test_an_option_that_nothing_uses_is_refused() -> None:
    """A folder for an engine that does not run is a mistake, and the option is named."""
    with pytest.raises(InputError, match="--mnn-home is for the engine mnn"):
        names.homes_of(["mnn-mini", "onnxruntime"], {"mnn": Path("/full")})


@pytest.mark.parametrize(
    ("spec", "placed"),
    [
        ("onnxruntime[spinning=off]", "onnxruntime[spinning=off]"),
        ("mnn", "mnn[home=/full]"),
        ("mnn[precision=low]", "mnn[precision=low,home=/full]"),
        ("mnn[home=/own]", "mnn[home=/own]"),
        ("mnn[home=/own/../own/.]", "mnn[home=/own]"),
        ("mnn[home=wheel]", "mnn"),
        ("mnn[home=wheel,precision=low]", "mnn[precision=low]"),
        ("mnn-mini", "mnn-mini"),
    ],
)
def test_placing(spec: str, placed: str) -> None:
    """An engine without a folder of its own gets the default one, as a full path."""
    found = names.with_home(parse_engine(spec), {"mnn": Path("/full")})
    assert found == parse_engine(placed)


def test_paths_that_no_setting_can_hold() -> None:
    """A comma or bracket in a path is refused with the cure."""
    with pytest.raises(InputError, match="rename the folder"):
        names.with_home(parse_engine("mnn"), {"mnn": Path("/a,b")})


def test_every_sweep_of_a_plan(tmp_path: Path) -> None:
    """The engines of all sweeps are placed."""
    path = tmp_path / "plan.toml"
    path.write_text(
        'engines = ["mnn"]\n[[sweep]]\nengines = ["mnn", "null"]\n'
        '[[sweep]]\nengines = ["mnn[home=/b]"]\n'
    )
    cells = expand(load_plan(path, {"protocols": ("steady",)}), lambda _: "dynamic")
    placed = place_libraries(cells, {"mnn": Path("/a")})
    assert [cell.engine_label for cell in placed] == ["mnn[home=/a]", "null", "mnn[home=/b]"]


@pytest.mark.parametrize("command", ["run", "extract", "verify"])
def test_a_bad_folder_is_bad_input(
    rtfbench: Command, tmp_path: Path, short_speech: Path, command: str
) -> None:
    """Each command refuses it with status 2 and one line, before anything is made."""
    recordings = {
        "run": ("--audio", short_speech, "--out", tmp_path / "run"),
        "extract": ("--model", "resnet34", "--weights", "seeded", "--wav", short_speech),
        "verify": (
            "--model",
            "resnet34",
            "--weights",
            "seeded",
            "--enroll",
            short_speech,
            "--test",
            short_speech,
        ),
    }[command]
    for option, engine in (("--mnn-home", "mnn"), ("--mnn-mini-home", "mnn-mini")):
        done = rtfbench(command, *recordings, "--engine", engine, option, tmp_path)
        assert done.returncode == 2
        assert done.stderr == (
            f"rtfbench: {tmp_path}: no MNN headers; copy the folder include/ of the same MNN's "
            "sources there (include/MNN/Interpreter.hpp)\n"
        )
    assert not (tmp_path / "run").exists()


def test_engines_lists_the_library_of_the_environment(
    rtfbench: Command, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rtfbench engines` shows the version of the library that would run, or what is wrong."""
    monkeypatch.setenv("RTFBENCH_MNN_HOME", str(standin()))
    monkeypatch.setenv("RTFBENCH_MNN_MINI_HOME", "/nowhere")
    monkeypatch.setattr(registry, "names", lambda: tuple(KINDS))  # each takes a process
    lines = rtfbench("engines").stdout.splitlines()
    (full,) = (line for line in lines if line.strip().startswith("mnn "))
    assert "99.1.2" in full
    (mini,) = (line for line in lines if line.startswith("mnn-mini: "))
    assert "no such folder" in mini


def test_a_row_of_a_library_that_computes_something_else(
    rtfbench: Command,
    standin: Standin,
    write_tiny_onnx: Callable[..., Path],
    short_speech: Path,
    tmp_path: Path,
) -> None:
    """A library's row is named as published; the parity check holds for it as for all.

    The stand-in sums where the model does something else.
    """
    pytest.importorskip("MNN")
    model = write_tiny_onnx(tmp_path / "tiny.onnx", num_frames=50)
    home, out = standin(minimal=True), tmp_path / "run"
    done = rtfbench(
        *("run", "--model", model, "--engine", "mnn-mini", "--mnn-mini-home", home),
        *("--audio", short_speech, "--protocol", "steady", "--budget", 0.1, "--sessions", 1),
        *("--out", out),
    )
    assert done.returncode == 1, done.stderr
    assert "| mnn mini_libs | wrong output |" in done.stdout
    assert "¹" not in done.stdout
    (cell,) = json.loads((out / "summary.json").read_text())["cells"]
    assert cell["settings"] == {"home": str(home)}
    assert cell["note"] == ""
