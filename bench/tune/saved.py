"""A configuration as a file that `run`, `extract` and `gate` take, and as commands (pure)."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from rtfbench.models.model_files import is_path
from rtfbench.models.user_models import AS_IT_SAYS, Reading
from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS, Weights
from rtfbench.results.cells import Cell
from rtfbench.results.load import Load
from rtfbench.tune.options import TuneOptions

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

    Args:
        cell: the configuration.
        packages: requirements that pin the runtime that was measured.
        remarks: lines of comment for its head.
        reading: what is said of the model file.
        weights: of a model of the catalog.
    """
    lines = [*HEADER, *(f"# {remark}" for remark in remarks), ""]
    values: dict[str, Sequence[str | float]] = {
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
    # JSON's strings and lists are TOML's too.
    lines += [
        f"{name} = {json.dumps(list(found), ensure_ascii=False)}" for name, found in values.items()
    ]
    said: dict[str, str | float | None] = {
        "front_end": reading.front_end,
        "model_input": reading.input_name,
        "model_output": reading.output_name,
        "weights": None if is_path(cell.model) else weights,
        **({} if load is None else _traffic(load)),
    }
    lines += [
        f"{name} = {json.dumps(text, ensure_ascii=False)}" for name, text in said.items() if text
    ]
    return "\n".join(lines) + "\n"


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


def again(asked: TuneOptions, budget_s: float | None) -> str:
    """Return the command that asks the same with the budget that would decide; empty of none."""
    if budget_s is None:
        return ""
    words = ["rtfbench", "tune"]
    for each in fields(asked):
        value: Any = budget_s if each.name == "budget_s" else getattr(asked, each.name)
        option = OPTIONS.get(each.name, f"--{each.name.replace('_', '-')}")
        if each.name == "reading":
            said = zip(READING, (value.front_end, value.input_name, value.output_name), strict=True)
            words += [word for pair in said if pair[1] is not None for word in pair]
        elif each.name == "libraries":
            given = ((f"--{name}-home", path) for name, path in value.items() if path is not None)
            words += [str(word) for pair in given for word in pair]
        elif each.name == "traffic":
            given = ((option, getattr(value, name)) for name, option in TRAFFIC.items())
            words += [
                _written(word)
                for pair in given
                if pair[1] is not None and pair != ("--gamma", 1)
                for word in pair
            ]
        elif each.name in ("model", "budget_s") or value != each.default:
            several = value if isinstance(value, list | tuple) else [value]
            words += [
                text
                for one in several
                for text in ([option] if one is True else [option, _written(one)])
            ]
    return shlex.join(words)


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def commands(cell: Cell, saved: str) -> Iterator[str]:
    """Yield finished commands: to extract with a configuration, and to measure it again.

    Args:
        cell: the configuration.
        saved: the file that it is saved in.
    """
    listed = ["--wav-scp", "wav.scp", "--config", saved]
    yield shlex.join(["rtfbench", "extract", *listed, "--result", "embeddings.ark"])
    yield shlex.join(["rtfbench", "run", saved])
