"""Counts are exact integers, and the published figures follow from them."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rtfbench.engines.protocol import PUBLISHED_NUM_FRAMES
from rtfbench.models import zoo
from rtfbench.models.zoo import catalog
from rtfbench.models.zoo.catalog import COUNTS, NUM_FRAMES
from rtfbench.models.zoo.counter import Counts, count
from rtfbench.report import figures
from tests.golden.golden_facts import FACTS, NEWER

# WeSpeaker rounded these two and cut off all the others.
ROUNDED_PARAMS = {"campplus"}
ROUNDED_FLOPS = {"gemini"}


@pytest.fixture(scope="module", params=catalog.names())
def name(request: pytest.FixtureRequest) -> str:
    """Name each model in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> nn.Module:
    """Build each model without values: counting needs none."""
    with torch.device("meta"):
        return zoo.build(name)


@pytest.fixture(scope="module")
def counts(name: str, model: nn.Module) -> Counts:
    """Count each model at 198 frames."""
    return count(model, 198, FACTS[name].get("feat_dim", 80))


def test_params_are_the_golden_integers(name: str, counts: Counts) -> None:
    """Params equal the golden integers."""
    assert counts.params == FACTS[name]["params"]


@pytest.mark.parametrize("name", [name for name in FACTS if name not in NEWER], indirect=True)
def test_operations_are_the_golden_integers(name: str, model: nn.Module, counts: Counts) -> None:
    """MACs at both lengths and published FLOPs equal the golden integers, where there are any."""
    facts = FACTS[name]
    assert counts.macs == facts["conv_linear_macs_at_198_frames"]
    assert count(model, PUBLISHED_NUM_FRAMES).macs == facts["conv_linear_macs_at_200_frames"]
    assert counts.published_flops == facts["published_convention_flops_at_200_frames"]


@pytest.mark.parametrize("name", ["resnet34", *NEWER], indirect=True)
def test_macs_are_those_of_torchs_own_counter(name: str, model: nn.Module, counts: Counts) -> None:
    """Another program counts as many; products of two activations are in neither figure."""
    features_BTM = torch.empty(1, 198, catalog.get(name).feat_dim, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(features_BTM)
    by_operator = {str(each): flops for each, flops in counter.get_flop_counts()["Global"].items()}
    assert counts.macs * 2 == sum(by_operator.values()) - by_operator.get("aten.bmm", 0)


def test_published_params_follow_digit_by_digit(name: str, counts: Counts) -> None:
    """Published params are the exact count, cut off after two decimals (one is rounded)."""
    published = catalog.get(name).published_params
    rounded = f"{counts.params / 1e6:.2f} M"
    derived = rounded if name in ROUNDED_PARAMS else figures.params(counts.params)
    assert published in (None, derived)


def test_published_flops_follow_digit_by_digit(name: str, counts: Counts) -> None:
    """Published FLOPs are the exact count, cut off after two decimals (one is rounded)."""
    published = catalog.get(name).published_flops
    rounded = f"{counts.published_flops / 1e9:.2f} G"
    derived = rounded if name in ROUNDED_FLOPS else figures.flops(counts.published_flops)
    assert published in (None, derived)


def test_rounded_figures_are_real_exceptions() -> None:
    """The two figures listed as rounded do differ from the cut-off ones."""
    assert figures.params(FACTS["campplus"]["params"]) == "7.17 M"
    assert catalog.get("campplus").published_params == "7.18 M"
    gemini_flops = FACTS["gemini"]["published_convention_flops_at_200_frames"]
    assert figures.flops(gemini_flops) == "5.41 G"
    assert catalog.get("gemini").published_flops == "5.42 G"


def test_uncounted_operators_are_named() -> None:
    """The counter says which arithmetic is in neither figure, and lists no plain moves."""
    with torch.device("meta"):
        model = zoo.build("xvec")
    assert count(model, 198).uncounted == ("add", "mean", "relu", "sqrt", "var")


def count_named(name: str, num_frames: int) -> Counts:
    """Count one chunk through a model of the catalog, which is made without values."""
    with torch.device("meta"):
        model = zoo.build(name)
    return count(model, num_frames, catalog.get(name).feat_dim)


@pytest.mark.parametrize("name", catalog.names())
def test_what_is_listed_is_what_is_counted(name: str) -> None:
    """The counts of the list, which are data, are those of the model as it is built."""
    counted = count_named(name, NUM_FRAMES)
    assert COUNTS[name] == (counted.params, counted.published_flops, counted.macs)


@pytest.mark.parametrize("name", ["repvgg", "xvec"])
def test_a_model_without_values_counts_alike(name: str) -> None:
    """Shapes decide, also where the inference form is made of the training form's values."""
    assert count_named(name, 198) == count(zoo.build(name), 198)


def test_counting_leaves_the_model_alone() -> None:
    """The counted model keeps its values, its place and no hook."""
    model = zoo.build("xvec")
    before = {name: values.clone() for name, values in model.state_dict().items()}
    count(model, 198)
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
