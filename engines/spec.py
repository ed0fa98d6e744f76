"""An engine with its settings, as it is written on the command line (pure)."""

import re
from typing import NamedTuple, get_args

from rtfbench.engines.protocol import FLOAT32, Precision

ENGINE_SPEC = re.compile(
    r"(?P<name>[\w.-]+)(?::(?P<precision>[\w.-]+))?(?:\[(?P<settings>[^\]]*)\])?"
)


class EngineSpec(NamedTuple):
    """An engine and its settings, written `name:precision[key=value,...]`.

    Without a precision it is float32, or what else was asked for.
    """

    name: str
    settings: dict[str, str]
    precision: Precision | None = None

    def __str__(self) -> str:
        """As it is written, settings by name; float32 goes without saying."""
        inside = ",".join(f"{key}={value}" for key, value in sorted(self.settings.items()))
        text = self.name if self.computes == FLOAT32 else f"{self.name}:{self.precision}"
        return f"{text}[{inside}]" if inside else text

    @property
    def computes(self) -> Precision:
        """The precision, float32 where none is named."""
        return self.precision or FLOAT32


def parse_engine(text: str) -> EngineSpec:
    """Read `onnxruntime[graph_optimization=extended,spinning=off]`.

    Raises:
        ValueError: with an example of what is right.
    """
    example = (
        "write name or name[key=value,...], or name:precision, for example mnn[precision=low] or "
        "openvino:int8"
    )
    match = ENGINE_SPEC.fullmatch(text.strip())
    if not match:
        raise ValueError(f"engine {text!r}: {example}")
    settings: dict[str, str] = {}
    for part in filter(None, (match["settings"] or "").split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value) or key in settings:
            raise ValueError(f"engine {text!r}: {example}")
        settings[key] = value
    precision: Precision | None = next(
        (each for each in get_args(Precision) if each == match["precision"]), None
    )
    if match["precision"] and precision is None:
        known = ", ".join(get_args(Precision))
        raise ValueError(f"engine {text!r}: precision {match['precision']!r} is none of: {known}")
    return EngineSpec(match["name"], settings, precision)


def parse_engines(*texts: str) -> tuple[EngineSpec, ...]:
    """Read several.

    Raises:
        ValueError: as `parse_engine`.
    """
    return tuple(map(parse_engine, texts))
