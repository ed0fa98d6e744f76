"""What is known of WeSpeaker's own definitions: arguments, exact counts, state dicts."""

import gzip
import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent


def _shapes(name: str) -> dict[str, dict[str, list[int]]]:
    with gzip.open(GOLDEN / name, "rt") as file:
        shapes: dict[str, dict[str, list[int]]] = json.load(file)
    return shapes


#: Of these definitions nothing is published beside the constructor and the parameters.
NEWER: dict[str, dict[str, Any]] = json.loads((GOLDEN / "zoo_newer.json").read_text())
FACTS: dict[str, dict[str, Any]] = json.loads((GOLDEN / "zoo.json").read_text()) | NEWER
STATE_SHAPES = _shapes("state_dicts.json.gz") | _shapes("state_dicts_newer.json.gz")
