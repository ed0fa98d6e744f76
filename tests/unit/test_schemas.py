"""The published schemas are those of the code, and every stored file follows its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rtfbench.base.packages import ROOT
from rtfbench.commands.schema import SchemaName, written
from rtfbench.gate.measure import Held
from rtfbench.gate.report import as_json
from rtfbench.gate.verdict import Ruling

REPORTS = ROOT / "reports"
FILES = {
    SchemaName.summary: "summary.json",
    SchemaName.environment: "environment.json",
    SchemaName.explain: "explain.json",
    SchemaName.lengths: "lengths.json",
    SchemaName.tune: "tune.json",
    SchemaName.capacity: "capacity.json",
}


def validator(name: SchemaName) -> Draft202012Validator:
    """Return what holds a file against a published schema."""
    schema: dict[str, Any] = json.loads((ROOT / "docs/schema" / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", SchemaName)
def test_published_is_what_the_types_say(name: SchemaName) -> None:
    """After a change: `rtfbench schema --out docs/schema`."""
    path = ROOT / "docs" / "schema" / f"{name}.schema.json"
    assert path.read_text(encoding="utf-8") == written(name)


@pytest.mark.parametrize("name", FILES)
def test_every_stored_file_follows_its_schema(name: SchemaName) -> None:
    """The files of all reports, as anybody's validator reads them."""
    schema = validator(name)
    for path in REPORTS.rglob(FILES[name]):
        assert list(schema.iter_errors(json.loads(path.read_text()))) == [], path


def test_every_stored_line_follows_its_schema() -> None:
    """A sample of the lines of all runs, of every kind."""
    schema = validator(SchemaName.records)
    for path in REPORTS.rglob("records.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines()[::25]:
            assert list(schema.iter_errors(json.loads(line))) == [], path


def test_what_a_gate_prints_follows_its_schema() -> None:
    """A ruling with numbers, and one without."""
    rulings = [Ruling("a", "RTF", "pass", 1.0, (0.9, 1.1), 0.05, 6, 5.0), Ruling("a", "b", "pass")]
    printed = json.loads(as_json(Held(rulings, "t", seconds=1.0)))
    assert list(validator(SchemaName.gate).iter_errors(printed)) == []


def test_a_schema_refuses_what_is_none_of_its_files(tmp_path: Path) -> None:
    """A field of another type, or one that is missing, is found."""
    summary = json.loads((REPORTS / "zen4-avx2" / "resnet34" / "summary.json").read_text())
    schema = validator(SchemaName.summary)
    assert schema.is_valid(summary | {"added_later": 1})
    assert not schema.is_valid(summary | {"cells": 1})
    del summary["environment"]
    assert not schema.is_valid(summary)
