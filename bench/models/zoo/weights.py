"""Weights of the catalog's models: seeded, or trained ones that come with the package.

How long a model takes does not depend on its weights, as long as no activation is denormal; how
well an engine's embedding is checked does: it has to react to the input. So the weights for
measuring without a checkpoint, the same everywhere and sane in every layer, are drawn at random and
the BatchNorms then calibrated on speech-like features.

Trained weights are in half precision, one file a model: a plain `.npz`, read without pickle. What
normalises is kept in float32: a BatchNorm's variance may be too small for half precision.
"""

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rtfbench.base.cache import replacing
from rtfbench.models.zoo import build, catalog
from rtfbench.models.zoo.counter import MOVING, OperatorWatch
from rtfbench.models.zoo.layers import Residual
from rtfbench.models.zoo.repvgg import reparameterize

WEIGHT_SEED = 0
CALIBRATION_UTTERANCES = 12
CALIBRATION_FRAMES = 64
# Standard deviations of log-mel features: from steady noise to clean speech between pauses.
CALIBRATION_STDS = (1.0, 7.0)
# Eight bits: far coarser than float64 noise, far finer than what calibration has to hit.
KEPT_BITS = 8
# Residual branches add little, as in trained networks: at most this much each, and all of them
# together less than the shortcut. At full strength, rounding errors grow so much over a
# hundred blocks that two correct engines would disagree.
MAX_BRANCH_GAIN = 0.2
# A channel that hardly moved in calibration must not be blown up when it moves later.
_VARIANCE_FLOOR = 1 / 16  # of the layer's mean variance

_FRAME_RATE_HZ = 100.0
_MAX_MODULATION_HZ = 12.0
_NUM_MODULATIONS = 12
_NUM_ENVELOPES = 12
_NOISE_SHARE = 0.2
_FEATURE_STD = 2.5  # natural logarithm of mel energies, as of a clean recording


def speech_like_features(
    num_utterances: int, num_frames: int, feat_dim: int = 80, *, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Synthesise log-mel features after mean normalisation: float32 [B, T, M].

    Smooth spectral envelopes (a cosine basis over the mel axis) rise and fall at the rates of
    syllables and phones, with a little noise on top.
    """
    rng = np.random.default_rng([seed, num_utterances, num_frames, feat_dim])
    order_K = np.arange(_NUM_ENVELOPES)
    mel_M = (np.arange(feat_dim) + 0.5) / feat_dim
    envelopes_KM = np.cos(np.pi * np.outer(order_K, mel_M)) / (1 + order_K)[:, None]

    shape_BJ = (num_utterances, _NUM_MODULATIONS, 1)
    rate_hz = rng.uniform(0.5, _MAX_MODULATION_HZ, shape_BJ)
    phase = rng.uniform(0, 2 * np.pi, shape_BJ)
    time_s = np.arange(num_frames) / _FRAME_RATE_HZ
    modulations_BJT = np.cos(2 * np.pi * rate_hz * time_s + phase)

    strength_BJK = rng.standard_normal((num_utterances, _NUM_MODULATIONS, _NUM_ENVELOPES))
    features_BTM = np.einsum("bjt,bjk,km->btm", modulations_BJT, strength_BJK, envelopes_KM)
    features_BTM += _NOISE_SHARE * features_BTM.std() * rng.standard_normal(features_BTM.shape)
    features_BTM -= features_BTM.mean(axis=1, keepdims=True)
    features_BTM *= _FEATURE_STD / features_BTM.std(axis=(1, 2), keepdims=True)
    float32_BTM: npt.NDArray[np.float32] = features_BTM.astype(np.float32)
    return float32_BTM


def seed_weights(model: nn.Module, *, seed: int = 0, feat_dim: int = 80) -> None:
    """Fill a model in place with weights that depend on `seed` and state-dict names alone.

    RepVGG has to be in its training form; `reparameterize` it afterwards. The model is left in
    eval mode and float32.

    Raises:
        ValueError: the model has no BatchNorm.
    """
    batch_norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    if not batch_norms:
        raise ValueError("no BatchNorm to calibrate; seed RepVGG before it is reparameterized")
    with torch.no_grad():
        for name, values in model.state_dict().items():
            if values.is_floating_point():
                values.copy_(torch.from_numpy(_draw(name, tuple(values.shape), seed)))
        blocks = [module for module in model.modules() if isinstance(module, Residual)]
        for block in blocks:
            for weight in block.branch_weights():
                weight.mul_(min(MAX_BRANCH_GAIN, 1 / math.sqrt(2 * len(blocks))))
    # In float64, where the order of a sum changes about the 13th digit, the rounding below
    # gives the same bits on any CPU.
    model.double()
    features_BTM = speech_like_features(CALIBRATION_UTTERANCES, CALIBRATION_FRAMES, feat_dim)
    stds_B = np.geomspace(*CALIBRATION_STDS, CALIBRATION_UTTERANCES, dtype=np.float32)
    features_BTM *= stds_B[:, None, None] / _FEATURE_STD
    _calibrate(model, batch_norms, torch.from_numpy(features_BTM).double())
    model.float().eval()


def _draw(name: str, shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    """Return the initial values of one state-dict entry."""
    if name.endswith("running_mean"):
        return np.zeros(shape, dtype=np.float32)
    if name.endswith("running_var"):
        return np.ones(shape, dtype=np.float32)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    noise = rng.standard_normal(shape, dtype=np.float32)
    if len(shape) > 1:  # He et al., 2015: the variance survives a layer and its ReLU
        return noise * np.float32(math.sqrt(2 / math.prod(shape[1:])))
    if name.endswith("weight"):  # BatchNorm
        return 1 + np.float32(0.1) * noise
    return np.float32(0.05) * noise


def _calibrate(
    model: nn.Module, batch_norms: list[nn.BatchNorm1d | nn.BatchNorm2d], features_BTM: Tensor
) -> None:
    """Set BatchNorm statistics from one pass and weaken what embeddings share, with few bits."""
    usual_momentum = [bn.momentum for bn in batch_norms]
    for bn in batch_norms:
        bn.momentum = None  # plain average: after one pass, the statistics of that pass
        bn.reset_running_stats()
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    inputs_BP: list[Tensor] = []
    # A model without linear layers ends in a BatchNorm, which takes the shared part out itself.
    handles = [
        linear.register_forward_pre_hook(lambda _, inputs: inputs_BP.append(inputs[0]))
        for linear in linears[-1:]
    ]
    with torch.no_grad():
        model.train()(features_BTM)
        for handle in handles:
            handle.remove()
        for bn, momentum in zip(batch_norms, usual_momentum, strict=True):
            bn.momentum = momentum
            _tame_statistics(bn)
        for linear, pooled_BP in zip(linears[-1:], inputs_BP, strict=True):
            _forget_shared(linear, pooled_BP)


def _tame_statistics(bn: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Floor and round running statistics; a mean is rounded on the scale of its deviation."""
    mean, variance = bn.running_mean, bn.running_var
    assert mean is not None
    assert variance is not None
    variance.clamp_(min=float(variance.mean()) * _VARIANCE_FLOOR)
    variance.copy_(round_to_bits(variance, variance))
    mean.copy_(round_to_bits(mean, variance.sqrt()))


def _forget_shared(linear: nn.Linear, inputs_BP: Tensor) -> None:
    """Make the last layer blind to the direction that all of its inputs share.

    Pooled vectors of random networks differ by a tenth of what they have in common, and cosines
    would all be near 1. The part that grows in that direction with the level goes; a bias that
    centred the embeddings would be right for one level alone. What the utterances of one level
    share beside it stays, so that an embedding is not a small difference of large numbers, in
    which an engine's rounding errors would loom large.
    """
    # On the scale of all values, so that behind a BatchNorm, where the mean is zero up to the
    # noise of summation, nothing is left to forget.
    shared_P = round_to_bits(inputs_BP.mean(dim=0), inputs_BP.std())
    if shared_P.any():
        answers_D = linear.weight @ shared_P / shared_P.square().sum()
        linear.weight.sub_(torch.outer(round_to_bits(answers_D, answers_D.std()), shared_P))


def round_to_bits(values: Tensor, scale: Tensor) -> Tensor:
    """Round to KEPT_BITS below the leading bit of `scale`."""
    _, exponent = torch.frexp(scale)
    step = torch.ldexp(torch.ones_like(scale), exponent - KEPT_BITS)
    return torch.round(values / step) * step


def denormal_share(model: nn.Module, features_BTM: npt.NDArray[np.float32]) -> float:
    """Return the share of denormal values among all that a model computes.

    Denormals take some CPUs a hundred times as long, so a measurement on them is worthless.
    """
    num_values = num_denormal = 0

    def inspect(operator: str, results: Any) -> None:
        nonlocal num_values, num_denormal
        if operator in MOVING:
            return
        for values in results if isinstance(results, tuple | list) else [results]:
            if isinstance(values, Tensor) and values.is_floating_point():
                smallest_normal = torch.finfo(values.dtype).tiny
                num_denormal += int(((values != 0) & (values.abs() < smallest_normal)).sum())
                num_values += values.numel()

    values_BTM = torch.from_numpy(features_BTM)  # not the model's doing
    with torch.no_grad(), OperatorWatch(inspect):
        model(values_BTM)
    return num_denormal / num_values


def seeded_model(name: str) -> nn.Module:
    """Build a model of the catalog with its seeded weights, in the form that is exported."""
    model = build(name)
    seed_weights(model, seed=WEIGHT_SEED, feat_dim=catalog.get(name).feat_dim)
    return reparameterize(model).eval()


#: Matrices and kernels are halved; vectors take little room.
_HALVED_FROM_AXES = 2


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's weights, as a whole or not at all."""
    arrays = {}
    for name, values in model.state_dict().items():
        array = values.detach().numpy()
        halved = array.ndim >= _HALVED_FROM_AXES and array.dtype == np.float32
        arrays[name] = array.astype(np.float16) if halved else array
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill a model in place, in float32.

    Raises:
        RuntimeError: the file's names or shapes are not the model's.
    """
    with np.load(path, allow_pickle=False) as arrays:
        state = {
            name: torch.from_numpy(array.astype(np.float32) if array.dtype == np.float16 else array)
            for name, array in arrays.items()
        }
    model.load_state_dict(state, strict=True)


def trained_model(name: str) -> nn.Module:
    """Build a model of the catalog with its trained weights, in the form that is exported.

    Raises:
        FileNotFoundError: it has none.
    """
    path = catalog.trained_weights(name)
    if path is None:
        raise FileNotFoundError(f"{name} has no trained weights")
    model = build(name)
    load_weights(model, path)
    return reparameterize(model).eval()
