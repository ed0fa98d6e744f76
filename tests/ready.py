"""Model files for tests, by the way that every command takes."""

from pathlib import Path

from bench.base.errors import InputError
from bench.models.names import default_form
from bench.models.resolve import Asked, resolve
from bench.models.workload import prepare
from bench.results.cells import Cell
from engines.protocol import Form, ModelArtifact


def artifact_for(
    model: str,
    engine: str,
    *,
    logs: Path,
    form: Form | None = None,
    chunk_samples: int | None = 32000,
    said: list[str] | None = None,
) -> ModelArtifact:
    """Return the model file that an engine reads; `said` gets what took a while.

    Raises:
        InputError: there is none, and why.
    """
    cell = Cell(
        model=model,
        engine=engine,
        form=form or default_form(engine),
        threads=1,
        chunk_samples=chunk_samples or 32000,
        protocol="steady",
    )
    asked = Asked(sizes=chunk_samples is not None, forms=form is not None)
    phase = (said if said is not None else []).append
    (found,) = prepare(resolve([cell], asked=asked), (), cores=1, logs=logs, phase=phase)
    if found.refusal is not None:
        raise InputError(found.refusal.reason)
    assert found.artifact is not None
    return found.artifact
