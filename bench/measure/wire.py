"""What crosses revisions: a specification as the worker that gets it understands it (pure).

Specifications are JSON that refuses unknown fields, so a worker must not be sent what came after
it. Whoever adds a field to `WorkerSpec`, or to anything in it, raises `PROTOCOL` and
names the field in `SINCE`, with the value at which it changes nothing. A
field of a reply that came later needs a default.
"""

from collections.abc import Mapping
from typing import Any

from bench.measure.messages import WorkerSpec
from engines.protocol import FLOAT32

#: Protocol -> the fields that came with it, by their path, and the value that may be left out.
SINCE: Mapping[int, Mapping[str, Any]] = {
    3: {
        "cell.precision": FLOAT32,
        "artifact.precision": FLOAT32,
        "artifact.recipe": "",
        "scored": [],
    },
    4: {"cell.jobs": 1, "cell.batch": 1, "proves": None},
}


class IncomparableError(Exception):
    """Two revisions cannot be compared; one line that says why."""


def check(theirs: int, ours: int) -> None:
    """Refuse a worker that is newer than this code: what it answers cannot be understood.

    Raises:
        IncomparableError: it is.
    """
    if theirs > ours:
        raise IncomparableError(
            f"its workers speak protocol {theirs} and this rtfbench speaks {ours}; "
            "run the gate from the newer revision"
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
    if theirs < 2:
        del content["protocol"]
    else:
        content["protocol"] = theirs
    for number, fields in since.items():
        for path, neutral in fields.items() if number > theirs else ():
            *parents, name = path.split(".")
            inside = content
            for parent in parents:
                inside = inside[parent]
            if inside.pop(name, neutral) != neutral:
                raise IncomparableError(
                    f"its workers speak protocol {theirs} and do not know {path}, which came "
                    f"with {number}; leave it out, or name a newer revision"
                )
    return content
