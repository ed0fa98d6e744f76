"""Names of cached files change with what made them, and with nothing else."""

import shutil
from pathlib import Path

import pytest

from bench.base.modules import ROOT
from bench.embed.audio_input import Source
from bench.embed.reference import ReferenceRequest, path_of
from bench.models import keys
from bench.zoo import catalog
from tests.test_architecture import imports, modules

#: What makers import that cannot change a byte of what they make: errors, values, files and the
#: processes around them, names and requests, and counts that are told of a user's file.
WITHOUT_EFFECT = (
    *("bench.base", "bench.results", "bench.plan", "bench.embed.reference", "frontends.find"),
    *("bench.models.artifacts", "bench.models.keys", "bench.models.conversion"),
    *("bench.models.user_models", "bench.models.model_files", "bench.models.probe"),
    *("bench.models.names", "bench.models.homes", "bench.zoo.catalog", "engines.protocol"),
    *("engines.registry", "engines.base", "engines.profiling", "bench.embed.audio_input"),
    *("frontends.parts", "frontends.addresses", "frontends.ogg"),
)
#: Packages themselves, whose modules are named one by one.
FACES = {"bench", "bench.zoo", "bench.embed", "bench.models", "bench.base", "engines", "frontends"}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the sources, which keys are made of until the test ends."""
    for package in ("bench", "engines", "frontends"):
        ignored = shutil.ignore_patterns("speech", "__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    monkeypatch.setattr("bench.base.cache.ROOT", tmp_path)
    return tmp_path


def all_keys() -> dict[str, str]:
    """Return every kind of key."""
    return {
        "files": keys.catalog_files("xvec"),
        "reference": keys.catalog_reference("xvec"),
        "conversions": keys.file_conversions("a"),
        "file reference": keys.file_reference("a"),
    }


def changed(tree: Path, source: str) -> set[str]:
    """Return which keys change when a source is edited."""
    before = all_keys()
    with (tree / source).open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    return {name for name, key in all_keys().items() if key != before[name]}


@pytest.mark.parametrize(
    "source",
    [
        "bench/gate/verdict.py",
        "bench/measure/session.py",
        "bench/report/markdown.py",
        "bench/models/resolve.py",
        "bench/zoo/ecapa.py",
        "engines/ort.py",
        "frontends/find.py",
    ],
)
def test_an_unrelated_edit_keeps_everything(tree: Path, source: str) -> None:
    """What neither makes a model's files nor its reference leaves both in the cache."""
    assert changed(tree, source) == set()


@pytest.mark.parametrize(
    ("source", "remade"),
    [
        ("bench/zoo/xvec.py", {"files", "reference"}),
        ("bench/zoo/seeded.py", {"files", "reference"}),
        ("bench/zoo/export.py", {"files", "reference"}),
        ("bench/models/catalog_maker.py", {"files", "reference"}),
        ("bench/zoo/reference_session.py", {"reference"}),
        ("bench/embed/pipeline.py", {"files", "reference", "file reference"}),
        ("frontends/fbank.py", {"files", "reference", "file reference"}),
        ("bench/models/prepare.py", {"reference", "file reference"}),
        ("bench/models/onnx_graph.py", {"conversions"}),
        ("bench/models/file_maker.py", {"conversions", "file reference"}),
    ],
)
def test_a_related_edit_remakes(tree: Path, source: str, remade: set[str]) -> None:
    """An edit changes the keys of what depends on it, and no other."""
    assert changed(tree, source) == remade


def test_models_differ_in_their_keys() -> None:
    """Two models of one family have keys of their own: the card is part of it."""
    assert len({keys.catalog_files(name) for name in catalog.names()}) == len(catalog.names())


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


def closure(name: str) -> set[str]:
    """Return every module of ours that a module imports, itself included."""
    ours = modules()
    found: set[str] = set()
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each in ours and each not in found:
            found.add(each)
            waiting += imports(ours[each])
    return found


def family_file(card: catalog.ModelCard) -> str:
    """Return the source of a model's family."""
    return card.family.partition(":")[0].replace(".", "/") + ".py"


@pytest.mark.parametrize(
    ("makers", "sources"),
    [
        (
            ["bench.models.catalog_maker", "bench.zoo.xvec"],
            (*keys.EXPORT, *keys.CALIBRATION, keys.TRAINED),
        ),
        *(
            (
                [card.family.partition(":")[0]],
                (*keys.EXPORT, *keys.BORROWED.get(family_file(card), ())),
            )
            for card in map(catalog.get, catalog.names())
        ),
        (["bench.models.file_maker"], (*keys.CONVERSION, *keys.CALIBRATION)),
        (["bench.models.model_reading"], keys.DESCRIPTION),
    ],
)
def test_no_source_is_forgotten(makers: list[str], sources: tuple[str, ...]) -> None:
    """Whatever a maker imports is a source of its key, or known to have no effect."""
    reached = {each for maker in makers for each in closure(maker)} - FACES
    named = {source.removesuffix(".py").replace("/", ".") for source in sources}
    named |= {each.removesuffix(".__init__") for each in named}
    named |= {"bench.zoo.reference_session", *(each for each in makers if "zoo" in each)}
    forgotten = {each for each in reached - named if not each.startswith(WITHOUT_EFFECT)}
    assert forgotten == set()
