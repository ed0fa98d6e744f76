"""A configuration that was found by measuring, as the options of an extraction."""

from pathlib import Path
from typing import NamedTuple

from bench.base.errors import InputError
from bench.models.names import default_form, precisions_of
from bench.plan.plan_files import load_plan
from bench.plan.sweep import expand
from engines.protocol import Form


class Config(NamedTuple):
    """What a file says of an extraction; None where it says nothing."""

    model: str | None = None
    engine: str | None = None
    form: Form | None = None
    chunk_samples: int | None = None
    threads: int | None = None
    jobs: int | None = None
    batch: int | None = None


def read_config(path: Path | None) -> Config:
    """Return the one configuration that a plan describes; without a file, nothing.

    Raises:
        InputError: it cannot be read, or describes several.
    """
    if path is None:
        return Config()
    cells = expand(load_plan(path, {}), default_form, precisions_of)
    if len(cells) != 1:
        raise InputError(
            f"{path}: describes {len(cells)} configurations, and an extraction has one; name one "
            "that `rtfbench tune --save` wrote, or leave one value in each list"
        )
    (cell,) = cells
    return Config(
        cell.model,
        cell.engine_label,
        cell.form,
        cell.chunk_samples,
        cell.threads,
        cell.jobs,
        cell.batch,
    )
