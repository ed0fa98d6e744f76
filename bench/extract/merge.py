"""Shards become one result, if they are all there and of one whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.base.cache import sha256_of
from bench.base.errors import InputError
from bench.embed.embeddings import Named, read_embeddings
from bench.embed.origins import Origin, origins_path, read_origins
from bench.extract.shards import ENDING, MANIFEST, Manifest, Shard, read_manifest

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
            InputError: a shard does not hold what its manifest says.
        """
        for manifest in self.manifests:
            if manifest.done:
                yield from read_embeddings(self.folder / f"{manifest.shard.name}{ENDING}")

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
    paths = sorted(each for each in _files(folder) if MANIFEST.fullmatch(each.name))
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
    if missing := [Shard(number=n, of=first.shard.of) for n in numbers if n not in found]:
        count = f"{len(missing)} of {first.shard.of} shards are missing"
        raise InputError(
            f"{folder}: {count}: {_some(map(str, missing))}; run them with extract --shard"
        )
    shards = Shards(folder, tuple(found[number] for number in numbers))
    for manifest in shards.manifests:
        _check_unchanged(folder, manifest)
    _check_contiguous(shards)
    return shards


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error


def _check_unchanged(folder: Path, manifest: Manifest) -> None:
    path = folder / f"{manifest.shard.name}{ENDING}"
    if manifest.sha256 is None:
        return
    try:
        same = sha256_of(path) == manifest.sha256
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
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


def _some(texts: Iterator[str]) -> str:
    named = list(islice(texts, NAMED))
    more = sum(1 for _ in texts)
    return ", ".join(named) + (f" and {more} more" if more else "")
