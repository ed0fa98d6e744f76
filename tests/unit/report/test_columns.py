"""The list of columns: what is added to it is seen everywhere, and all of it is explained."""

import csv
import io
from pathlib import Path

import pytest

from rtfbench.report import columns, exports, markdown, page
from rtfbench.report.run_document import of_run
from rtfbench.report.views import VIEWS, Column, Context, View, place
from tests.unit.report.results import measured, published_and_steady, row, summary
from tests.unit.report.test_tables import shown

README = Path(__file__).parents[3] / "reports" / "README.md"
HEADING = "megaflux"
NEW = Column(
    "flux", HEADING, "how it flows", VIEWS, lambda row, _: row.passes, write="{} Fx".format
)


def keys(view: View) -> list[str]:
    """Return the keys of a view's columns in their order."""
    result = published_and_steady()
    return [each.key for each in columns.columns(view, result, result.cells)]


def test_a_new_column_is_seen_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry in the list, and markdown, terminal and page have it."""
    monkeypatch.setattr(columns, "COLUMNS", (*columns.COLUMNS, NEW))
    result = summary(row(passes=7, eer=0.1))
    text = markdown.draw(of_run(result))
    assert text.count(HEADING) == text.count(" 7 Fx |") == 7
    for width in (80, 160):
        lines = "\n".join(shown(width, result))
        assert HEADING in lines
        assert "7 Fx" in lines
    found = page.render(result, [])
    assert f'data-name="flux"><button type="button">{HEADING}<' in found
    assert 'data-name="flux" data-value="7">7 Fx</td>' in found


def test_a_new_column_of_measurements_is_in_the_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry in the other list, and the CSV has it, on the page too."""
    new = exports.RecordColumn("flux", "how it flows", lambda _, record: record.position)
    monkeypatch.setattr(exports, "COLUMNS", (*exports.COLUMNS, new))
    cells = [measured(100, 200)]
    lines = list(csv.DictReader(io.StringIO(exports.tidy_csv(cells))))
    assert [line["flux"] for line in lines] == ["0", "0", "1", "1"]
    assert "rtf,flux" in page.render(summary(row()), cells)


def test_every_column_is_explained() -> None:
    """`reports/README.md` has the list's own words for every column that a person sees."""
    text = README.read_text(encoding="utf-8")
    for table in columns.tables():
        assert f"\n\n{table}\n\n" in text, (
            "reports/README.md explains other columns than there are; put in its place what "
            "`python -m rtfbench.report.columns` prints"
        )


def test_a_column_has_one_key_a_meaning_and_a_place() -> None:
    """No two columns share a key; none is without a meaning or shown nowhere."""
    for found in (columns.COLUMNS, exports.COLUMNS):
        assert len({each.key for each in found}) == len(found)
        assert all(each.meaning for each in found)
    assert all(each.views for each in columns.COLUMNS)
    assert not any("|" in each.meaning for each in columns.COLUMNS)


def test_the_order_of_each_view() -> None:
    """Columns stand in the list's order, but for those that say what they follow."""
    assert keys("published") == ["model", "params", "flops", "engine", "rtf"]
    assert keys("run") == [
        *("engine", "form", "protocol", "rtf", "ci", "ratio", "first", "chunk_ms"),
    ]
    assert keys("page") == [
        *("engine", "protocol", "rtf", "ci", "real_time", "ratio", "form"),
        *("first", "chunk_ms", "p90", "p99", "load", "passes", "sessions", "rate"),
        *("frontend", "inference", "copies", "pooling", "padded_rtf", "padding"),
        *("gflops", "cpu", "file", "steady", "rss", "error", "cosine"),
    ]
    assert keys("accuracy") == ["model", "engine", "form", "real_time", "file", "steady", "cosine"]
    assert keys("precision") == [
        *("model", "engine", "form", "real_time", "ci", "sessions", "ratio", "df", "error"),
    ]
    assert keys("latency") == [
        *("model", "engine", "form", "chunk_ms", "p90", "p99", "load", "first", "rate"),
    ]
    assert keys("verification") == [
        *("model", "engine", "form", "protocol", "chunk", "threads", "eer", "eer_difference"),
    ]


def test_what_was_not_measured_is_a_dash_and_sorts_as_nothing() -> None:
    """A column without a value needs no code of its own for that."""
    nothing = Column("flux", HEADING, "how it flows", ("page",), lambda row, _: row.gflops)
    (placed,) = place([nothing], Context(summary(row()), (row(),), "page"))
    assert (placed.text(row()), placed.sorted_by(row())) == ("-", "")
