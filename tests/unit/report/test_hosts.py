"""Several hosts side by side: what holds on all, what turns, and what cannot be said."""

import pytest

from rtfbench.report import hosts, markdown
from rtfbench.report.hosts import NamedRun, Verdict
from rtfbench.report.plots.runs import hosts as picture_of_hosts
from rtfbench.results.host import Host
from rtfbench.results.rows import Summary
from tests.unit.report.results import ratio, row, summary


def run(value: float, half: float, microarchitecture: str = "", **where: object) -> Summary:
    """Return a run in which mnn takes `value` times as long as onnxruntime."""
    ends = (value / (1 + half), value * (1 + half))
    cells = (row(engine="onnxruntime", **where), row(rtf=0.02 * value, **where))
    made = summary(*cells, ratios=(ratio(ratio=value, ci95=ends, sessions=6, **where),))
    host = Host(microarchitecture=microarchitecture, family=25, model=17)
    environment = made.environment.model_copy(update={"host": host, "cpu": "AMD EPYC"})
    return made.model_copy(update={"environment": environment})


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ((0.5, 0.01), (0.6, 0.01), "another factor"),
        ((0.5, 0.01), (0.505, 0.01), "holds"),
        ((1.0, 0.01), (1.001, 0.01), "holds"),
        ((0.5, 0.01), (1.5, 0.01), "turns"),
        ((0.5, 0.01), (1.0, 0.01), "on some"),
    ],
)
def test_a_conclusion_holds_turns_or_is_seen_on_some(
    first: tuple[float, float], second: tuple[float, float], verdict: Verdict
) -> None:
    """It is of what the intervals prove: a ratio that all share, a direction, or neither."""
    runs = hosts.named([("a", run(*first, "Zen 4")), ("b", run(*second, "Zen 5"))])
    (line,) = hosts.lines(runs)
    assert line.verdict == verdict
    text = markdown.draw(hosts.of_hosts(runs))
    (shown,) = [
        each for each in text.splitlines() if each.startswith("| ResNet-34") and "/" in each
    ]
    assert shown.rstrip(" |").endswith(verdict)
    for value, _ in (first, second):
        assert f"{value:.3f}" in shown


def showing(made: Summary, *instruction_sets: str) -> Summary:
    """Return a run whose host shows these instruction sets."""
    assert made.environment.host is not None
    host = made.environment.host.model_copy(update={"instruction_sets": instruction_sets})
    environment = made.environment.model_copy(update={"host": host})
    return made.model_copy(update={"environment": environment})


def test_hosts_have_their_micro_architectures_names() -> None:
    """Two of one kind are told apart by their vectors, two alike by their folders."""
    wide = showing(run(0.5, 0.01, "Zen 4"), "avx2", "avx512f")
    narrow = showing(run(0.5, 0.01, "Zen 4"), "avx2")
    both = [each.name for each in hosts.named([("a", wide), ("a", narrow)])]
    assert both == ["Zen 4, AVX-512", "Zen 4, AVX2"]
    alike = [each.name for each in hosts.named([("a", narrow), ("b", narrow)])]
    assert alike == ["Zen 4 a", "Zen 4 b"]
    zen4, zen5 = run(0.5, 0.01, "Zen 4"), run(0.5, 0.01, "Zen 5")
    assert [each.name for each in hosts.named([("a", zen4), ("b", zen5)])] == ["Zen 4", "Zen 5"]
    same = hosts.named([("a", zen4), ("b", zen4)])
    assert [each.name for each in same] == ["Zen 4 a", "Zen 4 b"]
    assert [each.name for each in hosts.named([("a", run(0.5, 0.01))])] == ["a"]


def test_what_one_host_alone_has_decides_nothing() -> None:
    """It is shown with a dash, and there is no picture of it."""
    runs = hosts.named([("a", run(0.5, 0.01, "Zen 4")), ("b", run(0.5, 0.01, "Zen 5", threads=2))])
    assert {line.verdict for line in hosts.lines(runs)} == {"one host"}
    assert "No ratio was measured on two of these hosts." in markdown.draw(hosts.of_hosts(runs))
    assert picture_of_hosts(runs) is None


def test_the_picture_says_how_many_conclusions_travel() -> None:
    """Its title counts them, its caption names the hosts."""
    runs = [NamedRun("one", run(0.5, 0.01)), NamedRun("two", run(1.5, 0.01))]
    picture = picture_of_hosts(runs)
    assert picture is not None
    assert picture.title == (
        "0 of 1 ratios are the same on all hosts; in 1 the faster engine turns"
    )
    assert "one: AMD EPYC (family 25, model 17)" in picture.caption
