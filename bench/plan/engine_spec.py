"""An engine with its settings, as it is written on the command line (pure)."""

import re
from typing import NamedTuple

ENGINE_SPEC = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<settings>[^\]]*)\])?")


class EngineSpec(NamedTuple):
    """An engine and its settings, written `name[key=value,...]`."""

    name: str
    settings: dict[str, str]


def parse_engine(text: str) -> EngineSpec:
    """Read `onnxruntime[graph_optimization=extended,spinning=off]`.

    Raises:
        ValueError: with an example of what is right.
    """
    example = "write name or name[key=value,...], for example mnn[precision=low]"
    match = ENGINE_SPEC.fullmatch(text.strip())
    if not match:
        raise ValueError(f"engine {text!r}: {example}")
    settings: dict[str, str] = {}
    for part in filter(None, (match["settings"] or "").split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value) or key in settings:
            raise ValueError(f"engine {text!r}: {example}")
        settings[key] = value
    return EngineSpec(match["name"], settings)
