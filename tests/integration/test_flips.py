"""Many flipped bits, at random: minutes, so before a release.

Whatever file they fall into, nothing ends with a traceback, and no embedding comes out that a look
at its values, another input or a check sum could have told to be wrong.
"""

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtfbench.base.cache import CACHE_VARIABLE
from rtfbench.embed.embeddings import read_embeddings
from rtfbench.engines.protocol import FloatArray
from rtfbench.results.store import RECORDS

from .extraction import Command, write_list

pytestmark = pytest.mark.deep

ENDINGS = {"onnxruntime": "onnx", "mnn": "mnn"}
QUICK = ("--protocol", "steady", "--budget", 0.1, "--sessions", 1)
SETS_OF_BITS = (1, 8, 64)
#: A file begins with its structure; most of the rest of a model are weights.
STRUCTURE_BYTES = 2000

Exported = Callable[[str, str], Path]


def flipped(whole: bytes, rng: random.Random) -> bytes:
    """Return a file's content with some bits flipped, near its beginning or anywhere."""
    content = bytearray(whole)
    most = min(rng.choice([STRUCTURE_BYTES, len(content)]), len(content))
    for _ in range(rng.choice(SETS_OF_BITS)):
        content[rng.randrange(most)] ^= 1 << rng.randrange(8)
    return bytes(content)


@pytest.fixture(scope="module")
def exported(rtfbench: Command, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Return a function that writes a model of the catalog in a format, and gives its path."""

    def export(model: str, ending: str) -> Path:
        path = tmp_path_factory.mktemp("model") / f"{model}.{ending}"
        done = rtfbench("export", "--model", model, "--format", ending, "-o", path)
        assert done.returncode == 0, done.stderr
        return path

    return export


def assert_listening(embeddings: dict[str, FloatArray]) -> None:
    """Check that two recordings have two embeddings, of finite values."""
    first_D, second_D = embeddings.values()
    assert np.isfinite(first_D).all()
    assert np.isfinite(second_D).all()
    assert not np.array_equal(first_D, second_D)


@pytest.mark.parametrize("engine", ENDINGS)
@pytest.mark.parametrize(("model", "flips"), [("xvec", 100), ("resnet34", 15)])
def test_flipped_models_give_no_embedding_that_a_check_could_refuse(
    rtfbench: Command,
    recordings: list[Path],
    exported: Exported,
    tmp_path: Path,
    engine: str,
    model: str,
    flips: int,
) -> None:
    """A model file with flipped bits ends in one line, or is another model: finite, and listening.

    A flipped weight is a weight; no check can tell that from the one that was meant.
    """
    rng = random.Random(f"{engine} {model}")
    whole = exported(model, ENDINGS[engine]).read_bytes()
    path, result = tmp_path / f"flipped.{ENDINGS[engine]}", tmp_path / "e.npz"
    asked = ("--model", path, "--engine", engine, "--jobs", 1, "--timeout", 60)
    statuses: Counter[int] = Counter()
    for number in range(flips):
        path.write_bytes(flipped(whole, rng))
        done = rtfbench("extract", *recordings[:2], *asked, "--result", result, "--overwrite")
        statuses[done.returncode] += 1
        assert "Traceback" not in done.stderr, number
        assert done.returncode in (0, 1, 2), (number, done.stderr)
        if done.returncode == 0:
            assert_listening(dict(read_embeddings(result)))
    assert statuses[2] + statuses[1] > 0, statuses


@pytest.mark.parametrize("engine", ENDINGS)
def test_flipped_models_are_measured_only_where_they_are_models(
    rtfbench: Command, recordings: list[Path], exported: Exported, tmp_path: Path, engine: str
) -> None:
    """What `run` gives a time to has embeddings of finite values, one for each recording."""
    rng = random.Random(engine)
    whole = exported("xvec", ENDINGS[engine]).read_bytes()
    path, out = tmp_path / f"flipped.{ENDINGS[engine]}", tmp_path / "run"
    audio = [part for each in recordings[:2] for part in ("--audio", each)]
    statuses: Counter[int] = Counter()
    for number in range(30):
        path.write_bytes(flipped(whole, rng))
        asked = ("--model", path, "--engine", engine, *audio, *QUICK)
        done = rtfbench("run", *asked, "--timeout", 60, "--out", out, "--overwrite")
        statuses[done.returncode] += 1
        assert "Traceback" not in done.stderr, number
        assert done.returncode in (0, 1, 2), (number, done.stderr)
        if done.returncode == 0:
            (embeddings,) = (out / "embeddings").iterdir()
            assert_listening(dict(read_embeddings(embeddings)))
    assert statuses[2] + statuses[1] > 0, statuses


@pytest.fixture
def own_cache(tmp_path: Path, cache: Path) -> Iterator[Path]:
    """Use a cache that may be damaged."""
    folder = tmp_path / "cache"
    os.environ[CACHE_VARIABLE] = str(folder)
    yield folder
    os.environ[CACHE_VARIABLE] = str(cache)


def test_a_flipped_cache_changes_nothing(
    rtfbench: Command, recordings: list[Path], own_cache: Path, tmp_path: Path
) -> None:
    """Model files, cards, references and check sums: what differs is made again."""
    rng = random.Random(3)
    result, out = tmp_path / "e.npz", tmp_path / "run"
    engines = [part for name in ENDINGS for part in ("--engine", name)]
    run = ("run", "--model", "xvec", "--weights", "seeded", *engines, *QUICK, "--overwrite")

    def rows() -> list[dict[str, object]]:
        done = rtfbench(*run, "--audio", recordings[0], "--out", out)
        assert done.returncode == 0, done.stderr
        kept = ("model", "engine", "params", "flops", "macs", "parity")
        cells = json.loads((out / "summary.json").read_text())["cells"]
        return [{name: cell[name] for name in kept if name in cell} for cell in cells]

    def extracted(engine: str) -> dict[str, FloatArray]:
        model = ("--model", "xvec", "--weights", "seeded", "--engine", engine)
        done = rtfbench("extract", *recordings[:2], *model, "--result", result, "--overwrite")
        assert done.returncode == 0, done.stderr
        return dict(read_embeddings(result))

    expected_rows, expected = rows(), {name: extracted(name) for name in ENDINGS}
    backup = shutil.copytree(own_cache, tmp_path / "backup")
    files = sorted(path.relative_to(backup) for path in backup.rglob("*") if path.is_file())
    for number in range(40):
        damaged = own_cache / rng.choice(files)
        damaged.write_bytes(flipped(damaged.read_bytes(), rng))
        engine = rng.choice([*ENDINGS])
        if number % 2:
            found = extracted(engine)
            for name, values_D in expected[engine].items():
                np.testing.assert_allclose(found[name], values_D, rtol=1e-4, atol=1e-5)
        else:
            assert rows() == expected_rows
        shutil.copytree(backup, own_cache, dirs_exist_ok=True)


def test_flipped_records_are_told(
    rtfbench: Command, recordings: list[Path], tmp_path: Path
) -> None:
    """A run folder with flipped bits is reported as it was or refused, and a resumed run mends it.

    The summary has a hash of the records: a flipped digit of them is no result.
    """
    rng, out = random.Random(4), tmp_path / "run"
    run = ("run", "--model", "xvec", "--engine", "onnxruntime", *QUICK, "--audio", recordings[0])
    assert rtfbench(*run, "--out", out).returncode == 0
    undisturbed = rtfbench("report", out).stdout
    for name in (RECORDS, "summary.json", "environment.json"):
        whole = (out / name).read_bytes()
        for number in range(40):
            (out / name).write_bytes(flipped(whole, rng))
            done = rtfbench("report", out)
            assert "Traceback" not in done.stderr, (name, number)
            assert done.returncode in (0, 1, 2), (name, number, done.stderr)
            assert done.returncode == 2 or done.stdout == undisturbed, (name, number)
            if number % 10 == 0:
                kept = {each: each.read_bytes() for each in out.iterdir() if each.is_file()}
                done = rtfbench(*run, "--out", out, "--resume")
                assert "Traceback" not in done.stderr, (name, number)
                assert done.returncode in (0, 2), (name, number, done.stderr)
                for path, content in kept.items():
                    path.write_bytes(content)
        (out / name).write_bytes(whole)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_flipped_recordings_cost_themselves_only(
    rtfbench: Command, recordings: list[Path], tmp_path: Path, ending: str
) -> None:
    """Formats with check sums give the recording's own embedding or none, the others a finite one.

    The whole recordings beside them are embedded as ever.
    """
    rng = random.Random(ending)
    samples, rate_hz = soundfile.read(recordings[0])
    whole = tmp_path / f"whole.{ending}"
    soundfile.write(whole, samples, rate_hz)
    paths = [whole]
    for number in range(100):
        paths.append(tmp_path / f"{number}.{ending}")
        paths[-1].write_bytes(flipped(whole.read_bytes(), rng))
    model = ("--model", "xvec", "--weights", "seeded", "--engine", "onnxruntime")
    scp, result = write_list(tmp_path / "wav.scp", [*paths, whole]), tmp_path / "e.npz"
    done = rtfbench("extract", "--wav-scp", scp, *model, "--result", result)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    found = dict(read_embeddings(result))
    np.testing.assert_array_equal(found["u0"], found[f"u{len(paths)}"])
    assert all(np.isfinite(values_D).all() for values_D in found.values())
    if ending in ("flac", "ogg"):
        for values_D in found.values():
            np.testing.assert_array_equal(values_D, found["u0"])
