"""What is derived of many lengths, on simulated sessions whose truth is known."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rtfbench.explain.visits import LONGEST, SHORTEST, Visited, derive, schedule
from rtfbench.report import plots
from rtfbench.report.lengths import growth, of_lengths
from rtfbench.report.markdown import draw
from rtfbench.results.explanation import EngineLengths, LengthReport
from rtfbench.results.store import EXPLAINED, LENGTHS, RunFolder
from tests.unit.report.results import row, summary

OPENED = 100_000_000
MB, KB, MS = 1_000_000, 1000, 1_000_000


def simulated(
    rss: Callable[[int, int], float], *, seed: int = 0, prepares_ms: float = 0.0
) -> EngineLengths:
    """Return what is derived where run number and frames give the resident size beyond opening."""
    draw = random.Random(seed)
    rounds: list[list[Visited]] = []
    run = 0
    for frames in schedule(seed):
        rounds.append([])
        for num_frames in frames:
            sizes, times = [], []
            for place in range(2):
                run += 1
                sizes.append(round(OPENED + rss(run, num_frames)))
                # The machine is twice as slow in the first round.
                ms = num_frames / 10 * draw.uniform(1, 1.02) + prepares_ms * (place == 0)
                ms *= 2 if run <= 20 else 1
                times.append(round(ms * MS))
            visit = Visited(
                num_frames=num_frames, ns=tuple(times), rss_bytes=tuple(sizes), moved=0.0
            )
            rounds[-1].append(visit)
    return derive("engine", "1.0", OPENED, rounds)


def test_five_hundred_runs_of_ten_lengths() -> None:
    """Every length comes once a round; another seed draws others."""
    rounds = schedule(1)
    assert sum(len(each) for each in rounds) * 2 == 500
    assert len({tuple(sorted(each)) for each in rounds}) == 1
    assert all(SHORTEST <= frames <= LONGEST for frames in rounds[0])
    assert len(set(rounds[0])) == 10
    assert sorted(schedule(2)[0]) != sorted(rounds[0])


def test_a_leak_is_found_with_its_slope() -> None:
    """40 kB a run, under noise of a megabyte."""
    draw = random.Random(3)
    found = simulated(lambda run, _: 40 * KB * run + draw.uniform(0, MB))
    assert found.leaks
    assert not found.arena_grows
    assert found.growth_kb == pytest.approx(40, abs=4)
    assert found.growth_kb_ci95 is not None
    assert found.growth_kb_ci95[0] < 40 < found.growth_kb_ci95[1]
    assert growth(found).startswith("a leak: the resident size grows by +")


def test_noise_and_memory_that_follows_the_length_are_no_leak() -> None:
    """An interval misses to this side in 2.5 of 100 sessions, and the growth has to matter too."""

    def follows(seed: int) -> Callable[[int, int], float]:
        draw = random.Random(seed)
        return lambda _, frames: frames * 100 * KB + draw.uniform(0, 5 * MB)

    called = [simulated(follows(seed), seed=seed) for seed in range(300)]
    assert sum(each.leaks for each in called) <= 8
    assert sum(each.arena_grows for each in called) <= 8


def test_an_arena_that_grows_and_stops_is_told_from_a_leak() -> None:
    """Steps after every length has come, then nothing."""
    found = simulated(lambda run, _: min(run // 50, 4) * 10 * MB)
    assert found.arena_grows
    assert not found.leaks
    assert "an arena that grows: +40 MB" in growth(found)


def test_memory_that_comes_with_the_first_round_is_no_finding() -> None:
    """It is what the longest input needs."""
    longest = max(schedule(0)[0])
    seen = [0]

    def highest(_: int, frames: int) -> float:
        seen[0] = max(seen[0], frames)
        return seen[0] * 100 * KB

    found = simulated(highest)
    assert not found.leaks
    assert not found.arena_grows
    assert found.lengths[0].memory_mb == pytest.approx(100 + longest / 10)


def test_what_a_change_of_length_costs() -> None:
    """Times as long as staying, as a ratio with its interval; drift changes nothing."""
    found = simulated(lambda *_: 0.0, prepares_ms=20.0)
    assert found.back_ci95 is not None
    assert found.back_ci95[0] > 1.05
    assert found.lengths[-1].back_ms - found.lengths[-1].again_ms == pytest.approx(20, abs=2)
    text = report([found])
    assert "coming back to a length takes" in text
    assert "the resident size is steady" in text
    plain = simulated(lambda *_: 0.0)
    assert plain.first == pytest.approx(1, abs=0.02)
    assert "times as long" not in report([plain])


def test_an_engine_that_ended_early_keeps_its_row() -> None:
    """With what it did until then, and with nothing where that is nothing."""
    nothing = derive("gone", "", 0, []).model_copy(update={"failed": "round 1 of 25: crashed"})
    assert "gone failed (round 1 of 25: crashed)" in report([nothing])
    assert derive("once", "1.0", OPENED, [[]]).lengths == ()


def test_a_runs_page_has_the_lengths_that_were_run_for_it(tmp_path: Path) -> None:
    """What lies in the run's folder is in its summary's pictures."""
    found = LengthReport(
        model="M",
        threads=1,
        cpu="CPU",
        rtfbench="0",
        seed=0,
        engines=(simulated(lambda run, _: 40 * KB * run),),
    )
    folder = RunFolder(tmp_path)
    folder.write(f"{EXPLAINED}/m/{LENGTHS}", found.model_dump_json())
    assert folder.lengths() == (found,)
    *_, picture = plots.draw(summary(row()).model_copy(update={"lengths": folder.lengths()}))
    assert picture.name == "lengths-1"
    assert picture.title.startswith("M: engine, a leak")


def report(engines: Sequence[EngineLengths]) -> str:
    """Return the report of engines."""
    found = LengthReport(
        model="model", threads=1, cpu="CPU", rtfbench="0", seed=0, engines=tuple(engines)
    )
    return draw(of_lengths(found))
