"""Names that a user gave: of models and engines, checked before anything is made."""

from collections.abc import Iterable

from bench.base.errors import InputError
from bench.models.model_files import is_path
from bench.plan.engine_spec import parse_engine
from bench.zoo import catalog
from engines import registry
from engines.protocol import EngineError, Form, Precision, SessionOptions, chosen


def check_names(models: Iterable[str], engines: Iterable[str]) -> None:
    """Refuse models that are neither files nor of the catalog, and engines or settings not known.

    Args:
        models: names or paths.
        engines: names, with settings or without.

    Raises:
        InputError: one line that suggests what is near.
    """
    try:
        for model in models:
            if not is_path(model):
                catalog.get(model)
        for spec in map(parse_engine, engines):
            chosen(
                registry.get(spec.name),
                SessionOptions(settings=spec.settings, precision=spec.computes),
            )
    except (ValueError, EngineError) as error:
        raise InputError(str(error)) from error


def default_form(engine: str) -> Form:
    """Return the model form that an engine runs when nobody asks for another.

    Raises:
        InputError: no such engine.
    """
    try:
        return registry.get(engine).default_form
    except EngineError as error:
        raise InputError(str(error)) from error


def precisions_of(engine: str) -> tuple[Precision, ...]:
    """Return what an engine computes in.

    Raises:
        InputError: no such engine.
    """
    try:
        return tuple(registry.get(engine).precisions)
    except EngineError as error:
        raise InputError(str(error)) from error
