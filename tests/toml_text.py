"""Values as TOML, which the standard library only reads."""

import json
import math
from collections.abc import Mapping
from typing import Any


def toml_value(value: Any) -> str:
    """Return a value as it stands behind an equals sign.

    Args:
        value: a string, number, truth value, or lists and mappings of them.
    """
    match value:
        case bool():
            return str(value).lower()
        case float() if not math.isfinite(value):
            return str(value)  # nan, inf, -inf, as TOML has them
        case float() | int():
            return repr(value)
        case str():
            # JSON's escapes are TOML's, but for one control character that JSON leaves as it is.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            inner = ", ".join(f"{toml_value(k)} = {toml_value(v)}" for k, v in value.items())
            return f"{{{inner}}}"
        case _:
            return f"[{', '.join(map(toml_value, value))}]"


def toml_text(table: Mapping[str, Any]) -> str:
    """Return a file whose tables within lists stand in headings of their own."""
    plain, tables = [], []
    for key, value in table.items():
        if isinstance(value, list | tuple) and value and all(isinstance(v, Mapping) for v in value):
            tables += [f"\n[[{toml_value(key)}]]\n{toml_text(each)}" for each in value]
        else:
            plain.append(f"{toml_value(key)} = {toml_value(value)}\n")
    return "".join([*plain, *tables])
