"""What the fuzzer starts from, which needs no fuzzer."""

from pathlib import Path

import pytest

from tests import fuzz, readers


@pytest.mark.parametrize("name", fuzz.SEEDS)
def test_seeds_are_stood(name: str, tmp_path: Path) -> None:
    """Each is read or refused in one line."""
    run = fuzz.target(name, tmp_path)
    for seed in [*fuzz.SEEDS[name](), b"", b"\xff"]:
        run(seed)


@pytest.mark.parametrize(("name", "reader"), [*fuzz.SINGLE.items()])
def test_seeds_are_what_they_stand_for(name: str, reader: str, tmp_path: Path) -> None:
    """A corpus of refused files would never get behind the first check."""
    path = tmp_path / reader
    for seed in fuzz.SEEDS[name]():
        path.write_bytes(seed)
        assert readers.refusal(readers.READERS[reader], path) == ""


def test_every_list_has_a_seed(tmp_path: Path) -> None:
    """And its reader can read it."""
    for seed, (name, read) in zip(fuzz.SEEDS["lists"](), readers.LISTS.items(), strict=True):
        path = tmp_path / name
        path.write_bytes(seed[1:])
        assert readers.refusal(read, path) == ""
