"""What holds for the MNN libraries that the environment names, and only for real ones.

`RTFBENCH_MNN_HOME` names a full one, `RTFBENCH_MNN_MINI_HOME` a minimal one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from rtfbench.base.core_count import core_count
from rtfbench.embed.embeddings import read_embeddings
from rtfbench.engines.native.compiler import find
from rtfbench.engines.protocol import Form
from tests.ready import artifact_for

from .conftest import KINDS, in_a_process, library_of

ROOT = Path(__file__).parents[2]
SUITE = "tests/conformance/test_engines.py"

Command = Callable[..., "subprocess.CompletedProcess[str]"]

pytest.importorskip("MNN")


@pytest.fixture
def forms(engine: str, home: Path) -> tuple[Form, ...]:
    """Return the forms that the library runs of the models that the wheel's converter makes."""
    numbers = (find(home).version, version("MNN"))
    theirs, wheels = (tuple(map(int, each.split("."))) for each in numbers)
    # A full library checks the whole file, and an older one does not know how newer converters
    # write the operator that asks for a shape.
    return ("dynamic", "static") if engine == "mnn" and theirs >= wheels else ("static",)


def test_conformance(engine: str, home: Path, forms: tuple[Form, ...]) -> None:
    """The library passes the suite that every engine passes."""
    chosen = [] if "dynamic" in forms or engine == "mnn-mini" else ["-k", "not dynamic"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", SUITE, *chosen],
        env={**os.environ, "RTFBENCH_TEST_ENGINE": f"{engine}[home={home}]"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


OPEN_MANY = """
import sys
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from rtfbench.engines import registry
from rtfbench.engines.protocol import ModelArtifact, SessionOptions

engine_name, home, text, rounds, out = sys.argv[1:]
artifact = TypeAdapter(ModelArtifact).validate_json(text)
settings = {"home": home} if home else {}
engine = registry.on(engine_name, settings)
features_BTM = np.random.default_rng(0).standard_normal((1, 198, 80)).astype(np.float32)

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

outputs, sizes_mb = [], []
for _ in range(int(rounds)):
    session = engine.open(artifact, SessionOptions(1, settings))
    outputs.append(session.run(features_BTM))
    session.close()
    sizes_mb.append(resident_mb())
assert all((output == outputs[0]).all() for output in outputs)
np.save(out, outputs[0])
print(sizes_mb[len(sizes_mb) // 2], sizes_mb[-1])
"""


def artifact_text(engine: str, form: Form, logs: Path) -> str:
    """Return the smallest speaker model for an engine, as JSON."""
    from pydantic import TypeAdapter

    from rtfbench.engines.protocol import ModelArtifact

    found = artifact_for("xvec", engine, form=form, chunk_samples=32000, logs=logs)
    return TypeAdapter(ModelArtifact).dump_json(found).decode()


@pytest.mark.parametrize("form", ["dynamic", "static"])
def test_equals_the_wheel(
    engine: str, home: Path, forms: tuple[Form, ...], form: Form, tmp_path: Path
) -> None:
    """On one file the library computes what the wheel's does, within 1e-5 of the largest value."""
    if form not in forms:
        pytest.skip("a minimal library, or one older than the converter, runs no dynamic model")
    text = artifact_text(engine, form, tmp_path)
    found: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}
    for name in ("", str(home)):
        out = tmp_path / f"{len(name)}.npy"
        done = in_a_process(OPEN_MANY, engine, name, text, 1, out)
        assert done.returncode == 0, done.stderr
        found[name] = np.load(out)
    wheel_BD, ours_BD = found.values()
    assert np.abs(ours_BD - wheel_BD).max() <= 1e-5 * np.abs(wheel_BD).max()


def test_fifty_rounds_keep_no_memory(engine: str, home: Path, tmp_path: Path) -> None:
    """Sessions that are opened, run and closed give back what they took, and stay equal."""
    text = artifact_text(engine, "static", tmp_path)
    done = in_a_process(OPEN_MANY, engine, home, text, 50, tmp_path / "out.npy")
    assert done.returncode == 0, done.stderr
    middle_mb, last_mb = map(float, done.stdout.split()[-2:])
    assert last_mb - middle_mb < 20, "a session of this model takes about 50 MB"


@pytest.mark.skipif(core_count() < 2, reason="two threads need two cores")
def test_rows_of_a_run(
    engine: str,
    home: Path,
    forms: tuple[Form, ...],
    rtfbench: Command,
    short_speech: Path,
    tmp_path: Path,
) -> None:
    """Both protocols and thread counts end as ok rows that say which library it was."""
    out = tmp_path / "run"
    option = library_of(engine).option
    done = rtfbench(
        *("run", "--model", "xvec", "--engine", engine, option, home, "--audio", short_speech),
        *("--threads", 1, "--threads", 2, "--budget", 4, "--out", out, "--form", forms[0]),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    label = "mnn mini_libs" if engine == "mnn-mini" else f"mnn[home={home.name}]"
    assert f"| {label} " in done.stdout
    assert "wheel" not in done.stdout
    cells = json.loads((out / "summary.json").read_text())["cells"]
    assert {(cell["protocol"], cell["threads"]) for cell in cells} == {
        (protocol, threads) for protocol in ("published", "steady") for threads in (1, 2)
    }
    (library,) = {cell["effective"]["library"] for cell in cells}
    for cell in cells:
        assert cell["settings"]["home"] == str(home)
        assert cell["build"].startswith(f"{KINDS[engine]} library, {library}, SHA-256 ")
        assert cell["version"].count(".") == 2
        effective = cell["effective"]
        assert effective["threads"] == cell["threads"] == effective["threads_at_work"]
        assert effective["library_bytes"] == Path(library).stat().st_size
        assert effective["precision"] == "normal"
        assert effective["session_memory_mb"] > 0
        assert effective["mega_macs"] == pytest.approx(525, rel=0.01)
        assert not cell["note"]


def test_side_by_side(
    engine: str,
    home: Path,
    forms: tuple[Form, ...],
    rtfbench: Command,
    short_speech: Path,
    tmp_path: Path,
) -> None:
    """The library, the wheel's and the library in another setting stand in one run."""
    out = tmp_path / "run"
    done = rtfbench(
        *("run", "--model", "xvec", "--audio", short_speech, "--protocol", "steady"),
        *(
            "--form",
            forms[0],
            "--engine",
            f"{engine}[home={home}]",
            "--engine",
            f"{engine}[home=wheel]",
        ),
        *("--engine", f"{engine}[precision=low,home={home}]", "--budget", 3, "--out", out),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cells = json.loads((out / "summary.json").read_text())["cells"]
    assert [("library" in cell["effective"]) for cell in cells] == [True, False, True]
    assert [cell["settings"].get("precision") for cell in cells] == [None, None, "low"]


def test_extract_and_verify(
    engine: str,
    home: Path,
    forms: tuple[Form, ...],
    rtfbench: Command,
    short_speech: Path,
    tmp_path: Path,
) -> None:
    """`extract` gives the wheel's embedding within 1e-5, `verify` finds a recording its own."""
    option = library_of(engine).option
    common = ("--model", "xvec", "--weights", "seeded", "--engine", engine, "--form", forms[0])
    found = {}
    for name, more in (("ours", (option, home)), ("wheel", (option, "wheel"))):
        path = tmp_path / f"{name}.npz"
        done = rtfbench("extract", *common, *more, "--wav", short_speech, "--result", path)
        assert done.returncode == 0, done.stderr
        ((_, found[name]),) = read_embeddings(path)
    assert np.abs(found["ours"] - found["wheel"]).max() <= 1e-5 * np.abs(found["wheel"]).max()
    done = rtfbench(
        "verify", *common, option, home, "--enroll", short_speech, "--test", short_speech
    )
    assert (done.returncode, "same speaker" in done.stdout) == (0, True), done.stderr


def test_headers_of_another_version(engine: str, home: Path, tmp_path: Path) -> None:
    """The version in the headers is held against the library's own."""
    other = tmp_path / "other"
    (other / "lib").mkdir(parents=True)
    library = next(p for p in (home / "libMNN.so", home / "lib" / "libMNN.so") if p.is_file())
    (other / "lib" / "libMNN.so").symlink_to(library)
    (other / "include" / "MNN").mkdir(parents=True)
    for header in (home / "include" / "MNN").glob("*.h*"):
        text = header.read_text(encoding="utf-8", errors="replace")
        text = text.replace("#define MNN_VERSION_MAJOR ", "#define MNN_VERSION_MAJOR 9")
        (other / "include" / "MNN" / header.name).write_text(text)
    done = in_a_process(
        "import sys; from rtfbench.engines import registry\n"
        "print(registry.on(sys.argv[1], {'home': sys.argv[2]}).probe().reason)",
        engine,
        other,
    )
    assert f"{other}: headers of MNN 9" in done.stdout
    assert "copy include/ from the sources" in done.stdout
