"""Seeded weights: the same everywhere, and sane in every layer."""

import copy
import functools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from rtfbench.embed.audio_input import check_audio, read_source
from rtfbench.embed.pipeline import Pipeline
from rtfbench.engines.protocol import FloatArray
from rtfbench.frontends.front_end import WESPEAKER
from rtfbench.models import zoo
from rtfbench.models.zoo import catalog
from rtfbench.models.zoo.repvgg import reparameterize
from rtfbench.models.zoo.weights import (
    denormal_share,
    round_to_bits,
    seed_weights,
    speech_like_features,
)

# They take a minute together, and differ from others of their family in depth or width alone.
DEEP = {"resnet18", "resnet101", "resnet152", "resnet221", "resnet293", "ecapa1024"}


@functools.cache
def made(feat_dim: int = 80) -> FloatArray:
    """Return one chunk of 198 frames from each of three utterances unknown to calibration."""
    return speech_like_features(3, 198, feat_dim, seed=1)


@functools.cache
def speech(feat_dim: int = 80) -> FloatArray:
    """Return the first chunk of every recording in the package."""
    pipeline = Pipeline(32000, WESPEAKER.with_bins(feat_dim))
    return np.concatenate(
        [pipeline.first_chunk(read_source(source)) for source in check_audio([]).sources]
    )


FEATURES_BTM = made()


def seeded(name: str, seed: int = 0) -> nn.Module:
    """Build a model with seeded weights."""
    model = zoo.build(name)
    seed_weights(model, seed=seed, feat_dim=catalog.get(name).feat_dim)
    return model


def embed(model: nn.Module, features_BTM: FloatArray = FEATURES_BTM) -> torch.Tensor:
    """Embed utterances, those of the tests if none are named: [B, D]."""
    with torch.no_grad():
        embeddings_BD: torch.Tensor = model(torch.from_numpy(features_BTM))
    return embeddings_BD


def assert_sane(model: nn.Module, feat_dim: int = 80) -> None:
    """Embeddings are of ordinary size, differ between inputs and come without denormals."""
    # Recordings made by the same kind of machine have more in common than made-up features.
    for features_BTM, highest_cosine in ((made(feat_dim), 0.9), (speech(feat_dim), 0.98)):
        embeddings_BD = embed(model, features_BTM)
        assert 0.1 < float(embeddings_BD.std()) < 5
        unit_BD = nn.functional.normalize(embeddings_BD)
        cosines_BB = unit_BD @ unit_BD.T - 2 * torch.eye(len(unit_BD))
        assert float(cosines_BB.max()) < highest_cosine
        assert denormal_share(model, features_BTM[:1, :98]) == 0


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.deep] if name in DEEP else [])
        for name in catalog.names()
    ],
)
def name(request: pytest.FixtureRequest) -> str:
    """Name each model in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> nn.Module:
    """Build each model in turn with seeded weights."""
    return seeded(name)


def test_every_model_is_sane(name: str, model: nn.Module) -> None:
    """In every model, activations survive to the embedding and the input decides on it."""
    assert_sane(model, catalog.get(name).feat_dim)


@pytest.mark.parametrize("features", [made, speech])
def test_rounding_errors_do_not_grow(
    name: str, model: nn.Module, features: Callable[[int], FloatArray]
) -> None:
    """Float32 agrees with float64 to 1e-4, so two correct engines cannot seem to disagree."""
    chunk_BTM = torch.from_numpy(features(catalog.get(name).feat_dim)[:1])
    with torch.no_grad():
        single_BD = model(chunk_BTM)
        double_BD = copy.deepcopy(model).double()(chunk_BTM.double())
    assert float((single_BD - double_BD).abs().max()) < 1e-4 * float(double_BD.abs().max())


@pytest.mark.parametrize("name", ["repvgg"], indirect=True)
def test_reparameterized_repvgg_is_sane(model: nn.Module) -> None:
    """RepVGG stays sane, and the same, when its branches are merged."""
    deployed = reparameterize(model)
    assert_sane(deployed)
    torch.testing.assert_close(embed(deployed), embed(model), rtol=0, atol=1e-3)


def test_repvgg_is_not_seeded_in_inference_form() -> None:
    """Weights that cannot be calibrated are refused, with the cure."""
    with pytest.raises(ValueError, match="before it is reparameterized"):
        seed_weights(reparameterize(zoo.build("repvgg")))


def test_weights_follow_from_the_seed() -> None:
    """The same seed gives the same bits, whatever torch's own generator did; another does not."""
    torch.manual_seed(1)
    first = seeded("xvec").state_dict()
    torch.manual_seed(2)
    second = seeded("xvec").state_dict()
    other = seeded("xvec", seed=1).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["seg_2.weight"], other["seg_2.weight"])


def test_weights_do_not_depend_on_threads() -> None:
    """Sums split over threads differ in their last digits, the weights do not."""
    num_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        single = seeded("resnet18").state_dict()
        torch.set_num_threads(2)
        several = seeded("resnet18").state_dict()
    finally:
        torch.set_num_threads(num_threads)
    assert all(torch.equal(single[name], several[name]) for name in single)


def test_seeded_model_is_ready_to_run() -> None:
    """Calibration leaves float32, eval mode and the usual momentum behind."""
    model = seeded("xvec")
    assert {values.dtype for values in model.parameters()} == {torch.float32}
    assert not any(module.training for module in model.modules())
    batch_norm = model.get_submodule("seg_bn_1")
    assert isinstance(batch_norm, nn.BatchNorm1d)
    assert batch_norm.momentum == 0.1


def test_rounding_swallows_the_noise_of_summation() -> None:
    """Values that differ in the 13th digit round to the same bits, near zero too."""
    values = torch.from_numpy(np.random.default_rng(0).standard_normal(10_000))
    scale = torch.ones_like(values)
    noisy = values * (1 + 1e-13) + 1e-15
    assert torch.equal(round_to_bits(values, scale), round_to_bits(noisy, scale))
    assert float((round_to_bits(values, values) / values - 1).abs().max()) <= 2**-8


def test_features_look_like_speech_after_mean_normalisation() -> None:
    """Features are float32, of log-mel size, without a mean over time and smooth in time."""
    assert FEATURES_BTM.shape == (3, 198, 80)
    assert FEATURES_BTM.dtype == np.float32
    assert 2 < FEATURES_BTM.std() < 3
    np.testing.assert_allclose(FEATURES_BTM.mean(axis=1), 0, atol=1e-5)
    # Steps of white noise are sqrt(2) times as large as its values; these are under half of that.
    steps = np.diff(FEATURES_BTM, axis=1)
    assert steps.std() < 0.5 * np.sqrt(2) * FEATURES_BTM.std()


def test_denormals_are_found() -> None:
    """A layer that scales everything into the denormal range is reported as wholly denormal."""
    shrink = nn.Linear(80, 80, bias=False)
    with torch.no_grad():
        shrink.weight.copy_(torch.eye(80) * 1e-40)
    features_BTM = np.ones((1, 2, 80), dtype=np.float32)
    assert denormal_share(nn.Sequential(shrink, nn.ReLU()), features_BTM) == 1


def test_denormals_are_found_between_modules() -> None:
    """What a model computes without a module counts too, by the share of its values."""

    class Shrink(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            half = x.shape[2] // 2
            return torch.cat([x[..., :half] * 1e-40, x[..., half:] * 2], dim=2)

    assert denormal_share(Shrink(), np.ones((1, 3, 80), dtype=np.float32)) == 0.5
