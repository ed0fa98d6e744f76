"""`rtfbench merge`."""

from pathlib import Path

from bench.base.errors import InputError
from bench.base.links import followed
from bench.base.outputs import check_outputs
from bench.commands.extract import part_bytes_of
from bench.embed.embeddings import write_embeddings
from bench.extract.cards import write_card
from bench.extract.merge import find_shards
from bench.extract.report import say
from bench.extract.result import ResultFile
from bench.report import figures

OK, SOME_FAILED = 0, 1


def merge(folder: Path, *, result: Path, part_size: str | None, overwrite: bool) -> int:
    """Join the shards of a folder and return the exit status."""
    if result.is_dir():
        raise InputError(f"{result}: is a folder; name a file for --result")
    part_bytes = part_bytes_of(part_size, result)
    file = ResultFile(result, part_bytes=part_bytes)
    if file.finished is not None and not overwrite:
        raise InputError(f"{file.finished}: is there already; replace it with --overwrite")
    if followed(result.parent) == followed(folder) and result.name.startswith("shard-"):
        raise InputError(f"{result}: would replace a shard; choose another --result")
    shards = find_shards(folder)
    check_outputs(file.outputs, folder.iterdir())
    for name, why in shards.failures.items():
        say(f"rtfbench: utterance {name}: {why}")
    if not shards.done:
        raise InputError(f"{folder}: the shards hold no embedding")
    try:
        write_embeddings(result, shards.rows, part_bytes, shards.origins)
        write_card(result, shards.manifests[0].setup)
    except OSError as error:
        raise InputError(f"{result}: cannot be written ({error.strerror})") from error
    count = len(shards.failures)
    skipped = f", {count} skipped" if count else ""
    parts = figures.counted(len(shards.manifests), "shard")
    say(f"{figures.counted(shards.done, 'utterance')} of {parts}{skipped}")
    say(f"results: {result}")
    return SOME_FAILED if shards.failures else OK
