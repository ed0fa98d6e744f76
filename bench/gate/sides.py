"""The environment that a baseline runs in: pinned packages, or another revision's code.

It is built once and kept in the cache: a virtual environment that holds what is pinned, and shares
everything else with this one, so that nothing else differs.
"""

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from rtfbench.base.cache import cache_room, check_cache, one_at_a_time
from rtfbench.base.child import ChildError, Interpreter
from rtfbench.base.errors import InputError, as_input
from rtfbench.base.packages import NAME, PACKAGE, ROOT, is_one_package, lay_out
from rtfbench.base.scratch import process_folder
from rtfbench.engines import processes
from rtfbench.measure.workers import IncomparableError, protocol_of

READY = "ready"
#: A wheel of a runtime has some 100 MB.
INSTALL_TIMEOUT_S = 1800.0
GIT_TIMEOUT_S = 300.0


def interpreter_for(
    packages: Sequence[str], revision: str | None, *, phase: Callable[[str], None]
) -> Interpreter | None:
    """Return the Python of a side with pinned packages, or of a revision; None for this one.

    Raises:
        InputError: it cannot be built; one line with the reason.
    """
    if not packages and revision is None:
        return None
    commit = None if revision is None else _commit(revision)
    shared = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    facts = [*sorted(packages), commit or "", sys.version, *shared]
    key = hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]
    folder = cache_room("environments", key)
    if not (folder / READY).is_file():
        check_cache()
        with one_at_a_time(folder):
            if not (folder / READY).is_file():
                what = ", ".join(filter(None, [*packages, revision]))
                phase(f"building the baseline's environment: {what}")
                shutil.rmtree(folder, ignore_errors=True)
                try:
                    _build(folder, packages, commit, shared)
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
    python = folder / "bin" / "python"
    if not commit:
        here = ROOT if PACKAGE.name == NAME else lay_out(ROOT, process_folder() / "code")
        return Interpreter(python, (here,))
    other = Interpreter(
        python,
        (folder / "code",),
        worker=f"{NAME if is_one_package(folder / 'src') else 'bench'}.worker",
    )
    with as_input(IncomparableError, ChildError, before=f"{revision}: cannot be compared: "):
        theirs = protocol_of(other)
    return replace(other, protocol=theirs)


def _build(folder: Path, packages: Sequence[str], commit: str | None, shared: list[str]) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    if packages:
        _install(python, packages)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = folder / "lib" / version / "site-packages"
    # After the environment's own packages, so that what is pinned goes first.
    (own / "zz_shared.pth").write_text("\n".join(shared) + "\n", encoding="utf-8")
    if commit:
        _check_out(commit, folder / "src")
        lay_out(folder / "src", folder / "code")
    (folder / READY).write_text("\n".join([*packages, commit or ""]), encoding="utf-8")


def _install(python: Path, packages: Sequence[str]) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps"]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    try:
        done = processes.run([*command, *quiet, "--", *packages], timeout_s=INSTALL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{', '.join(packages)}: not installed within {INSTALL_TIMEOUT_S:g} s; "
            "does pip reach its index?"
        ) from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("ERROR")]
        said = (errors or lines or ["pip said nothing"])[-1]
        raise InputError(
            f"{', '.join(packages)}: cannot be installed ({said.removeprefix('ERROR: ')}); "
            "is there such a version for this Python, and does pip reach its index?"
        )


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        command = ["git", "-C", str(ROOT), *arguments]
        return processes.run(command, timeout_s=GIT_TIMEOUT_S, env=processes.without_git())
    except FileNotFoundError:
        raise InputError("--against-rev needs git; install it") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"git {arguments[0]}: not done within {GIT_TIMEOUT_S:g} s") from None


def _commit(revision: str) -> str:
    done = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if done.returncode != 0:
        if said := done.stderr.decode(errors="replace").split():
            raise InputError(f"{revision}: git opens no checkout in {ROOT}: {' '.join(said)}")
        raise InputError(
            f"{revision}: no such revision of the checkout in {ROOT}; fetch it, or name another"
        )
    return done.stdout.decode().strip()


def _check_out(commit: str, folder: Path) -> None:
    done = _git("archive", commit)
    if done.returncode != 0:
        raise InputError(f"{commit}: git archive failed: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
