"""`rtfbench merge`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from rtfbench.commands.app import app, examples
from rtfbench.commands.options import PartSize


@app.command(
    short_help="Join the shards of an extraction.",
    epilog=examples(
        "rtfbench merge shards/ --result embedding.txt",
        "rtfbench merge shards/ --result embedding.ark --overwrite",
    )
    + "\n\nExit status: 0 all well, 1 a recording was skipped, 2 bad input.",
)
def merge(
    folder: Annotated[Path, Argument(help="Where `extract --shard` wrote them.")],
    result: Annotated[
        Path, Option(help="Where the embeddings go, as for `extract`: the ending tells.")
    ],
    part_size: PartSize = None,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace a result that is there.")
    ] = False,
) -> None:
    """Join shards in the order of the list: the same bytes as one run without shards.

    Every shard has to be there, unchanged, with one model, one list and one setting.
    """
    from rtfbench.extract.merge import merge as merged

    raise typer.Exit(merged(folder, result=result, part_size=part_size, overwrite=overwrite))
