"""What crosses revisions: a specification as the worker that gets it understands it (pure).

Specifications are JSON that refuses unknown fields, so a worker must not be sent what came after
it. Whoever adds a field to `WorkerSpec`, or to anything in it, raises `PROTOCOL` and
names the field in `SINCE`, with the value at which it changes nothing. A
field of a reply that came later needs a default.
"""

from collections.abc import Mapping
from typing import Any

from rtfbench.engines.protocol import CPU
from rtfbench.measure.messages import WorkerSpec
from rtfbench.measure.protocol import OLDEST

#: Protocol -> the fields that came with it, by their path, and the value that may be left out.
SINCE: Mapping[int, Mapping[str, Any]] = {
    6: {"cell.device": CPU},
    7: {"cell.rate_per_s": 0.0},
    8: {"artifact.front_end": ""},
    9: {
        "cell.load": None,
        **{f"{each}.begin_s": 0.0 for each in ("sources", "scored")},
        **{f"{each}.end_s": None for each in ("sources", "scored")},
    },
}


class IncomparableError(Exception):
    """Two revisions cannot be compared; one line that says why."""


def check(theirs: int, ours: int) -> None:
    """Refuse a worker that is newer than this code, or older than what it still speaks to.

    Raises:
        IncomparableError: it is.
    """
    if theirs > ours:
        raise IncomparableError(
            f"its workers speak protocol {theirs} and this rtfbench speaks {ours}; "
            "run the gate from the newer revision"
        )
    if theirs < OLDEST:
        raise IncomparableError(
            f"its workers speak protocol {theirs} and this rtfbench speaks {OLDEST} to {ours}; "
            "name a newer revision"
        )


def written(spec: WorkerSpec, theirs: int, since: Mapping[int, Mapping[str, Any]] = SINCE) -> Any:
    """Return a specification, ready for JSON, as a worker of a protocol understands it.

    Args:
        spec: what this code would send.
        theirs: the worker's protocol.
        since: see `SINCE`.

    Raises:
        IncomparableError: something is asked for that the worker does not know.
    """
    content = spec.model_dump(mode="json")
    content["protocol"] = theirs
    for number, fields in since.items():
        for path, neutral in fields.items() if number > theirs else ():
            *parents, name = path.split(".")
            inside = [content]
            for parent in parents:
                inside = [each for some in inside for each in _all(some[parent])]
            found = [each.pop(name, neutral) for each in inside]
            if any(each != neutral for each in found):
                raise IncomparableError(
                    f"its workers speak protocol {theirs} and do not know {path}, which came "
                    f"with {number}; leave it out, or name a newer revision"
                )
    return content


def _all(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
