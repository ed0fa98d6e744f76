"""Model files for tests, by the way that every command takes."""

from collections.abc import Iterable
from pathlib import Path

from rtfbench.base.errors import InputError
from rtfbench.engines.protocol import Form, ModelArtifact
from rtfbench.models.names import default_form
from rtfbench.models.resolve import Asked, resolve
from rtfbench.models.workload import prepare
from rtfbench.results.cells import Cell


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
    (found,) = artifacts_for(
        model, [engine], logs=logs, form=form, chunk_samples=chunk_samples, said=said
    ).values()
    return found


def artifacts_for(
    model: str,
    engines: Iterable[str],
    *,
    logs: Path,
    form: Form | None = None,
    chunk_samples: int | None = 32000,
    said: list[str] | None = None,
) -> dict[str, ModelArtifact]:
    """Return engine -> the model file that it reads, all of them made by one process.

    Raises:
        InputError: there is none, and why.
    """
    cells = [
        Cell(
            model=model,
            engine=engine,
            form=form or default_form(engine),
            threads=1,
            chunk_samples=chunk_samples or 32000,
            protocol="steady",
        )
        for engine in engines
    ]
    asked = Asked(sizes=chunk_samples is not None, forms=form is not None)
    phase = (said if said is not None else []).append
    made = {}
    for found in prepare(resolve(cells, asked=asked), (), cores=1, logs=logs, phase=phase):
        if found.refusal is not None:
            raise InputError(found.refusal.reason)
        assert found.artifact is not None
        made[found.cell.engine] = found.artifact
    return made
