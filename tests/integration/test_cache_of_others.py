"""A cache that others may write to is not used: what lies in it is run, or believed."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.base.cache import cache_room, entries, intact, seal
from rtfbench.base.errors import InputError
from rtfbench.base.packages import ROOT
from rtfbench.gate import sides

from .extraction import Command

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a cache of the test's own."""
    monkeypatch.setenv("RTFBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_made_is_nobody_elses(cache: Path) -> None:
    """Whatever the umask is."""
    before = os.umask(0)
    try:
        folder = cache_room("models", "a")
    finally:
        os.umask(before)
    for each in (cache, cache / "models", folder):
        assert each.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("inside", ["", "models", "environments", "logs"])
@pytest.mark.parametrize("mode", [0o770, 0o757])
def test_a_cache_that_others_may_write_to(
    rtfbench: Command, write_tiny_onnx: Callable[..., Path], short_speech: Path, cache: Path,
    inside: str, mode: int,
) -> None:  # fmt: skip
    """The folder itself or one in it: one line with the cure, and nothing of it is used."""
    (cache / inside).mkdir(mode=0o700, parents=True)
    (cache / inside).chmod(mode)
    if inside != "environments":
        model = write_tiny_onnx(cache.parent / "tiny.onnx")
        done = rtfbench("extract", "--model", model, "--wav", short_speech)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{cache / inside}: others may write here".replace("/:", ":") in done.stderr
        assert "RTFBENCH_CACHE" in done.stderr
    else:
        with pytest.raises(InputError, match="others may write here"):
            sides.interpreter_for(("MNN==3.6.0",), None, phase=lambda _: None)


def test_a_link_is_no_folder_of_a_cache(cache: Path) -> None:
    """Neither for what is written nor for what is deleted; the cache itself may be one."""
    (cache.parent / "real").mkdir(mode=0o700)
    cache.symlink_to(cache.parent / "real")
    elsewhere = cache.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (cache / "logs").symlink_to(elsewhere)
    with pytest.raises(InputError, match="is a link"):
        cache_room("logs")
    assert entries(cache) == []
    assert cache_room("models").is_dir()


@AS_ROOT
def test_what_belongs_to_somebody_else_is_not_believed(cache: Path) -> None:
    """A folder of another user is refused, and a sealed file of another is none."""
    folder = cache_room("models", "a")
    made = folder / "model.onnx"
    made.write_bytes(b"model")
    seal(made)
    assert intact(made)
    os.chown(made, NOBODY, NOBODY)
    assert not intact(made)
    os.chown(made, 0, 0)
    os.chown(made.with_name("model.onnx.sha256"), NOBODY, NOBODY)
    assert not intact(made)
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(InputError, match="others may write here"):
        cache_room("models", "a")


@AS_ROOT
def test_a_second_user_plants_nothing(
    rtfbench: Command, write_tiny_onnx: Callable[..., Path], short_speech: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A shared cache with sticky bit, in which nobody waits with a link for a log."""
    shared, precious = tmp_path / "shared", tmp_path / "precious"
    precious.write_text("precious")
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "logs").mkdir()
    (shared / "logs" / "prepare-tiny_onnx.log").symlink_to(precious)
    for each in (shared / "logs", shared / "logs" / "prepare-tiny_onnx.log"):
        os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
    monkeypatch.setenv("RTFBENCH_CACHE", str(shared))
    model = write_tiny_onnx(tmp_path / "tiny.onnx")
    done = rtfbench("extract", "--model", model, "--engine", "mnn", "--wav", short_speech)
    assert done.returncode == 2
    assert precious.read_text() == "precious"


@pytest.mark.parametrize(
    "packages",
    [
        "--report=pip.json", "--target=here", "-rmore.txt", "./folder", "MNN", "MNN>=3", "MNN==3.*",
        "MNN @ https://example.org/a.whl", "MNN==3.6.0 --pre", "MNN==3.6.0\n-e .", "MNN[a]==1",
        "git+https://example.org/a==1", "==1",
    ],
)  # fmt: skip
def test_a_baseline_pins_packages_and_does_nothing_else(
    rtfbench: Command, tmp_path: Path, packages: str
) -> None:
    """Pip's options, folders, addresses and ranges are refused before pip is started."""
    baseline = tmp_path / "b.toml"
    baseline.write_text(f"packages = [{packages!r}]\n".replace("'", '"'))
    done = rtfbench("gate", "--baseline", baseline)
    assert done.returncode == 2
    assert "pins no package; write NAME==VERSION" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_hooks_variables_name_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a hook of another repository, HEAD is still that of this checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    here = sides._commit("HEAD")
    for words in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "Elsewhere")):
        author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *author, *words], cwd=tmp_path, check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / ".git" / "index"))
    assert sides._commit("HEAD") == here
