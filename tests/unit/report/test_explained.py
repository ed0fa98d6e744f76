"""The report of an explanation says what its numbers say, and no more than is sure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rtfbench.report import explained, markdown, page, plots
from rtfbench.report.explained import MOST, sentences
from rtfbench.report.plots import explained as pictures
from rtfbench.results.explanation import EngineCost, Explanation, GroupCost, OperatorCost
from rtfbench.results.store import EXPLAINED, EXPLANATION, RunFolder, StoreError
from tests.unit.report.results import row, summary

CONV, ADD = "3×3 convolutions, stride 1", "elementwise operators"
MACS = 10**9


def operator(name: str, kind: str, ms: float, *, macs: int | None = None) -> OperatorCost:
    """Return an operator of a part of its own."""
    return OperatorCost(
        name=name,
        operator="Op",
        implementation="",
        ms=ms,
        nodes=(name,),
        kind=kind,
        block=f"layer of {name}",
        macs=macs,
    )


def group(name: str, *ms: float | None, half_ms: float = 0.1, macs: int | None = None) -> GroupCost:
    """Return a group whose differences are known to half an interval."""
    first = next((each for each in ms if each is not None), 0.0)
    more = [None if each is None else each - first for each in ms]
    return GroupCost(
        name=name,
        macs=macs,
        ms=ms,
        more_ms=tuple(more),
        more_ci95=tuple(
            None if each is None or not index else (each - half_ms, each + half_ms)
            for index, each in enumerate(more)
        ),
        surely=tuple(
            each is not None and bool(index) and abs(each) > half_ms
            for index, each in enumerate(more)
        ),
        gflops=tuple(2 * macs / each / 1e6 if macs and each else None for each in ms),
    )


def explanation(
    engines: Sequence[EngineCost], *groups: GroupCost, peak_gflops: float | None = 100.0
) -> Explanation:
    """Return an explanation whose parts are its kinds under other names."""
    return Explanation(
        model="M",
        threads=1,
        chunk_samples=32000,
        num_frames=198,
        protocol="steady",
        cpu="a CPU",
        rtfbench="1",
        seed=1,
        macs=MACS,
        peak_gflops=peak_gflops,
        engines=tuple(engines),
        kinds=groups,
        blocks=tuple(each.model_copy(update={"name": f"layer of {each.name}"}) for each in groups),
    )


def engine(name: str, ms: float | None, ratio: float | None = None, **more: object) -> EngineCost:
    """Return an engine whose ratio is known to 2 %, with a profile unless told otherwise."""
    known: dict[str, object] = {
        "engine": name,
        "form": "dynamic",
        "version": "1",
        "ms": ms,
        "ratio": ratio,
        "ratio_ci95": None if ratio is None else (ratio * 0.98, ratio * 1.02),
        "overhead": 1.01,
        "told": 0.99,
        "operators": (operator("conv", CONV, 40.0, macs=MACS),),
        "between_ms": 0.1,
    }
    return EngineCost.model_validate(known | more)


def test_the_kind_that_makes_the_difference_is_named_with_its_figures() -> None:
    """Its share of the difference, its time and its rate in both engines."""
    found = explanation(
        [engine("a", 80.0), engine("b", 45.0, 0.5625)],
        group(CONV, 70.0, 38.0, macs=MACS),
        group(ADD, 10.0, 7.0),
    )
    total, main, *_ = sentences(found)
    assert total.startswith(
        "b takes 45.0 ms a chunk and a 80.0: 0.562 (0.551 to 0.574) times as long"
    )
    assert main == (
        "32.0 of the 35.0 ms are in 3×3 convolutions, stride 1: 70.0 ms in a (28.6 GFLOP/s, "
        "29 % of the core's peak), 38.0 ms in b (52.6 GFLOP/s, 53 % of the core's peak)."
    )


def test_fewer_multiplications_are_told_where_they_are_proved() -> None:
    """A rate above the peak is no direct convolution; below it nothing is said of algorithms."""
    fast = [operator("one", CONV, 10.0, macs=MACS), operator("two", CONV, 30.0, macs=MACS)]
    slow = [operator("one", CONV, 35.0, macs=MACS), operator("two", CONV, 35.0, macs=MACS)]
    found = explanation(
        [
            engine("a", 80.0, operators=slow),
            engine("b", 48.0, 0.6, operators=fast, fewer_operations="Winograd convolutions"),
        ],
        group(CONV, 70.0, 40.0, macs=2 * MACS),
        group(ADD, 10.0, 8.0),
    )
    assert [each for each in sentences(found) if "multipl" in each] == [
        "In 1 of its 2 operators that multiply, b is up to 2.00 times as fast as the core's peak: "
        "it needs fewer multiplications there than the model asks for, as Winograd convolutions do."
    ]
    unknown = found.model_copy(update={"peak_gflops": None})
    assert not [each for each in sentences(unknown) if "multipl" in each]
    int8 = found.engines[1].model_copy(update={"precision": "int8"})
    other = found.model_copy(update={"engines": (found.engines[0], int8)})
    assert not [each for each in sentences(other) if "multipl" in each]


def test_totals_within_the_noise_are_told_to_be() -> None:
    """Kinds may differ surely where the totals do not."""
    found = explanation(
        [engine("a", 40.0), engine("b", 40.2, 1.005)],
        group(CONV, 30.0, 27.0, macs=MACS),
        group(ADD, 10.0, 13.2),
    )
    total, main, *_, last = sentences(found)
    assert "which cannot be told apart (ratio 1.005 (0.985 to 1.025))" in total
    assert main.startswith(
        "The largest difference is in elementwise operators, which alone would make b 3.20 ms slow"
    )
    assert last.startswith("The other way: 3×3 convolutions")
    text = markdown.draw(explained.of_explanation(found))
    assert "| 3×3 convolutions, stride 1 |" in text
    assert "share" not in text.split("Costliest")[0].split("By kind")[1]


def test_a_larger_part_that_is_not_sure_is_told_beside_those_that_are() -> None:
    """Sure parts are not called those that differ most where an unsure one differs more."""
    found = explanation(
        [engine("a", 40.0), engine("b", 52.0, 1.3)],
        group("x", 10.0, 12.0),
        group("y", 10.0, 9.0),
        group("z", 10.0, 21.0, half_ms=12.0),
        group("w", 10.0, 10.0, half_ms=1.0),
    )
    (told,) = [each for each in sentences(found) if each.startswith("By part")]
    assert told == (
        "By part of the model, b surely differs in layer of x (+2.00 ms), layer of y (-1.00 ms); "
        "not surely in layer of z (+11.00 ms)."
    )


def test_nothing_is_said_of_differences_that_are_not_sure() -> None:
    """On a noisy machine the report says so, in place of a cause."""
    found = explanation(
        [engine("a", 40.0), engine("b", 44.0, 1.1)],
        group(CONV, 30.0, 33.0, half_ms=5.0, macs=MACS),
        group(ADD, 10.0, 11.0, half_ms=5.0),
    )
    assert sentences(found)[1:] == ["No kind of operator surely takes another time in b than in a."]


def test_one_engine_alone_has_its_costliest_part_first() -> None:
    """Without another engine, the sentences say where the time goes."""
    found = explanation([engine("a", 40.0)], group(ADD, 30.0), group(CONV, 10.0, macs=MACS))
    total, first, *_ = sentences(found)
    assert total == "a takes 40.0 ms a chunk; layer of elementwise operators takes 75 % of it."
    assert first.startswith("Elementwise operators: 30.0 ms, 75 % of its time")


def test_a_runtime_that_tells_nothing_and_one_that_fails_have_their_lines() -> None:
    """No engine vanishes: each has a row, and a reason where there is no profile."""
    silent = {"operators": (), "overhead": None, "told": None, "between_ms": None}
    found = explanation(
        [
            engine("a", 40.0),
            engine("silent", 30.0, 0.75, **silent),
            EngineCost(engine="broken", form="static", failed="it broke"),
        ],
        group(CONV, 40.0, None, None, macs=MACS),
    )
    text = markdown.draw(explained.of_explanation(found))
    assert sentences(found)[1] == (
        "silent takes 30.0 ms a chunk and a 40.0: 0.750 (0.735 to 0.765) times as long; its "
        "runtime tells of no operators."
    )
    assert "- silent tells of no operators: its total is all there is" in text
    assert "- broken failed: it broke" in text
    assert pictures.waterfall(found, 1) is None


def test_sums_that_do_not_agree_are_told() -> None:
    """Further than 5 % from the time without a profiler, the report says how far."""
    lost, whole = (
        markdown.draw(explained.of_explanation(found))
        for told in (0.8, 0.96)
        for found in [explanation([engine("a", 40.0, told=told)], group(CONV, 40.0))]
    )
    assert "add up to 80 % of the time without a profiler, which is further off than 5 %" in lost
    assert "further off" not in whole


@pytest.mark.parametrize("seed", range(20))
def test_steps_lead_from_one_time_to_the_other(seed: int) -> None:
    """Whatever the groups are, the picture's steps and the table's lines add up."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 30))
    times = rng.exponential(2.0, (count, 2))
    groups = [group(f"kind {n}", float(a), float(b)) for n, (a, b) in enumerate(times)]
    total_a, total_b = map(float, times.sum(axis=0))
    found = explanation([engine("a", total_a), engine("b", total_b, total_b / total_a)], *groups)
    steps = pictures.steps(found.kinds, 1)
    assert total_a + sum(step.ms for step in steps) == pytest.approx(total_b)
    assert len(steps) <= pictures.STEPS + 1
    shown = explained.shown(found, found.kinds)
    assert sum(each.ms[1] or 0.0 for each in shown) == pytest.approx(total_b)
    assert len(sentences(found)) <= MOST


def test_the_picture_names_both_times() -> None:
    """Its title says from what to what, and which kind makes most of it."""
    found = explanation(
        [engine("a", 80.0), engine("b", 45.0, 0.5625)],
        group(CONV, 70.0, 38.0, macs=MACS),
        group(ADD, 10.0, 7.0),
    )
    picture = pictures.waterfall(found, 1)
    assert picture is not None
    assert (
        picture.title
        == "M: from 80.0 ms in a to 45.0 ms in b; 3×3 convolutions, stride 1 make -32.0 ms"
    )
    assert picture.png.startswith(b"\x89PNG")


def test_a_picture_of_luck_names_no_kind() -> None:
    """Where nothing surely differs, its title says what the report says."""
    found = explanation(
        [engine("a", 80.0), engine("b", 81.0, 1.01)], group(CONV, 70.0, 71.0, half_ms=2.0)
    )
    picture = pictures.waterfall(found, 1)
    assert picture is not None
    assert picture.title.endswith("; no kind of operator surely differs")


def test_a_runs_page_has_what_was_explained_of_it(tmp_path: Path) -> None:
    """What lies in the run's folder is in its summary, its pictures and its page."""
    found = explanation(
        [engine("a", 80.0), engine("b", 45.0, 0.5625)],
        group(CONV, 70.0, 38.0, macs=MACS),
        group(ADD, 10.0, 7.0),
    )
    folder = RunFolder(tmp_path)
    folder.write(f"{EXPLAINED}/m/{EXPLANATION}", found.model_dump_json())
    assert folder.explanations() == (found,)
    explained_run = summary(row()).model_copy(update={"explanations": folder.explanations()})
    pictures = list(plots.draw(explained_run))
    assert [each.name for each in pictures][-1] == "waterfall-1"
    written = page.render(explained_run, [], pictures)
    assert "M: from 80.0 ms in a to 45.0 ms in b" in written
    folder.write(f"{EXPLAINED}/m/{EXPLANATION}", "{")
    with pytest.raises(StoreError, match="not an explanation, or a damaged one"):
        folder.explanations()
