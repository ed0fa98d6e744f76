"""The shim and its session, on a stand-in that does what the name of a model says."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import in_a_process

Standin = Callable[..., Path]
WriteModel = Callable[..., Path]

RUN = """
import sys
from pathlib import Path

import numpy as np

from rtfbench.engines import registry
from rtfbench.engines.protocol import EngineError, ModelArtifact, SessionOptions

engine_name, home, path, form, threads, frames = sys.argv[1:7]
artifact = ModelArtifact(
    name="tiny", path=Path(path), format="mnn", form=form, feat_dim=80, embedding_dim=16,
    num_frames=50 if form == "static" else None, sha256="", macs=123_000_000,
    input_name=(sys.argv[7:] or [None])[0],
)
engine = registry.on(engine_name, {"home": home})
options = SessionOptions(int(threads), {"home": home, "precision": "low"})
features_BTM = np.random.default_rng(0).standard_normal((1, int(frames), 80)).astype(np.float32)
try:
    found = engine.probe()
    assert found.ok, found.reason
    session = registry.get(engine_name).open(artifact, options)
    embedding_BD = session.run(features_BTM)
    np.testing.assert_allclose(embedding_BD, features_BTM.sum(1)[:, :16], rtol=1e-4, atol=1e-4)
    print(found.version, session.reported)
    session.close()
    session.close()
    try:
        session.run(features_BTM)
    except EngineError as error:
        print(error)
except EngineError as error:
    print("refused:", error)
"""


def run(
    home: Path,
    model: Path,
    *,
    engine: str = "mnn",
    form: str = "static",
    threads: int = 1,
    frames: int = 50,
    input_name: str | None = None,
) -> str:
    """Open a model, run it once, and return what was printed."""
    more = [] if input_name is None else [input_name]
    done = in_a_process(RUN, engine, home, model, form, threads, frames, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_runs_and_reports(standin: Standin, write_model: WriteModel) -> None:
    """Values arrive and come back; version, settings, memory, operations and size are reported."""
    home, model = standin(), write_model()
    said, closed = run(home, model, threads=2).splitlines()
    library = home / "lib" / "libMNN.so"
    assert said.startswith("99.1.2 ")
    for fact in (
        "'threads': 2",
        "'precision': 'low'",
        "'session_memory_mb': 1.25",
        "'mega_macs': 2.5",
        f"'library': '{library}'",
        f"'library_bytes': {library.stat().st_size}",
        "'library_kind': 'full'",
    ):
        assert fact in said
    assert closed == "tiny: the session is closed"


WHERE = """
import sys
from pathlib import Path

import numpy as np

from rtfbench.engines import registry
from rtfbench.engines.protocol import ModelArtifact, SessionOptions

settings = {"home": sys.argv[1]}
artifact = ModelArtifact(
    name="tiny", path=Path(sys.argv[2]), format="mnn", form="static", feat_dim=80,
    embedding_dim=16, num_frames=50, sha256="",
)
session = registry.on("mnn", settings).open(artifact, SessionOptions(settings=settings))
features_BTM = np.zeros((1, 50, 80), np.float32)
for writable in (True, False):
    features_BTM.flags.writeable = writable
    digits = session.run(features_BTM)[0].astype(int)
    assert sum(digit << 4 * place for place, digit in enumerate(map(int, digits))) == (
        features_BTM.ctypes.data
    )
print("copied once")
"""


def test_the_input_is_copied_once(standin: Standin, write_model: WriteModel) -> None:
    """The library copies from the caller's own array, also where that may not be written to."""
    done = in_a_process(WHERE, standin(), write_model("where.mnn"))
    assert done.stdout == "copied once\n", done.stderr


def test_a_minimal_library_counts_nothing(standin: Standin, write_model: WriteModel) -> None:
    """On a minimal library the operations are the model's, and are marked as such."""
    said = run(standin(minimal=True), write_model(), engine="mnn-mini")
    assert "'library_kind': 'minimal'" in said
    assert "'mega_macs': 123.0, 'mega_macs_from': 'the model'" in said


def test_a_dynamic_model_gets_its_shape(standin: Standin, write_model: WriteModel) -> None:
    """A full library takes any number of frames of a dynamic model."""
    for frames in (7, 50):
        said = run(standin(), write_model("open.mnn"), form="dynamic", frames=frames)
        assert "'mega_macs': 2.5" in said


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("throws_text", "line one line two"),
        ("throws_number", "an exception that tells nothing"),
        ("null", "null.mnn: MNN cannot load this model; if a converter newer than 99.1.2"),
        ("nosession", "MNN cannot make a session of this model"),
        ("capped", "asked for 2 threads, got 1"),
        ("gpu", "asked for the CPU, got backend 3"),
        ("fails", "MNN failed with error code 2"),
        ("open", "declared static, but its input is (1, -1, 80)"),
    ],
)
def test_errors_come_as_text(
    standin: Standin, write_model: WriteModel, name: str, reason: str
) -> None:
    """Whatever the library does ends as one line; no exception crosses the C interface."""
    (said,) = run(standin(), write_model(f"{name}.mnn"), threads=2).splitlines()
    assert said.startswith("refused: ")
    assert reason in said


def test_more_errors(standin: Standin, write_model: WriteModel) -> None:
    """A wrong input, number of frames, shape and form are refused by name."""
    full, minimal = standin(), standin(minimal=True)
    model = write_model()
    assert "no input speech" in run(full, model, input_name="speech")
    assert "float32 [B, 50, 80], not float32 [1, 49, 80]" in run(full, model, frames=49)
    stuck = write_model("open_stuck.mnn")
    assert "cannot give the model an input of the shape [1, 7, 80]" in run(
        full, stuck, form="dynamic", frames=7
    )
    dynamic = write_model("open.mnn")
    assert "mnn-mini needs a static model" in run(
        minimal, dynamic, engine="mnn-mini", form="dynamic"
    )
    assert "its shapes are not stored" in run(
        minimal, write_model(stores_shapes=False), engine="mnn-mini"
    )


def test_the_other_build_is_refused(standin: Standin, write_model: WriteModel) -> None:
    """A full library is no minimal one, and a minimal one runs no dynamic model as mnn."""
    assert "a full library, and mnn-mini needs a minimal one" in run(
        standin(), write_model(), engine="mnn-mini"
    )
    for name, form in (("model.mnn", "static"), ("open.mnn", "dynamic")):
        said = run(standin(minimal=True), write_model(name), form=form)
        assert "a minimal library, and mnn needs a full one" in said
        assert "--mnn-mini-home" in said


def test_a_truncated_model(standin: Standin, write_model: WriteModel) -> None:
    """A truncated file never reaches the library, which need not check it."""
    said = run(standin(minimal=True), write_model(cut_off=3), engine="mnn-mini")
    assert "model.mnn: not a complete MNN model" in said


def test_headers_and_library_of_two_versions(standin: Standin, write_model: WriteModel) -> None:
    """The library's own version is compared with that of the headers before anything is built."""
    done = in_a_process(RUN, "mnn", standin("99.1.3"), write_model(), "static", 1, 50)
    assert "headers of MNN 99.1.2, and a library of MNN 99.1.3" in done.stderr


def test_a_library_that_is_no_mnn(standin: Standin, compiler: list[str]) -> None:
    """A library without MNN's version, or one that does not load, is refused by name."""
    import subprocess

    home = standin()
    library = home / "lib" / "libMNN.so"
    source = home / "other.cpp"
    for code, reason in (
        ("int other() { return 1; }", "it does not tell its version"),
        (
            'namespace MNN { const char* getVersion() { return "99.1.2"; } }',
            "it lacks what the headers",
        ),
        ("extern int missing; int other() { return missing; }", "the system cannot load it"),
    ):
        source.write_text(code)
        command = [*compiler, "-shared", "-fPIC", str(source), "-o", str(library)]
        subprocess.run(command, check=True)
        done = in_a_process(
            "import sys; from rtfbench.engines import registry\n"
            "print(registry.on('mnn', {'home': sys.argv[1]}).probe().reason)",
            home,
        )
        assert str(library) in done.stdout
        assert reason in done.stdout


ONE_MNN = """
import sys

from rtfbench.engines import registry

first, second = ({"home": home} if home else {} for home in sys.argv[1:])
print(registry.on("mnn", first).probe().ok)
print(registry.on("mnn-mini", second).probe().reason)
"""


def test_a_process_holds_one_mnn(standin: Standin) -> None:
    """After one MNN, wheel or library, a process refuses any other."""
    pytest.importorskip("MNN")
    one, other = standin(), standin(minimal=True)
    for first, second in ((one, other), (one, ""), ("", other)):
        *_, ok, reason = in_a_process(ONE_MNN, first, second).stdout.splitlines()
        assert ok == "True"
        assert "this process has loaded the MNN" in reason
    # Also after one that could be loaded and not be used.
    *_, ok, reason = in_a_process(ONE_MNN, standin("99.1.3"), "").stdout.splitlines()
    assert ok == "False"
    assert "this process has loaded the MNN" in reason


def test_nothing_is_printed_by_the_shim(standin: Standin, write_model: WriteModel) -> None:
    """What a library prints stays the library's; errors are no part of it."""
    said = run(standin(), write_model("prints_null.mnn"))
    assert "refused: " in said
    assert "something that MNN prints" not in next(
        line for line in said.splitlines() if line.startswith("refused: ")
    )
