"""The catalog names models without building them."""

import dataclasses
import subprocess
import sys

import pytest

from rtfbench.models import zoo
from rtfbench.models.zoo import catalog
from rtfbench.models.zoo.catalog import UnknownModelError


def test_catalog_needs_no_torch() -> None:
    """Importing the catalog does not import torch."""
    program = "import sys, rtfbench.models.zoo.catalog; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_name_has_its_card() -> None:
    """Every name leads to the card of that name, and cards can be hashed."""
    cards = [catalog.get(name) for name in catalog.names()]
    assert tuple(card.name for card in cards) == catalog.names()
    assert len(set(cards)) == 17


def test_titles_are_unique() -> None:
    """No two models share a display name, so a table row is never ambiguous."""
    titles = {catalog.get(name).title for name in catalog.names()}
    assert len(titles) == len(catalog.names())


def test_cards_are_frozen() -> None:
    """A card cannot be changed, its arguments included."""
    card = catalog.get("resnet34")
    with pytest.raises(dataclasses.FrozenInstanceError):
        card.embed_dim = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        card.kwargs["block"] = "bottleneck"  # type: ignore[index]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("resnet43", "resnet34"), ("ResNet34", "resnet34"), ("capplus", "campplus")],
)
def test_unknown_model_suggests_the_nearest(wrong: str, meant: str) -> None:
    """A misspelt name is refused with the name that was meant."""
    with pytest.raises(UnknownModelError, match=f"{wrong}.*did you mean .*{meant}"):
        catalog.get(wrong)


def test_unknown_model_far_from_all_lists_all() -> None:
    """A name near to none is refused with all names; the refusal is a ValueError."""
    with pytest.raises(ValueError, match=r"known are resnet18, .*redimnet_b2"):
        zoo.build("zzz")
    with pytest.raises(ValueError, match=r"^my\.onx: no such file, and no model of the catalog$"):
        catalog.get("my.onx")


def test_resnet34_has_the_published_table() -> None:
    """ResNet-34 carries the three RTFs that the project reproduces, and the 5 s one."""
    rtfs = {
        (rtf.engine, rtf.chunk_samples): rtf.rtf for rtf in catalog.get("resnet34").published_rtf
    }
    assert rtfs == {
        ("onnxruntime", 80000): 0.060735,
        ("onnxruntime", 32000): 0.1377,
        ("mnn", 32000): 0.1333,
        ("mnn-mini", 32000): 0.05262,
    }
