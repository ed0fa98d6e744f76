"""`rtfbench schema`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from rtfbench.commands.app import app, examples

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: Of JSON Schema; pydantic writes this one.
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class SchemaName(StrEnum):
    """What is written as JSON, or in TOML read as such."""

    summary = "summary"
    records = "records"
    environment = "environment"
    tune = "tune"
    capacity = "capacity"
    explain = "explain"
    lengths = "lengths"
    gate = "gate"
    plan = "plan"


@app.command(
    short_help="Print the JSON Schema of a file that is written or read.",
    epilog=examples(
        "rtfbench schema summary > summary.schema.json", "rtfbench schema --out docs/schema"
    ),
)
def schema(
    name: Annotated[
        SchemaName | None, Argument(help="Which file; records is a line of records.jsonl.")
    ] = None,
    out: Annotated[Path | None, Option(help="Write all of them into this folder instead.")] = None,
) -> None:
    """Print what a file's fields are, as JSON Schema, made from the types that write it.

    Fields of summary.json may be added and none may go; its `schema` counts what changed besides.
    """
    from rtfbench.base.cache import write_whole
    from rtfbench.base.errors import InputError
    from rtfbench.base.files import writing_to

    if (name is None) == (out is None):
        raise InputError("name one of a schema and --out FOLDER")
    if name is not None:
        print(written(name), end="")
        return
    assert out is not None
    with writing_to(out):
        out.mkdir(parents=True, exist_ok=True)
        for each in SchemaName:
            path = out / f"{each}.schema.json"
            write_whole(path, written(each))
            print(path)


def adapter(name: SchemaName) -> "TypeAdapter[Any]":
    """Return what validates a file, or a line of one."""
    from pydantic import TypeAdapter

    from rtfbench.gate.report import GateResult
    from rtfbench.measure.plan import Plan
    from rtfbench.results.capacity import CapacityAnswer
    from rtfbench.results.explanation import Explanation, LengthReport
    from rtfbench.results.host import Environment
    from rtfbench.results.lines import LINE
    from rtfbench.results.rows import Summary
    from rtfbench.tune.answer import Answer

    types: dict[SchemaName, Any] = {
        SchemaName.summary: Summary,
        SchemaName.environment: Environment,
        SchemaName.tune: Answer,
        SchemaName.capacity: CapacityAnswer,
        SchemaName.explain: Explanation,
        SchemaName.lengths: LengthReport,
        SchemaName.gate: GateResult,
        SchemaName.plan: Plan,
    }
    return LINE if name == SchemaName.records else TypeAdapter(types[name])


def written(name: SchemaName) -> str:
    """Return a schema as it is stored: of what is written, for a plan of what is read."""
    import json

    reads = name == SchemaName.plan
    found = adapter(name).json_schema(mode="validation" if reads else "serialization")
    if not reads:
        found = _open(found)
    return json.dumps({"$schema": DIALECT, **found}, indent=2, ensure_ascii=False) + "\n"


def _open(schema: Any) -> Any:
    """Return a schema that takes fields which a later version adds."""
    if isinstance(schema, dict):
        closed = schema.get("additionalProperties") is False
        kept = {k: v for k, v in schema.items() if not (closed and k == "additionalProperties")}
        return {key: _open(value) for key, value in kept.items()}
    return [_open(each) for each in schema] if isinstance(schema, list) else schema
