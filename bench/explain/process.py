"""What a process of one engine does around its work: options, cores, answers, and its end.

Commands come as JSON lines on standard input, answers go to an inherited file descriptor, as in
`bench.worker`.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import BaseModel

from bench.base.child import answer, die_with_parent
from bench.explain.messages import EngineSpec, Failed
from engines import registry
from engines.base import EngineBase
from engines.protocol import EngineError


class Worker(Protocol):
    """What answers."""

    @property
    def opened(self) -> BaseModel:
        """The first answer, to no command."""
        ...

    def obey(self, line: str) -> BaseModel:
        """Do what a command says, and return the answer."""
        ...


Spec = TypeVar("Spec", bound=EngineSpec)


def usable_engine(spec: EngineSpec) -> tuple[EngineBase, str]:
    """Return an engine and the version of its runtime.

    Raises:
        EngineError: the engine is not there, or does not take the model.
    """
    engine = registry.on(spec.cell.engine, spec.cell.settings)
    found, support = engine.probe(), engine.supports(spec.artifact, spec.options)
    if not found.ok or not support.ok:
        raise EngineError(support.reason if found.ok else found.reason)
    return engine, found.version


def run_worker(
    module: str, spec: type[Spec], open_worker: Callable[[Spec], Worker], argv: list[str] | None
) -> None:
    """Run a worker from the command line, until the parent is gone."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("spec", type=Path, help="what to open, and on which cores (JSON)")
    parser.add_argument("--answer-fd", type=int, default=3)
    arguments = parser.parse_args(argv)
    die_with_parent()
    wanted = spec.model_validate_json(arguments.spec.read_text(encoding="utf-8"))
    # Before a runtime is loaded: thread pools take over the affinity that they find.
    os.sched_setaffinity(0, wanted.cores)
    fd: int = arguments.answer_fd
    try:
        worker = open_worker(wanted)
        answer(fd, worker.opened)
        for line in sys.stdin:
            answer(fd, worker.obey(line))
    except Exception as error:  # whatever a runtime throws ends this engine alone
        traceback.print_exc()
        kind = "" if isinstance(error, EngineError) else f"{type(error).__name__}: "
        answer(fd, Failed(reason=kind + " ".join(str(error).split())))
