"""The C interface to a user's MNN, compiled once for each library and its headers."""

from pathlib import Path

from engines.native import compiler
from engines.native.home import Home
from engines.protocol import EngineError

SOURCE = Path(__file__).with_name("mnn_shim.cpp")


def build(home: Home) -> Path:
    """Return the compiled shim for a library.

    It is not linked with the library, which the process loads by its path: no other is looked for.

    Raises:
        EngineError: there is no compiler, or it refused; with what it said.
    """
    headers = sorted((home.include / "MNN").glob("*.h*"))
    try:
        return compiler.shared_library(
            SOURCE,
            flags=("-std=c++11",),
            needs=[*headers, home.library],
            include=str(home.include),
        )
    except compiler.CompileError as error:
        raise EngineError(
            f"{home.include}: the shim cannot be compiled with these headers ({error}); "
            "are they MNN's, and complete?"
        ) from None
