"""A configuration as a file that `run`, `extract` and `gate` take, and as commands (pure)."""

import json
import shlex
from collections.abc import Iterator, Sequence

from bench.models.model_files import is_path
from bench.results.cells import Cell

#: How a saved configuration begins, so that a reader knows where it is from.
HEADER = (
    "# Found by `rtfbench tune`: a plan for `rtfbench run`, --config of `rtfbench extract`,",
    "# --baseline of `rtfbench gate`.",
)


def as_toml(cell: Cell, *, packages: tuple[str, ...], remarks: tuple[str, ...]) -> str:
    """Return a plan of one configuration.

    Args:
        cell: the configuration.
        packages: requirements that pin the runtime that was measured.
        remarks: lines of comment for its head.
    """
    lines = [*HEADER, *(f"# {remark}" for remark in remarks), ""]
    values: dict[str, Sequence[str | int]] = {
        "models": [cell.model],
        "engines": [cell.engine_label],
        "forms": [cell.form],
        "threads": [cell.threads],
        "jobs": [cell.jobs],
        "batches": [cell.batch],
        "chunk_samples": [cell.chunk_samples],
        "protocols": [cell.protocol],
        "packages": [*packages],
    }
    # JSON's strings and lists are TOML's too.
    lines += [
        f"{name} = {json.dumps(list(found), ensure_ascii=False)}" for name, found in values.items()
    ]
    return "\n".join(lines) + "\n"


def commands(cell: Cell, saved: str) -> Iterator[str]:
    """Yield finished commands: to extract with a configuration, and to measure it again.

    Args:
        cell: the configuration.
        saved: the file that it is saved in, empty where it is not.
    """
    seeded = [] if is_path(cell.model) else ["--seeded-weights"]
    listed = ["--wav-scp", "wav.scp"]
    result = ["--result", "embeddings.ark"]
    if saved:
        yield shlex.join(["rtfbench", "extract", *listed, "--config", saved, *seeded, *result])
        yield shlex.join(["rtfbench", "run", saved])
        return
    options = {
        "--model": cell.model,
        "--engine": cell.engine_label,
        "--form": cell.form,
        "--chunk-samples": cell.chunk_samples,
        "--threads": cell.threads,
        "--jobs": cell.jobs,
        "--batch": cell.batch,
    }
    written = [str(part) for pair in options.items() for part in pair]
    yield shlex.join(["rtfbench", "extract", *listed, *written, *seeded, *result])
