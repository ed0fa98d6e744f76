"""The workload: models with seeded weights, their published figures and their export."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rtfbench.models.zoo import catalog

if TYPE_CHECKING:
    from torch import nn


def build(name: str, *, embed_dim: int | None = None, feat_dim: int | None = None) -> nn.Module:
    """Build a model of the catalog in eval mode, with torch's own initial weights.

    State-dict names and shapes are WeSpeaker's, so its checkpoints load with `strict=True`. D and
    M, mel bins a frame, are the catalog's where they are None.

    Returns:
        A module that maps `features_BTM` float32 [B, T, M] to one Tensor float32 [B, D].

    Raises:
        UnknownModelError: the catalog has no such model.
        ValueError: its family cannot take that many mel bins.
    """
    card = catalog.get(name)
    module_name, _, factory_name = card.family.partition(":")
    factory = getattr(import_module(f"{__name__}.{module_name}"), factory_name)
    dim = card.embed_dim if embed_dim is None else embed_dim
    bins = card.feat_dim if feat_dim is None else feat_dim
    model: nn.Module = factory(feat_dim=bins, embed_dim=dim, **card.kwargs)
    return model.eval()
