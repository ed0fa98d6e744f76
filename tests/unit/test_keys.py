"""Names of cached files change with what made them."""

from pathlib import Path

import pytest

from rtfbench.base import cache, packages
from rtfbench.embed.audio_input import Source
from rtfbench.embed.reference import ReferenceRequest, path_of
from rtfbench.models import artifacts
from rtfbench.models.zoo import catalog
from tests import test_architecture


def test_a_key_holds_the_code_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit in a room that makes a file is another key; one in any other room is not."""
    monkeypatch.setattr(packages, "PACKAGE", tmp_path / "rtfbench")
    for each in (*artifacts.MODELS, "models/zoo", "gate"):
        (tmp_path / "rtfbench" / each).mkdir(parents=True)
        (tmp_path / "rtfbench" / each / "one.py").write_text("a = 1\n")

    def both() -> tuple[str, str]:
        cache._code_of.cache_clear()
        return artifacts.catalog_files("xvec"), artifacts.of_file("a")

    first = both()
    (tmp_path / "rtfbench" / "gate" / "one.py").write_text("a = 2\n")
    assert both() == first
    (tmp_path / "rtfbench" / "models" / "zoo" / "one.py").write_text("a = 2\n")
    second = both()
    (tmp_path / "rtfbench" / "frontends" / "two.py").write_text("")
    for one, two, three in zip(first, second, both(), strict=True):
        assert len({one, two, three}) == 3
    monkeypatch.undo()
    cache._code_of.cache_clear()


def test_models_differ_in_their_keys() -> None:
    """Two models of one family have keys of their own: the card is part of it."""
    assert len({artifacts.catalog_files(name) for name in catalog.names()}) == len(catalog.names())


def test_a_recording_is_part_of_a_reference(tmp_path: Path) -> None:
    """Another content, channel or chunk size is another reference."""
    audio = tmp_path / "a.wav"
    audio.write_bytes(b"one")

    def path(chunk_samples: int = 32000, channel: int | None = None) -> Path:
        source = Source(name="a", path=audio, channel=channel)
        request = ReferenceRequest(model="m", chunk_samples=chunk_samples, sources=(source,))
        return path_of(request, "key")

    first = path()
    assert path() == first
    audio.write_bytes(b"three")
    assert len({first, path(), path(channel=1), path(chunk_samples=-1)}) == 4


def test_a_room_that_is_not_there_is_refused() -> None:
    """A key of a room without any code would never change."""
    with pytest.raises(LookupError, match="no room 'zoo'"):
        cache.fingerprint(("zoo",), ())


@pytest.mark.parametrize("maker", ["catalog_maker", "make_export", "file_maker", "model_reading"])
def test_no_room_is_forgotten(maker: str) -> None:
    """Whatever a maker imports is in its key, or is known to change no byte of what it makes.

    Engines have keys of their own; `base`, `inputs` and `results` are values, files and the
    processes around them.
    """
    ours, waiting = test_architecture.modules(), [f"rtfbench.models.{maker}"]
    reached = set[str]()
    while waiting:
        each = waiting.pop()
        if each in ours and each not in reached:
            reached.add(each)
            waiting += test_architecture.imports(ours[each])
    without_effect = {"base", "inputs", "results", "engines"}
    found = {each.split(".")[1] for each in reached if "." in each} - without_effect
    assert found == set(artifacts.MODELS)
