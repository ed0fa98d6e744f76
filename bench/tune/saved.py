"""A configuration as a file that `run`, `extract` and `gate` take, and as commands (pure)."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import astuple, fields
from itertools import chain
from pathlib import Path
from typing import Any

from rtfbench.models.model_files import is_path
from rtfbench.models.user_models import AS_IT_SAYS, Reading
from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS, Weights
from rtfbench.results.cells import Cell
from rtfbench.results.load import Load
from rtfbench.tune.space import TuneOptions

#: The files of a search's answer, and of the configuration that it names.
JSON, SAVED = "tune.json", "best.toml"
#: How a saved configuration begins, so that a reader knows where it is from.
HEADER = (
    "# Found by `rtfbench tune`: a plan for `rtfbench run`, --config of `rtfbench extract`,",
    "# --baseline of `rtfbench gate`.",
)


def as_toml(
    cell: Cell,
    *,
    packages: tuple[str, ...],
    remarks: tuple[str, ...],
    reading: Reading = AS_IT_SAYS,
    weights: Weights = DEFAULT_WEIGHTS,
) -> str:
    """Return a plan of one configuration.

    The packages pin the runtime that was measured; remarks are lines of comment for its head.
    """
    values: dict[str, Any] = {
        "models": [cell.model],
        "engines": [str(cell.engine_spec)],
        "forms": [cell.form],
        "threads": [cell.threads],
        "jobs": [cell.jobs],
        "batches": [cell.batch],
        "chunk_samples": [cell.chunk_samples],
        "protocols": [cell.protocol],
        "packages": [*packages],
    }
    load = cell.load
    if load is not None and load.streams:
        values |= {"streams": [load.streams]}
    elif load is not None:
        values |= {"rates": [load.rate_per_s]}
    values |= {
        "front_end": reading.front_end,
        "model_input": reading.input_name,
        "model_output": reading.output_name,
        "weights": None if is_path(cell.model) else weights,
        **({} if load is None else _traffic(load)),
    }
    # JSON's strings and lists are TOML's too; of a list nothing is a value as well.
    lines = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
        if value or value == []
    ]
    return "\n".join([*HEADER, *(f"# {remark}" for remark in remarks), "", *lines, ""])


def _traffic(load: Load) -> dict[str, str | float | None]:
    """Return how requests arrive, as a plan says it, without their rate."""
    return {
        "window_s": load.window_s,
        "hop_s": load.hop_s if load.streams else None,
        "gamma_shape": load.gamma_shape if load.gamma_shape != 1 else None,
        "trace": None if load.trace is None else str(load.trace.resolve()),
        "latency_ms": load.latency_ms,
    }


#: Fields of what a user asked for that are written otherwise on the command line.
OPTIONS = {
    "engines": "--engine",
    "precisions": "--precision",
    "max_rss_mb": "--max-rss",
    "timeout_s": "--timeout",
    "budget_s": "--budget",
}
#: Options of what is said of requests that arrive.
TRAFFIC = {"window_s": "--window", "hop_s": "--hop", "gamma_shape": "--gamma", "trace": "--trace"}
#: Options of the parts of a `Reading`.
READING = ("--front-end", "--model-input", "--model-output")


def again(asked: TuneOptions, budget_s: float | None, save: Path | None = None) -> str:
    """Return the command that asks the same with the budget that would decide; empty of none."""
    if budget_s is None:
        return ""
    said: list[tuple[str, Any]] = []
    for each in fields(asked):
        value: Any = budget_s if each.name == "budget_s" else getattr(asked, each.name)
        option = OPTIONS.get(each.name, f"--{each.name.replace('_', '-')}")
        if each.name == "reading":
            said += zip(READING, astuple(value), strict=True)
        elif each.name == "libraries":
            said += [(f"--{name}-home", path) for name, path in value.items()]
        elif each.name == "traffic":
            said += [
                (option, getattr(value, name))
                for name, option in TRAFFIC.items()
                if getattr(value, name) != getattr(each.default, name)
            ]
        elif each.name in ("model", "budget_s") or value != each.default:
            said += [
                (option, one) for one in (value if isinstance(value, list | tuple) else [value])
            ]
    given = [
        [option]
        if value is True
        else [option, f"{value:g}" if type(value) is float else str(value)]
        for option, value in said
        if value is not None
    ]
    kept = [] if save is None else ["--save", str(save), "--overwrite"]
    return shlex.join(["rtfbench", "tune", *chain.from_iterable(given), *kept])


def commands(saved: str) -> Iterator[str]:
    """Yield finished commands: to extract with what a file has saved, and to measure it again."""
    listed = ["--wav-scp", "wav.scp", "--config", saved]
    yield shlex.join(["rtfbench", "extract", *listed, "--result", "embeddings.ark"])
    yield shlex.join(["rtfbench", "run", saved])
