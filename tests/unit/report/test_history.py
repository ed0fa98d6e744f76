"""A history: hosts apart, changes with what changed, and what cannot be said."""

import json
from typing import Any

import pytest

from rtfbench.base.packages import cure, missing
from rtfbench.report import history, html, markdown
from rtfbench.report.history import HostHistory, StoredRun, histories
from rtfbench.report.plots import runs as pictures_of_runs
from rtfbench.results.host import Host, Probes
from rtfbench.results.rows import Noise
from tests.unit.report.results import ratio, row, summary

pytestmark = pytest.mark.skipif(missing("ruptures"), reason=cure("ruptures"))
ZEN4 = Host(vendor="AuthenticAMD", family=25, model=17, microarchitecture="Zen 4")
ZEN5 = Host(vendor="AuthenticAMD", family=26, model=2, microarchitecture="Zen 5")


def run(
    day: int, value: float, host: Host | None = ZEN5, *, version: str = "3.6.0", **changes: Any
) -> StoredRun:
    """Return a run in which mnn takes `value` times as long as onnxruntime."""
    cells = (row(engine="onnxruntime"), row(version=version, **changes.pop("mnn", {})))
    half = changes.pop("half", 1.01)
    ends = None if changes.pop("no_interval", False) else (value / half, value * half)
    noise = changes.pop("noise", None)
    made = summary(*cells, ratios=(ratio(ratio=value, ci95=ends),), noise=noise)
    environment = made.environment.model_copy(
        update={
            "host": host,
            "started_utc": f"2026-03-{day:02}T05:06:07+00:00",
            "packages": {"MNN": version},
            **changes,
        }
    )
    return StoredRun(f"runs/{day:02}", made.model_copy(update={"environment": environment}))


def changed_on_the_ninth(**after: Any) -> list[StoredRun]:
    """Return sixteen runs; from the ninth on the ratio is a tenth higher, and so what is named."""
    before = [run(day, 0.5 * (1 + 0.003 * (day % 3))) for day in range(1, 9)]
    behind = [run(day, 0.55 * (1 + 0.003 * (day % 3)), **after) for day in range(9, 17)]
    return before + behind


def one(runs: list[StoredRun]) -> HostHistory:
    """Return the history of the only host."""
    (found,) = histories(runs)
    return found


def test_a_change_is_named_with_what_changed() -> None:
    """Since when, by how much, from what to what, and what the runs beside it differ in."""
    host = one(changed_on_the_ninth(version="3.6.1"))
    ((series, change),) = host.changes
    assert change.first_after.day == "2026-03-09"
    assert change.factor == pytest.approx(1.1, abs=0.005)
    assert change.ci95[0] < 1.1 < change.ci95[1]
    assert change.changed == ("MNN 3.6.0 → 3.6.1",)
    text = history.sentence(series, change)
    assert text.startswith("ResNet-34, mnn / onnxruntime, steady, 32000 samples, 1 thread: 1.099 ")
    assert "since 2026-03-09 runs/09; 0.50" in text
    assert text.endswith("the last run surely before, 2026-03-08 runs/08: MNN 3.6.0 → 3.6.1.")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({"commit": "abc"}, "commit not told → abc"),
        ({"rtfbench": "0.2.0"}, "rtfbench 0.1.0 → 0.2.0"),
        ({"python": "3.13.0"}, "Python 3.11.7 → 3.13.0"),
        ({"mnn": {"artifact_bytes": 2}}, "mnn's model file of 1 bytes → of 2 bytes"),
        ({"audio": ("first",)}, "audio of 2 utterances and 10.0 s → of 1 utterances and 10.0 s"),
    ],
)
def test_whatever_changed_is_told(after: dict[str, Any], said: str) -> None:
    """Engines, model files, harness, commit, interpreter and audio."""
    ((_, change),) = one(changed_on_the_ninth(**after)).changes
    assert change.changed == (said,)


def test_model_files_of_one_size_are_told_apart() -> None:
    """By their digest, where both runs have it: other weights make a file of the same size."""
    runs = [run(day, 0.5, mnn={"artifact_sha256": "a" * 64}) for day in range(1, 9)]
    runs += [run(day, 0.6, mnn={"artifact_sha256": "b" * 64}) for day in range(9, 17)]
    ((_, change),) = one(runs).changes
    assert change.changed == (f"mnn's model file {'a' * 12} → {'b' * 12}",)


def test_nothing_told_is_said() -> None:
    """A change without a cause on record is no riddle: the page says that there is none."""
    ((_, change),) = one(changed_on_the_ninth()).changes
    assert history.between(change).endswith("nothing changed that a run records.")


def test_hosts_are_never_mixed() -> None:
    """Runs of two hosts in turns are two flat lines, and no change."""
    runs = [run(day, 0.5 if day % 2 else 0.9, ZEN5 if day % 2 else ZEN4) for day in range(1, 21)]
    first, second = histories(runs)
    assert (first.name, second.name) == (
        "Host 1: Test CPU (Zen 5, family 26, model 2)",
        "Host 2: Test CPU (Zen 4, family 25, model 17)",
    )
    for host, value in ((first, 0.5), (second, 0.9)):
        assert len(host.runs) == 10
        assert {point.ratio.ratio for each in host.series for point in each.points} == {value}
        assert host.changes == []


def test_hosts_of_one_name_say_how_they_differ() -> None:
    """The same processor with one core less is another host."""
    runs = [run(day, 0.5, usable_cores=2 - day % 2) for day in range(1, 9)]
    _, second = histories(runs)
    assert "Not the earlier host of that name: usable cores 1 there, 2 here." in (
        history.described(second)
    )


def test_runs_without_a_fingerprint_stand_alone() -> None:
    """They cannot be shown to be of one host."""
    assert len(histories([run(1, 0.5, None), run(2, 0.5, None)])) == 2


def test_a_copy_of_a_run_counts_once() -> None:
    """Else copies would look like runs that agree."""
    twice = [run(1, 0.5), StoredRun("a/copy", run(1, 0.5).summary)]
    assert len(one(twice).runs) == 1


def test_a_disturbed_measurement_of_the_core_makes_no_other_host() -> None:
    """One reading of one run may be off; a core that differs in two is another."""
    peaks = {"float32 avx2": 130.0, "float32 avx512f": 260.0, "int8 avx_vnni": 530.0}

    def host(**changes: float) -> Host:
        renamed = {name.replace("_", " ", 1): value for name, value in changes.items()}
        return ZEN5.model_copy(update={"probes": Probes(clock_ghz=4.0, peaks=peaks | renamed)})

    disturbed, other = host(int8_avx_vnni=180.0), host(float32_avx512f=130.0, int8_avx_vnni=265.0)
    assert len(one([run(1, 0.5, host()), run(2, 0.5, disturbed), run(3, 0.5, host())]).runs) == 3
    assert len(histories([run(1, 0.5, host()), run(2, 0.5, other)])) == 2


def test_what_the_runs_leave_open_is_told() -> None:
    """With wide intervals, a step may lie some runs off: what changed in all of them is named."""
    values = [*[0.5] * 4, 0.537, *[0.57] * 5]
    runs = [
        run(day, value, half=1.06, commit="old" if day < 6 else "new")
        for day, value in enumerate(values, start=1)
    ]
    ((series, change),) = one(runs).changes
    assert change.changed == ("commit old → new",)
    assert "since 2026-03-05 old (surely between 2026-03-04 old and 2026-03-06 new); " in (
        history.sentence(series, change)
    )


def test_few_runs_are_said_to_be_few() -> None:
    """Whatever they look like; runs without an interval do not count."""
    runs = [run(day, 0.5 if day < 4 else 1.0, no_interval=day == 6) for day in range(1, 7)]
    (series,) = one(runs).series
    assert series.changes == ()
    assert history.state(series) == "too few runs to say: 5 of 6"


def test_the_newest_run_alone_is_no_change() -> None:
    """It is told, with what to do about it."""
    host = one([run(day, 0.5 if day < 12 else 0.6) for day in range(1, 13)])
    (series,) = host.series
    assert host.changes == []
    assert history.state(series) == (
        "none in 12 runs; the newest run is 1.20 times the level before: one run is no change, "
        "measure again"
    )


def test_a_run_that_stands_alone_is_dated() -> None:
    """Neither level nor change."""
    (series,) = one([run(day, 0.8 if day == 5 else 0.5) for day in range(1, 13)]).series
    assert history.state(series) == "none in 12 runs; alone: 2026-03-05"


def test_page_and_text_say_the_same() -> None:
    """Sentences, tables, notes, the data of the page; nothing is fetched from anywhere."""
    noise = Noise(sentence="", contaminated=True, disturbed_share=None)
    hosts = histories([*changed_on_the_ninth(version="<b>"), run(17, 0.9, ZEN4, noise=noise)])
    pictures = [list(pictures_of_runs.history(host, n)) for n, host in enumerate(hosts, 1)]
    assert [len(each) for each in pictures] == [1, 0]
    assert pictures[0][0].title == (
        "ResNet-34: mnn / onnxruntime is 1.099 times what it was since 2026-03-09"
    )
    left_out = ["Left out: a | b"]
    told = history.of_history(hosts, left_out, [{"a.svg": "A"}, {}])
    data = history.content(hosts, left_out)
    (picture,) = pictures[0]
    page = html.page(told, {"a.svg": picture}, title="t", name="history", data=data)
    assert "<svg" in page
    text = markdown.draw(told)
    for each in ("Left out: a | b", "Host 2: Test CPU (Zen 4", "2026-03-17T05", "disturbed"):
        assert each in page
        assert each in text
    assert "MNN 3.6.0 → &lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    stored = page.split('id="history">')[1].split("</script>")[0]
    assert json.loads(stored) == json.loads(json.dumps(data))


def test_the_data_has_every_figure() -> None:
    """Points by run, changes with their interval."""
    (host,) = history.content(histories(changed_on_the_ninth(version="3.6.1")), [])["hosts"]
    (series,) = host["series"]
    assert [point["run"] for point in series["points"]] == list(range(16))
    (change,) = series["changes"]
    assert host["runs"][change["first_run_after"]]["started_utc"].startswith("2026-03-09")
    assert change["changed"] == ("MNN 3.6.0 → 3.6.1",)
