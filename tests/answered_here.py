"""Questions that a command asks a process of its own, answered in the process of the tests.

Such a process loads its libraries anew, for longer than most answers take, and the tests ask
hundreds. What may crash, hang or grow is asked there as ever: what files of other formats than ONNX
say, conversions to any but torch's and MNN's, other precisions, and whatever has a limit of memory.
Commands that tests start as processes ask as they do for a user.
"""

from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from rtfbench.base import asking
from rtfbench.base.memory import MemoryLimit
from rtfbench.engines.protocol import FLOAT32, ONNX
from rtfbench.models.model_files import FileRequest
from rtfbench.models.prepare import PrepareRequest, prepare_here

#: Made by torch, onnx and MNN's converter, which has a process of its own in any case.
SAFE = {ONNX, "mnn", "pt2"}


def ask(
    module: str,
    request: BaseModel,
    answer: type[Any],
    *,
    log: Path | None = None,
    memory: MemoryLimit | None = None,
    **options: Any,
) -> Any:
    """Answer as `rtfbench.base.asking.ask` does; what is said goes where it would go."""
    work = _work(request)
    if work is None or (memory is not None and memory.max_bytes is not None):
        return asking.ask(module, request, answer, log=log, memory=memory, **options)
    asked = type(request).model_validate_json(asking._question(request))
    said = StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            found = TypeAdapter(answer).dump_json(work(asked))
    finally:
        if log is not None:
            log.write_text(said.getvalue(), encoding="utf-8")
    return TypeAdapter(answer).validate_json(found)


def _work(request: BaseModel) -> Callable[[Any], Any] | None:
    """Return what answers a question here, None where it is asked elsewhere."""
    if isinstance(request, FileRequest) and request.path.suffix == f".{ONNX}":
        from rtfbench.models.model_reading import _read_here

        return _read_here
    if isinstance(request, PrepareRequest) and all(
        wanted.format in SAFE and wanted.precision == FLOAT32 for wanted in request.artifacts
    ):
        return prepare_here
    return None
