"""Names that a user gave: of models and engines, checked before anything is made."""

from collections.abc import Iterable
from pathlib import Path

from rtfbench.base.errors import as_input
from rtfbench.engines import registry
from rtfbench.engines.base import chosen
from rtfbench.engines.protocol import (
    EngineError,
    EngineSpec,
    Form,
    Precision,
    SessionOptions,
    parse_engine,
)
from rtfbench.models.model_files import is_path
from rtfbench.models.zoo import catalog


def check_names(models: Iterable[str], engines: Iterable[EngineSpec]) -> None:
    """Refuse models that are neither files nor of the catalog, and engines or settings not known.

    Raises:
        InputError: one line that suggests what is near.
    """
    with as_input(ValueError, EngineError):
        for model in models:
            if not is_path(model):
                catalog.get(model)
        for spec in engines:
            chosen(
                registry.get(spec.name),
                SessionOptions(settings=spec.settings, precision=spec.computes),
            )


def named_engine(text: str) -> EngineSpec:
    """Read an engine as it is written on the command line.

    Raises:
        InputError: with an example of what is right.
    """
    with as_input(ValueError):
        return parse_engine(text)


def default_form(engine: str) -> Form:
    """Return the model form that an engine runs when no other is asked for.

    Raises:
        InputError: no such engine.
    """
    with as_input(EngineError):
        return registry.get(engine).default_form


def precisions_of(engine: str, device: str) -> tuple[Precision, ...]:
    """Return what an engine computes in on a device.

    Raises:
        InputError: no such engine.
    """
    with as_input(EngineError):
        return tuple(registry.get(engine).precisions_on(device))


def default_engine(model: str) -> str:
    """Return the engine that embeds where none is named."""
    return "mnn" if Path(model).suffix == ".mnn" or not is_path(model) else "onnxruntime"
