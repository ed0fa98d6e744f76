"""Many runs of many hosts in one table."""

from dataclasses import replace

import pytest

from rtfbench.base.packages import ROOT
from rtfbench.measure.whole_run import read_summary
from rtfbench.report.collection import CollectedRun, Entry, entries, host_names, render
from rtfbench.report.compare import comparisons, conditions
from rtfbench.results.store import RunFolder

HOSTS = ("zen5", "zen4-avx512", "zen4-avx2")


@pytest.fixture(scope="module")
def runs() -> list[CollectedRun]:
    """Return a run of each of three hosts."""
    folders = [ROOT / "reports" / host / "resnet34" for host in HOSTS]
    summaries = [read_summary(RunFolder(folder)) for folder in folders]
    return [
        CollectedRun(f"runs/{host}", summary, "verified", ())
        for host, summary in zip(HOSTS, summaries, strict=True)
    ]


def entries_of(runs: list[CollectedRun]) -> list[Entry]:
    """Return the lines of runs."""
    return entries(runs, host_names([run.summary.environment for run in runs]))


def test_every_ratio_is_a_line(runs: list[CollectedRun]) -> None:
    """None is lost, none is made up, and those of one question stand host by host."""
    found = entries_of(runs)
    expected = [
        (run.path, ratio.ratio)
        for run in runs
        for where in conditions(run.summary)
        for ratio in comparisons(run.summary, where)
    ]
    assert sorted((each.run.path, each.ratio) for each in found) == sorted(expected)
    assert [each.texts["host"] for each in found[:3]] == ["Zen 5", "Zen 4, AVX-512", "Zen 4, AVX2"]
    questions = [(each.texts["setting"], each.texts["engine"]) for each in found]
    assert questions[::3] == questions[1::3] == questions[2::3]


def test_what_differs_is_shown_and_does_not_count(runs: list[CollectedRun]) -> None:
    """A ratio that turns on one host holds on the others, once that host's run is no evidence."""
    turns = [each for each in entries_of(runs) if each.texts["hosts"] == "turns"]
    assert {each.texts["host"] for each in turns} == {"Zen 5", "Zen 4, AVX-512", "Zen 4, AVX2"}
    edited = [replace(runs[0], answer="differs", reasons=("a time",)), *runs[1:]]
    found = entries_of(edited)
    assert len(found) == len(entries_of(runs))
    assert not any(each.texts["hosts"] == "turns" for each in found)
    assert {each.run.path for each in found if each.run.answer == "differs"} == {"runs/zen5"}
    page = render(edited)
    assert "<strong>differs</strong>; a time" in page
    assert page.count('<tr class="differs">') == sum(each.run.path == "runs/zen5" for each in found)
    assert 'href="runs/zen5/records.jsonl"' in page


def test_vectors_name_hosts_of_one_kind_apart(runs: list[CollectedRun]) -> None:
    """They are named only where they tell two apart."""
    environments = [run.summary.environment for run in runs]
    assert host_names(environments) == ["Zen 5", "Zen 4, AVX-512", "Zen 4, AVX2"]
    assert host_names(environments[:2]) == ["Zen 5", "Zen 4"]
    assert host_names([environments[0].model_copy(update={"host": None})]) != ["Zen 5"]
