"""No interval, quantile or verdict is printed that no trial tries, and the trials are passed."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from scipy.stats import binomtest

from rtfbench.report.columns import COLUMNS
from rtfbench.report.compare import Kind
from rtfbench.results.protocols import BUILT_IN, named
from tests.validation.register import (
    EXACT,
    FACTS,
    FIGURES,
    NO_FIGURES,
    POINTS,
    SECTIONS,
    TESTS,
    TRIALS,
)
from tests.validation.trial import Tried

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "bench"
#: Types, and names of fields, that hold a figure which may be wrong.
UNCERTAIN = re.compile(r"\b(Interval|Loss|Answer|Verdict|Fate)\b|tuple\[float, float")
NAMES = re.compile(
    r"ci95|interval|sure|surely|contaminated|decided|differs|half_width|.*_p9\d.*|p9\d.*"
)
#: Words of a sentence that claims something.
CLAIMS = re.compile(r"\bsurely\b|told apart|\bdetectable\b")
#: So many times each trial is made here; `make validate` makes hundreds.
TIMES = {
    "queues": 4,
    "rtf": 3,
    "energy": 3,
    "bisect": 4,
    "ratio": 4,
    "derived": 8,
    "sure": 15,
    "scores": 8,
    "kept accuracy": 8,
    "stolen": 2,
    "gains": 8,
}


@cache
def trees() -> dict[str, ast.Module]:
    """Return module -> its source."""
    return {
        ".".join(path.relative_to(BENCH).with_suffix("").parts): ast.parse(path.read_text("utf-8"))
        for path in BENCH.rglob("*.py")
    }


def uncertain_fields() -> Iterator[str]:
    """Yield Class.field of every value that looks like an interval, a quantile or a verdict."""
    for tree in trees().values():
        for made in ast.walk(tree):
            if not isinstance(made, ast.ClassDef):
                continue
            for each in made.body:
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                    name, kind = each.target.id, ast.unparse(each.annotation)
                    if UNCERTAIN.search(kind) or NAMES.fullmatch(name):
                        yield f"{made.name}.{name}"
                elif isinstance(each, ast.FunctionDef) and each.returns is not None:
                    kind = ast.unparse(each.returns)
                    is_property = any(ast.unparse(d) == "property" for d in each.decorator_list)
                    if is_property and re.fullmatch(r"Answer|Verdict|Fate", kind):
                        yield f"{made.name}.{each.name}"


def claiming_modules() -> set[str]:
    """Return the modules with a text, not a docstring, that says how sure something is."""
    found = set()
    for name, tree in trees().items():
        docstrings = {
            id(made.body[0].value)
            for made in ast.walk(tree)
            if isinstance(made, ast.Module | ast.ClassDef | ast.FunctionDef)
            and made.body
            and isinstance(made.body[0], ast.Expr)
        }
        texts = (
            each.value
            for each in ast.walk(tree)
            if isinstance(each, ast.Constant)
            and isinstance(each.value, str)
            and id(each) not in docstrings
        )
        if any(CLAIMS.search(text) for text in texts):
            found.add(name)
    return found


def test_every_uncertain_value_is_registered() -> None:
    """A field that holds an interval, a quantile or a verdict names its trial, and none is gone."""
    registered = {field for figure in FIGURES for field in figure.fields} | NO_FIGURES.keys()
    assert set(uncertain_fields()) ^ registered == set()


def test_every_column_is_registered() -> None:
    """A column is of a figure that was tried, exact, or a plain reading."""
    shown = {column.key for column in COLUMNS}
    shown |= {each.name for name in BUILT_IN for each in named(name).figures}
    tried = {key for figure in FIGURES for key in figure.columns}
    assert shown == tried | EXACT | POINTS
    assert not tried & (EXACT | POINTS)


def test_every_kind_of_finding_is_registered() -> None:
    """A sentence's figures are tried, or it states a fact of the run."""
    tried = {kind for figure in FIGURES for kind in figure.findings}
    assert tried | FACTS == set(get_args(Kind))


def test_whatever_says_surely_is_registered() -> None:
    """A module with such a sentence names the figure that it rests on."""
    assert claiming_modules() == {module for figure in FIGURES for module in figure.modules}


def test_every_figure_has_a_trial() -> None:
    """It runs here, is a section that another command writes, or a test; none is idle."""
    used = {figure.trial for figure in FIGURES}
    assert used == TRIALS.keys() | set(SECTIONS) | set(TESTS)
    for path, name in (each.split("::") for each in TESTS):
        assert f"def {name}(" in (ROOT / path).read_text("utf-8")
    written = (ROOT / "reports" / "validation.md").read_text("utf-8")
    assert all(f"## {section}\n" in written for section in SECTIONS)


def plausible(row: Tried) -> bool:
    """Say whether what was found may come of a figure that is as promised."""
    low, high = binomtest(row.right, row.trials).proportion_ci(0.999)
    return bool(low <= row.aim[1] and row.aim[0] <= high)


@pytest.mark.parametrize("name", TRIALS)
def test_figures_are_as_promised(name: str) -> None:
    """In a few simulated runs with a fixed seed, none is provably worse than it says."""
    rows = TRIALS[name](TIMES.get(name, 40), 1)
    assert [row for row in rows if not plausible(row)] == []


def test_few_speakers_tell_nothing() -> None:
    """An interval of fewer than ten would have no width to speak of."""
    from tests.validation.tried_scores import few_speakers_tell_nothing

    assert few_speakers_tell_nothing()
