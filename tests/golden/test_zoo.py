"""The zoo against WeSpeaker's own definitions of its models."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rtfbench.models import zoo
from rtfbench.models.zoo import catalog
from rtfbench.models.zoo.repvgg import reparameterize

from .golden_facts import FACTS, NEWER, STATE_SHAPES
from .golden_weights import golden_features, load_golden_weights

GOLDEN = Path(__file__).parent


@pytest.fixture(scope="module", params=catalog.names())
def name(request: pytest.FixtureRequest) -> str:
    """Name each model in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> nn.Module:
    """Build one model with the golden weights."""
    built = zoo.build(name)
    load_golden_weights(built, STATE_SHAPES[name])
    return built


def assert_golden(model: nn.Module, name: str, num_frames: int) -> None:
    """Compare an embedding to 1e-4 of its largest value."""
    file = "embeddings_newer.npz" if name in NEWER else "embeddings.npz"
    features_BTM = torch.from_numpy(golden_features(num_frames, catalog.get(name).feat_dim))
    with np.load(GOLDEN / file) as embeddings, torch.no_grad():
        expected_D = embeddings[f"{name}_T{num_frames}"]
        actual_BD = model(features_BTM).numpy()
    assert actual_BD.shape == (1, *expected_D.shape)
    assert np.abs(actual_BD[0] - expected_D).max() <= 1e-4 * np.abs(expected_D).max()


def test_the_catalog_has_the_golden_models() -> None:
    """The zoo is the golden models, no more and no fewer."""
    assert set(catalog.names()) == set(FACTS) == set(STATE_SHAPES)


def test_state_dict_is_wespeakers(name: str, model: nn.Module) -> None:
    """A model has WeSpeaker's state-dict names and shapes: nothing missing, nothing left over."""
    shapes = {entry: list(values.shape) for entry, values in model.state_dict().items()}
    assert shapes == STATE_SHAPES[name]


@pytest.mark.parametrize("num_frames", [198, 321])
def test_embedding_is_wespeakers(name: str, model: nn.Module, num_frames: int) -> None:
    """With the same weights and features, a model gives WeSpeaker's embedding."""
    assert_golden(model, name, num_frames)


@pytest.mark.parametrize("num_frames", [198, 321])
def test_reparameterized_repvgg_is_wespeakers(num_frames: int) -> None:
    """RepVGG in inference form gives the golden embedding as well."""
    model = zoo.build("repvgg")
    load_golden_weights(model, STATE_SHAPES["repvgg"])
    assert_golden(reparameterize(model), "repvgg", num_frames)


def test_reparameterizing_changes_the_form_but_not_the_function() -> None:
    """The inference form has no BatchNorm, computes the same and leaves the original alone."""
    model = zoo.build("repvgg")
    load_golden_weights(model, STATE_SHAPES["repvgg"])
    deployed = reparameterize(model)
    features_BTM = torch.from_numpy(golden_features(50))
    with torch.no_grad():
        expected_BD, actual_BD = model(features_BTM), deployed(features_BTM)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in deployed.modules())
    assert "stage0.rbr_dense.conv.weight" in model.state_dict()
    assert float((actual_BD - expected_BD).abs().max()) <= 1e-4 * float(expected_BD.abs().max())


def test_card_states_the_golden_facts(name: str) -> None:
    """A card has WeSpeaker's name, dimensions and published figures."""
    card, facts = catalog.get(name), FACTS[name]
    rtf_5s = [rtf.rtf for rtf in card.published_rtf if rtf.chunk_samples == 80000]
    assert card.wespeaker_name == facts["wespeaker_model"]
    assert (card.feat_dim, card.embed_dim) == (facts.get("feat_dim", 80), facts["embed_dim"])
    assert card.published_params == facts.get("published_params")
    assert card.published_flops == facts.get("published_flops")
    published_rtf = facts.get("published_onnxruntime_rtf_samples_per_chunk_80000")
    assert rtf_5s == ([] if published_rtf is None else [published_rtf])
