"""How many shards a list becomes, and what a folder tells of those that were begun."""

from pathlib import Path

import pytest

from rtfbench.base.errors import InputError
from rtfbench.extract.cluster.tasks import Pace
from rtfbench.extract.cluster.whole import (
    SHARD_S,
    ShardPlan,
    begun,
    clear,
    places,
    shard_count,
)
from rtfbench.inputs.find import Listing
from rtfbench.inputs.kaldi import from_scp


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    """Return a list of a thousand entries."""
    scp = tmp_path / "wav.scp"
    scp.write_text("".join(f"u{i} a.wav\n" for i in range(1000)))
    return from_scp(scp)


@pytest.mark.parametrize(
    ("seconds", "slots", "shards"),
    [
        # A thousand at 2.4 s an utterance are 2400 s: twenty shards of two minutes.
        (2.4, 2, round(1000 * 2.4 / SHARD_S)),
        # Fewer would leave workers without work at the end.
        (0.001, 8, 32),
        # No shard is empty.
        (0.001, 1000, 1000),
    ],
)
def test_a_shard_takes_two_minutes(
    listing: Listing, seconds: float, slots: int, shards: int
) -> None:
    """The pace of a few decides, within what the workers need and the list has."""
    assert shard_count(listing, Pace(embedded=5, wall_s=5 * seconds), slots) == shards


def test_the_pace_is_taken_all_over_the_list(listing: Listing) -> None:
    """Neither the beginning nor the end of a list is like the rest of it."""
    assert places(listing) == (0, 125, 250, 375, 500, 625, 750, 875)
    assert places(listing.part(10, 13)) == (0, 1, 2)


def test_shards_follow_each_other(listing: Listing, tmp_path: Path) -> None:
    """Each entry is in one shard, whose places are those that `extract --shard` takes."""
    plan = ShardPlan.of(listing, tmp_path, 7)
    units = [plan.unit(number) for number in range(1, 8)]
    assert [name for unit in units for name in unit.listing.names()] == list(listing.names())
    assert [unit.first for unit in units] == [1000 * i // 7 for i in range(7)]


def test_what_was_begun_is_found_by_its_name(tmp_path: Path) -> None:
    """Whatever a killed worker leaves tells how many shards there were to be."""
    assert begun(tmp_path) is None
    assert begun(tmp_path / "none") is None
    for name in (".cluster", "shard-00002-of-00007.ark.part", ".31.shard-00001-of-00007.json"):
        (tmp_path / name).touch()
    assert begun(tmp_path) == 7
    (tmp_path / "shard-00002-of-00009.json").touch()
    with pytest.raises(InputError, match="parts of 7 and of 9 shards"):
        begun(tmp_path)
    clear(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [".cluster"]
