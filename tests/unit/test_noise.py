"""How quiet the machine was, in numbers and in a sentence."""

import os
import subprocess
import sys
import time

import pytest

from rtfbench.measure.machine import health
from rtfbench.results.noise import disturbances, noise_of
from rtfbench.results.records import Health
from rtfbench.results.store import CellData
from tests.unit.test_contrasts import add, cell_data

pytestmark = pytest.mark.measures


def line(**changes: float) -> Health:
    """Return a block's health; quiet where nothing is said."""
    quiet = {"steal": 0.0, "pressure": 0.01, "other_cpu": 0.02, "involuntary": 5.0}
    names = {"kind": "health", "cell_id": "c", "session": 0, "block": 0, "wall_ns": 10**9}
    return Health.model_validate(names | quiet | changes)


def group(ghost_factors: list[float], lines: list[Health]) -> list[CellData]:
    """Return a reference with its ghost, which takes so many times as long, session by session."""
    reference, ghost = cell_data("onnxruntime"), cell_data("onnxruntime", replica="ghost")
    for session, factor in enumerate(ghost_factors):
        for position in (0, 1):
            add(reference, session, 0, position, a=100)
            add(ghost, session, 0, position, a=100 * factor)
    reference.health += lines
    return [reference, ghost]


def test_a_quiet_run_says_its_noise_floor() -> None:
    """The ghost's half width is what the machine cannot tell apart."""
    noise = noise_of([group([1.0, 1.01, 0.99, 1.005, 0.995, 1.002], [line()])])
    assert noise is not None
    assert not noise.contaminated
    assert noise.disturbed_share == 0
    assert noise.ghosts[0].contains_one
    assert noise.ghosts[0].half_width == pytest.approx(0.01, abs=0.005)
    assert noise.sentence.startswith("quiet: 0% of blocks disturbed; ratios hold")


def test_a_ghost_that_differs_contaminates() -> None:
    """The same engine against itself must be a tie."""
    noise = noise_of([group([1.05, 1.051, 1.049, 1.05, 1.052, 1.048], [line()])])
    assert noise is not None
    assert noise.contaminated
    assert not noise.ghosts[0].contains_one
    assert "contaminated" in noise.sentence


def test_disturbed_blocks_are_counted_and_named() -> None:
    """Each channel has a limit; the sentence names the one that was over it most often."""
    lines = [line(), line(steal=0.3), line(steal=0.1, other_cpu=0.5), line(throttled=0.2)]
    assert [disturbances(each) for each in lines] == [
        [], ["steal"], ["steal", "other_cpu"], ["throttled"],
    ]  # fmt: skip
    noise = noise_of([group([1.0] * 6, lines)])
    assert noise is not None
    assert noise.disturbed_share == 0.75
    assert "noisy: 75% of blocks disturbed" in noise.sentence
    assert "steal" in noise.sentence


def test_what_the_host_does_not_tell_disturbs_nothing() -> None:
    """A channel that cannot be read is None, not 0 and not an error."""
    silent = Health(cell_id="c", session=0, block=0, wall_ns=1)
    assert disturbances(silent) == []
    assert noise_of([]) is None
    found = noise_of([group([1.0] * 6, [silent] * 6)])
    assert found is not None
    assert found.disturbed_share is None
    assert "quiet" not in found.sentence


def test_a_busy_process_is_seen() -> None:
    """Counters of the real machine: a process of ours is own work, one that is not ours is other.

    Other processes may be busy as well, so only the difference that ours makes is held.
    """
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        owned, alone = [health.read_counters([busy.pid])], [health.read_counters([])]
        time.sleep(1.0)
        owned.append(health.read_counters([busy.pid]))
        alone.append(health.read_counters([]))
    finally:
        busy.kill()
        busy.wait()
    ours, others = (
        health.between(*pair, cell_id="c", session=0, block=0) for pair in (owned, alone)
    )
    assert ours.wall_ns == pytest.approx(1e9, rel=0.5)
    if ours.other_cpu is None or others.other_cpu is None:
        pytest.skip("this host has no /proc/stat")
    assert others.other_cpu > ours.other_cpu + 0.2
    assert others.load_average_1min == pytest.approx(os.getloadavg()[0], abs=1)
