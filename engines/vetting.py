"""Plug-ins are tried before they are imported here: one may exit, hang or raise, and do so alone.

python -m rtfbench.engines.vetting NAME...
"""

import os
import subprocess
import sys
from collections.abc import Sequence

from rtfbench.engines import processes

#: To import a plug-in with its runtime.
LIMIT_S = 60.0
#: Names that were tried already, for this process and those that it starts.
VARIABLE = "RTFBENCH_VETTED"
FINE = "vetted:"

_refused: dict[str, str] = {}


def refusal(name: str) -> str:
    """Say why a plug-in cannot be imported, empty if it can."""
    vet([name])
    return _refused.get(name, "")


def vet(names: Sequence[str]) -> None:
    """Import plug-ins in a process of its own, one after the other, unless that was done."""
    todo = [name for name in names if name not in _known() and name not in _refused]
    while todo:
        fine, reason = _try(todo)
        os.environ[VARIABLE] = ",".join([*_known(), *fine])
        todo = [name for name in todo if name not in fine]
        if todo:
            _refused[todo.pop(0)] = reason


def _try(names: Sequence[str]) -> tuple[list[str], str]:
    """Return the names up to the first one that fails, and how that one does."""
    command = [sys.executable, "-P", "-m", "rtfbench.engines.vetting", *names]
    # In there, nothing is tried once more.
    env = {**os.environ, VARIABLE: ",".join([*_known(), *names])}
    try:
        done = processes.run(command, timeout_s=LIMIT_S, env=env)
    except subprocess.TimeoutExpired as expired:
        return _fine(expired.output), f"it is not imported within {LIMIT_S:g} s"
    said = done.stderr.decode(errors="replace").strip().splitlines()
    ended = f"importing it ends the process (status {done.returncode})"
    return _fine(done.stdout), said[-1] if said and done.returncode == 1 else ended


def _known() -> list[str]:
    return list(filter(None, os.environ.get(VARIABLE, "").split(",")))


def _fine(output: bytes | None) -> list[str]:
    lines = (output or b"").decode(errors="replace").splitlines()
    return [line.removeprefix(FINE) for line in lines if line.startswith(FINE)]


def main() -> None:
    """Import the plug-ins that are named, and ask each for all that an engine tells of itself."""
    from rtfbench.engines import registry
    from rtfbench.engines.base import EngineBase

    told = [name for name in vars(EngineBase) if not name.startswith("_")]
    for name in sys.argv[1:]:
        try:
            engine = registry.get(name)
            for attribute in told:
                getattr(engine, attribute)
        except Exception as error:  # a plug-in may fail in any way
            sys.exit(" ".join(str(error.__cause__ or error).split()) or type(error).__name__)
        print(f"\n{FINE}{name}", flush=True)


if __name__ == "__main__":
    main()
