"""Sent to a host and run there by its Python: keeps files, starts a run apart, and tells of it.

It imports the standard library alone, and nothing of rtfbench, which may not be there. Everything
of it is in one folder of the user's cache there; a run is a process of its own session, with its
log and state in files, so that no end of a connection is an end of the run.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Of this program, if whoever started it had only that.
SOURCE: bytes = globals().get("SOURCE", b"")
#: Begins each line of an answer.
MARK = "rtfbench:"
#: A sign of life comes so often, and the log is looked at so often.
BEAT_S, LOOK_S = 10.0, 1.0
#: How a run ended that left no status: it was killed, or its host restarted.
GONE = -9
PIECE_BYTES = 1 << 16


class RefusedError(Exception):
    """What the client is told in place of an answer; one line."""


def place() -> Path:
    """Return the folder of all that is kept here; nobody else may look into it."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "rtfbench"
    folder = Path(os.environ.get("RTFBENCH_CACHE") or home) / "hosts"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("files", "code", "environments", "runs"):
        (folder / name).mkdir(exist_ok=True)
    return folder


_SAYING = threading.Lock()


def say(content: bytes = b"", **answer: Any) -> None:
    """Send an answer, and a file's content after it."""
    with _SAYING:
        sys.stdout.buffer.write(f"{MARK}{json.dumps(answer)}\n".encode() + content)
        sys.stdout.buffer.flush()


def born(pid: int) -> str:
    """Return when a process was started, in the kernel's ticks; empty if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the name, in brackets, may hold anything
    return "" if fields[0] == "Z" else fields[19]


def state_of(run: str) -> "dict[str, Any] | None":
    """Return what is known of a run: its process, and `status` once it has ended."""
    try:
        found: dict[str, Any] = json.loads((place() / "runs" / run / "state.json").read_text())
    except (OSError, ValueError):
        return None
    if "status" not in found and born(found["pid"]) != found["born"]:
        return {**found, "status": GONE}
    return found


def write_state(run: str, state: "dict[str, Any]") -> None:
    """Replace the state as a whole."""
    path = place() / "runs" / run / "state.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(state))
    part.replace(path)


def hello(run: str, wanted: "list[str]") -> None:
    """Tell what is here: room, files (and how much there is of those that were begun), the run."""
    files, code = place() / "files", place() / "code"
    have = {}
    for sha256 in wanted:
        part = files / f"{sha256}.part"
        begun = part.stat().st_size if part.exists() else 0
        have[sha256] = -1 if (files / sha256).exists() or (code / sha256).exists() else begun
    free = shutil.disk_usage(files).free
    say(free=free, have=have, state=state_of(run), place=str(place()))


def put(files: "list[list[Any]]") -> None:
    """Take files, each from where an earlier connection left it: SHA-256, size, offset."""
    for sha256, size_bytes, offset in files:
        path = place() / "files" / sha256
        part = path.with_name(f"{sha256}.part")
        with part.open("r+b" if part.exists() else "w+b") as file:
            file.seek(offset)
            left = size_bytes - offset
            while left:
                piece = sys.stdin.buffer.read(min(left, PIECE_BYTES))
                if not piece:
                    sys.exit(1)
                file.write(piece)
                file.flush()
                left -= len(piece)
            file.truncate()
            file.seek(0)
            same = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        if not same:
            part.unlink()
            raise RefusedError("a file was damaged on its way, or changed meanwhile; try again")
        part.chmod(0o444)
        part.replace(path)
    say(ok=True)


def environment(requirements: "list[str]") -> None:
    """Make a virtual environment with these packages, once, and tell its Python."""
    key = "\n".join([sys.version, sys.executable, *requirements])
    folder = place() / "environments" / hashlib.sha256(key.encode()).hexdigest()[:16]
    python = folder / "bin" / "python"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another connection may be making it
        if not (folder / "ready").exists():
            say(note="making an environment, once: " + ", ".join(requirements))
            shutil.rmtree(folder, ignore_errors=True)
            run_or_refuse([sys.executable, "-m", "venv", str(folder)])
            quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
            run_or_refuse([str(python), "-m", "pip", "install", *quiet, *requirements])
            (folder / "ready").touch()
    say(python=str(python))


def run_or_refuse(command: "list[str]") -> None:
    """Run a command, and refuse with what it says if it fails."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        lines = [each for each in done.stdout.decode(errors="replace").splitlines() if each.strip()]
        errors = [each for each in lines if each.startswith("ERROR")] or lines[-1:]
        told = " ".join(errors[-1].split()) if errors else f"status {done.returncode}"
        raise RefusedError(
            f"no environment could be made ({told}); make one yourself and name its Python with "
            "--remote-python"
        )


def start(
    run: str, nonce: str, code: str, python: str, files: "list[list[str]]", options: "list[str]"
) -> None:
    """Start a run that goes on without us, where no other one is being measured.

    `files` has where each file belongs in the run's folder, and its SHA-256. The same client may
    ask twice, after a connection that was cut.
    """
    state = state_of(run)
    if state is None or state["nonce"] != nonce:
        if state is not None and "status" not in state:
            raise RefusedError(f"run {run} goes on there, as process {state['pid']}")
        folder = place() / "runs" / run
        lock = lock_host()
        laid_out(folder, code, files)
        (folder / "agent.py").write_bytes(SOURCE)
        request = {"op": "keep", "run": run, "nonce": nonce, "python": python}
        asked = {**request, "code": str(place() / "code" / code), "options": options}
        keeper = subprocess.Popen(
            [sys.executable, str(folder / "agent.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[lock],
            start_new_session=True,
        )
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        with keeper.stdin as its_input:
            its_input.write(json.dumps(asked).encode() + b"\n")
        told = keeper.stdout.read()  # it closes that once the run is started, and goes on
        if b"refused" in told:
            raise RefusedError(json.loads(told.decode()[len(MARK) :])["refused"])
        state = state_of(run)
        if state is None:
            raise RefusedError("the run could not be started there")
    say(state=state)


def lock_host() -> int:
    """Return a descriptor that holds the lock of this host; whoever inherits it holds it too."""
    folder = Path(tempfile.gettempdir()) / f"rtfbench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(folder / "measuring", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        runs = [(path.name, state_of(path.name)) for path in (place() / "runs").iterdir()]
        going = [(name, each["pid"]) for name, each in runs if each and "status" not in each]
        which = "".join(f": run {name}, process {pid}" for name, pid in going)
        raise RefusedError(f"another run is being measured there{which}; wait for it") from None
    return fd


def laid_out(folder: Path, code: str, files: "list[list[str]]") -> None:
    """Put every file where the run looks for it, and the code where Python does.

    No other run is going on: what only earlier runs needed is deleted.
    """
    kept, own = place(), set()
    (folder / "input").mkdir(parents=True, exist_ok=True)  # a plan may name no file at all
    for name, sha256 in files:
        path, source = folder / name, kept / "files" / sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if name.startswith("out/"):  # the run writes there
            own.add(source)
        else:
            with suppress(OSError):  # a file system without links
                os.link(source, path)
        if not path.exists():
            shutil.copyfile(source, path)
    packed = kept / "files" / code
    if not (kept / "code" / code).exists():
        shutil.rmtree(kept / "code")
        part = kept / "code" / "part"
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(part)
        part.rename(kept / "code" / code)
    for path in {packed, *own}:
        path.unlink(missing_ok=True)


def keep(run: str, nonce: str, python: str, code: str, options: "list[str]") -> None:
    """Run rtfbench to its end, whatever becomes of connections, and write down how it ended."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # a server that ignores them says so to all below
    folder = place() / "runs" / run
    command = [python, "-P", "-m", "rtfbench.commands", "run", "../plan.toml", "--out", "../out"]
    with (folder / "log").open("wb") as log:
        try:
            process = subprocess.Popen(
                [*command, *options],
                cwd=folder / "input",
                env={**os.environ, "PYTHONPATH": code},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            say(refused=f"{error.filename} cannot be run ({error.strerror})")
            return
    state = {"nonce": nonce, "pid": process.pid, "born": born(process.pid)}
    write_state(run, state)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever started us goes on
    write_state(run, {**state, "status": process.wait()})


def follow(run: str, offset: int) -> None:
    """Send the run's log from a byte on, until the run has ended."""
    while True:
        state = state_of(run)
        if state is None:
            raise RefusedError("the run's folder is gone")
        with (place() / "runs" / run / "log").open("rb") as log:
            log.seek(offset)
            piece = log.read(PIECE_BYTES)
        if "status" not in state and len(piece) < PIECE_BYTES:
            piece = piece[: piece.rfind(b"\n") + 1]
        offset += len(piece)
        if piece:
            say(log=piece.decode(errors="replace"), offset=offset)
        elif "status" in state:
            say(status=state["status"])
            return
        else:
            time.sleep(LOOK_S)


def stop(run: str, hard: bool) -> None:
    """Interrupt a run, as Ctrl-C does; `hard` ends it at once."""
    state = state_of(run)
    if state is not None and "status" not in state:
        with suppress(ProcessLookupError):
            os.killpg(state["pid"], signal.SIGKILL if hard else signal.SIGINT)
    say(ok=True)


def fetch(run: str) -> None:
    """Send every file of the run's folder."""
    folder = place() / "runs" / run / "out"
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != ".lock":
            content = path.read_bytes()
            say(content, file=path.relative_to(folder).as_posix(), size=len(content))
    say(ok=True)


def drop(run: str) -> None:
    """Delete what is here of a run that has ended."""
    state = state_of(run)
    if state is None or "status" in state:
        shutil.rmtree(place() / "runs" / run, ignore_errors=True)
    say(ok=True)


def end_with_input() -> None:
    """End this program, and what it waits for, when nobody is at the other end any more."""
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


def show_life() -> None:
    """Say something now and then: a connection without a word is taken for lost."""
    while True:
        time.sleep(BEAT_S)
        say(beat=True)


def main() -> None:
    """Answer the request on standard input."""
    request = json.loads(sys.stdin.buffer.readline())
    name = request.pop("op")
    if name not in ("put", "keep"):
        with suppress(PermissionError):  # it leads a session, and so a group, already
            os.setpgid(0, 0)
        for each in (end_with_input, show_life):
            threading.Thread(target=each, daemon=True).start()
    known = (hello, put, environment, start, keep, follow, stop, fetch, drop)
    try:
        {each.__name__: each for each in known}[name](**request)
    except RefusedError as error:
        say(refused=str(error))
    except OSError as error:
        say(refused=f"{error.filename or place()}: {error.strerror or error}")
    # A thread that waits for input would hold up an ordinary end.
    os._exit(0)


if __name__ == "__main__":
    main()
