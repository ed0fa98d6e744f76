"""Shards become one result, if they are all there and of one whole."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from rtfbench.base.cache import sha256_of
from rtfbench.base.errors import InputError, say
from rtfbench.base.files import check_outputs, followed, reading_from
from rtfbench.base.numbers import repeated
from rtfbench.embed.embeddings import (
    Named,
    Origin,
    origins_path,
    read_embeddings,
    read_origins,
    write_embeddings,
)
from rtfbench.extract.report import while_reading
from rtfbench.extract.result import ResultFile, part_bytes_of, write_card
from rtfbench.extract.shards import ENDING, MANIFEST, Manifest, read_manifest
from rtfbench.report import figures

OK, SOME_FAILED = 0, 1
#: So many are named, of what is wrong in many places.
NAMED = 5


@dataclass(frozen=True)
class Shards:
    """The shards of one whole, in their order."""

    folder: Path
    manifests: tuple[Manifest, ...]

    @property
    def done(self) -> int:
        """How many embeddings they hold."""
        return sum(each.done for each in self.manifests)

    @property
    def failures(self) -> dict[str, str]:
        """Utterance -> why it has no embedding."""
        return {name: why for each in self.manifests for name, why in each.failures.items()}

    def rows(self) -> Iterator[Named]:
        """Yield the embeddings in the order of the list.

        Raises:
            InputError: a shard does not hold what its manifest says, or two have one utterance.
        """
        hashes = array("q", (hash(name) for each in self.manifests for name in each.failures))
        for manifest in self.manifests:
            path, count = self.folder / f"{manifest.shard.name}{ENDING}", 0
            for named in read_embeddings(path) if manifest.done else ():
                hashes.append(hash(named.name))
                count += 1
                yield named
            if (count, count + len(manifest.failures)) != (manifest.done, manifest.entries):
                raise InputError(
                    f"{path}: holds {count} embeddings, and its manifest tells of {manifest.done} "
                    f"and {len(manifest.failures)} failures of {manifest.entries} utterances; run "
                    f"it again with extract --shard {manifest.shard} --overwrite"
                )
        if suspects := repeated(hashes):
            self._check_names(suspects)

    def _check_names(self, suspects: set[int]) -> None:
        """Refuse an utterance that is there twice, as shards of different lists have it."""
        first: dict[str, Manifest] = {}
        for manifest in self.manifests:
            path = self.folder / f"{manifest.shard.name}{ENDING}"
            done = (each.name for each in read_embeddings(path)) if manifest.done else iter(())
            for name in chain(done, manifest.failures):
                if hash(name) not in suspects:
                    continue
                if name in first:
                    shards = f"shards {first[name].shard} and {manifest.shard}"
                    raise InputError(
                        f"{self.folder}: {shards} both hold utterance {name!r}; run both again "
                        "with --overwrite, of one list"
                    )
                first[name] = manifest

    def origins(self) -> Iterator[Origin]:
        """Yield where the embeddings are from, in the same order.

        Raises:
            InputError: a shard's file of them is damaged.
        """
        for manifest in self.manifests:
            path = origins_path(self.folder / f"{manifest.shard.name}{ENDING}")
            count = 0
            for origin in islice(read_origins(path), manifest.done):
                count += 1
                yield origin
            if count < manifest.done:
                raise InputError(f"{path}: is cut off; delete it")


def find_shards(folder: Path) -> Shards:
    """Return the finished shards of a folder.

    Raises:
        InputError: one is missing, changed since, or not of one whole with the others, or an
            utterance is missing or there twice; the message says which and what to do.
    """
    with reading_from(folder):
        paths = sorted(each for each in folder.iterdir() if MANIFEST.fullmatch(each.name))
    if not paths:
        raise InputError(f"{folder}: holds no finished shard; write some with extract --shard")
    manifests = [read_manifest(path) for path in paths]
    first = manifests[0]
    for path, manifest in zip(paths, manifests, strict=True):
        if path.stem != manifest.shard.name:
            raise InputError(f"{path}: is the manifest of {manifest.shard.name}; name it so again")
        if different := manifest.differences(first):
            raise InputError(
                f"{path}: does not belong to {paths[0].name}: {'; '.join(different)}; delete one "
                "and run its shard again"
            )
    found = {each.shard.number: each for each in manifests}
    numbers = range(1, first.shard.of + 1)
    if missing := first.shard.of - len(found):
        names = (f"{number}/{first.shard.of}" for number in numbers if number not in found)
        named = ", ".join(islice(names, NAMED))
        more = f" and {missing - NAMED} more" if missing > NAMED else ""
        raise InputError(
            f"{folder}: {missing} of {first.shard.of} shards are missing: {named}{more}; run them "
            "with extract --shard"
        )
    shards = Shards(folder, tuple(found[number] for number in numbers))
    for manifest in shards.manifests:
        _check_unchanged(folder, manifest)
    _check_contiguous(shards)
    return shards


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
    with while_reading(folder):
        shards = find_shards(folder)
    check_outputs(file.outputs, folder.iterdir())
    for name, why in shards.failures.items():
        say(f"rtfbench: utterance {name}: {why}")
    if not shards.done:
        raise InputError(f"{folder}: the shards hold no embedding")
    try:
        with while_reading(folder):
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


def _check_unchanged(folder: Path, manifest: Manifest) -> None:
    path = folder / f"{manifest.shard.name}{ENDING}"
    if manifest.sha256 is None:
        return
    with reading_from(path):
        same = sha256_of(path) == manifest.sha256
    if not same:
        raise InputError(
            f"{path}: is not what its manifest says; run it again with extract "
            f"--shard {manifest.shard} --overwrite"
        )


def _check_contiguous(shards: Shards) -> None:
    """Refuse shards that overlap or leave a gap, as those of different releases might."""
    place, before = 0, None
    for manifest in shards.manifests:
        if manifest.first != place:
            what = "missing" if manifest.first > place else "there twice"
            ends = sorted((manifest.first, place))
            raise InputError(
                f"{shards.folder}: utterances {ends[0] + 1} to {ends[1]} of the list are {what}, "
                f"between shards {before} and {manifest.shard}; run both again"
            )
        place, before = place + manifest.entries, manifest.shard
    total = shards.manifests[0].list_entries
    if place != total:
        raise InputError(
            f"{shards.folder}: utterances {place + 1} to {total} of the list are missing, behind "
            f"shard {before}; run it again"
        )
