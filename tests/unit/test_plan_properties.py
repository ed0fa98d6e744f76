"""Plans as files: what was written is what is planned, and anything else is one line."""

import json
import math
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rtfbench.engines.protocol import EngineSpec
from rtfbench.measure.plan import Axes, Plan, expand, load_plan
from rtfbench.models.names import default_form
from tests.readers import check
from tests.toml_text import toml_text, toml_value
from tests.unit.properties import written

NAMES = st.sampled_from(["xvec", "my model.onnx", "a/ü\u2028b.mnn", "'quoted\"", "\x7f"])
ENGINES = st.sampled_from(["onnxruntime", "mnn[precision=low]", "openvino:int8", "null"])


def some(values: st.SearchStrategy[Any], least: int = 1) -> st.SearchStrategy[list[Any]]:
    """Return a few values, each once."""
    return st.lists(values, min_size=least, max_size=3, unique=True)


AXES: dict[str, st.SearchStrategy[Any]] = {
    "models": some(NAMES),
    "engines": some(ENGINES),
    "threads": some(st.integers(1, 10**6)),
    "chunk_samples": some(st.just(-1) | st.integers(400, 10**6)),
    "forms": some(st.sampled_from(["dynamic", "static"]), least=0),
    "protocols": some(st.sampled_from(["published", "steady", "throughput"])),
    "jobs": some(st.integers(1, 1000), least=0),
    "batches": some(st.integers(1, 1000)),
    "weight": st.floats(1e-9, 1e6),
    "sessions": st.integers(1, 10_000),
    "ghost": st.booleans(),
}
WHOLE: dict[str, st.SearchStrategy[Any]] = {
    **AXES,
    "sweep": st.lists(st.fixed_dictionaries({}, optional=AXES), max_size=2),
    "audio": some(NAMES, least=0),
    "channel": st.integers(0, 100),
    "resample": st.booleans(),
    "budget_s": st.floats(0.001, 1e6),
    "max_rss_mb": st.integers(1, 10**6),
    "half_width": st.floats(1e-6, 0.999),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "model_input": st.text(),
}
TABLES = st.fixed_dictionaries({}, optional=WHOLE)
ANYTHING = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=4,
)
KEYS = st.sampled_from([*Plan.model_fields, *Axes.model_fields]) | st.text(max_size=8)


def plan_of(table: dict[str, Any]) -> Plan:
    """Write a table as TOML, and load it as a plan."""
    return load_plan(written(toml_text(table), "plan.toml"), {})


@given(table=st.dictionaries(st.text(), ANYTHING, max_size=4))
def test_toml_is_written_as_it_is_read(table: dict[str, Any]) -> None:
    """What the tests write is TOML, and means what they think."""
    again = tomllib.loads(toml_text(table))
    assert json.dumps(again, sort_keys=True) == json.dumps(table, sort_keys=True)
    assert math.isnan(tomllib.loads(f"a = {toml_value(math.nan)}")["a"])


@given(table=TABLES)
def test_a_plan_is_what_was_written(table: dict[str, Any]) -> None:
    """Every key takes its value; a sweep has those of the file that it does not name itself."""
    plan = plan_of(table)
    for key, value in table.items():
        if key != "sweep":
            assert as_written(getattr(plan, key)) == value
    for axes, asked in zip(plan.sweep, table.get("sweep", []), strict=True):
        inherited = {key: value for key, value in table.items() if key in AXES}
        for key, value in {**inherited, **asked}.items():
            assert as_written(getattr(axes, key)) == value


@given(table=TABLES, cores=st.integers(1, 64))
def test_cells_are_each_there_once(table: dict[str, Any], cores: int) -> None:
    """No cell is measured twice, and those that are compared stand side by side."""
    cells = expand(plan_of(table), default_form, cores=cores)
    assert cells
    assert len({cell.model_dump_json() for cell in cells}) == len(cells)
    conditions = [cell.condition for cell in cells]
    changes = sum(one != other for one, other in pairwise(conditions))
    assert changes == len(set(conditions)) - 1


@given(table=TABLES, key=KEYS, value=ANYTHING)
def test_one_value_is_another(table: dict[str, Any], key: str, value: Any) -> None:
    """A plan in which one key has any value is a plan, or one line that names the file."""
    check("plan.toml", written(toml_text({**table, key: value}), "plan.toml"))


def as_written(value: Any) -> Any:
    """Return a plan's value as TOML has it."""
    if isinstance(value, Path | EngineSpec):
        return str(value)
    return [as_written(each) for each in value] if isinstance(value, tuple) else value
