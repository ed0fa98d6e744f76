"""Counters of energy, as machines of several kinds have them, and the figures that come of them."""

from pathlib import Path

import pytest

from rtfbench.engines import cuda
from rtfbench.measure.machine import energy
from rtfbench.measure.machine.energy import Stopwatch, idle, of_host
from rtfbench.results.levels import energy_figures, idle_of
from rtfbench.results.records import Health, Record

#: As the kernel of a host with two packages shows them: parts of a package count in it already.
POWERCAP = {
    "intel-rapl:0": ("package-0", 5_000_000, 262143328850),
    "intel-rapl:0:0": ("core", 3_000_000, 262143328850),
    "intel-rapl:0:1": ("dram", 700_000, 65712999613),
    "intel-rapl:1": ("package-1", 262143328000, 262143328850),
    "intel-rapl:2": ("psys", 9_000_000, 262143328850),
    "intel-rapl-mmio:0": ("package-0", 5_000_100, 262143328850),
}


def zones(system: Path, given: dict[str, tuple[str, int, int]] = POWERCAP) -> Path:
    """Write a folder as /sys/class/powercap; return it."""
    folder = system / "class/powercap"
    (folder / "intel-rapl").mkdir(parents=True)
    for zone, (name, uj, end) in given.items():
        (folder / zone).mkdir()
        (folder / zone / "name").write_text(f"{name}\n")
        (folder / zone / "energy_uj").write_text(f"{uj}\n")
        (folder / zone / "max_energy_range_uj").write_text(f"{end}\n")
    return folder


def test_packages_and_memory_are_added(tmp_path: Path) -> None:
    """Nothing counts twice, and a counter that began again at 0 in between is no loss."""
    folder = zones(tmp_path)
    meter = of_host(tmp_path)
    assert meter is not None
    assert meter.source == "RAPL, package-0, dram of 0, package-1"
    watch = Stopwatch(meter)
    (folder / "intel-rapl:0/energy_uj").write_text("5000100")
    (folder / "intel-rapl:0:0/energy_uj").write_text("9000000")
    (folder / "intel-rapl:0:1/energy_uj").write_text("700020")
    (folder / "intel-rapl:1/energy_uj").write_text("149")
    spent = watch.spent()
    assert spent.uj == 100 + 20 + 1000
    assert spent.ns is not None
    assert spent.ns > 0


def test_a_counter_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """Neither part of a host's energy nor a guess is told; nor is one of counters that vanish."""
    folder = zones(tmp_path)
    meter = of_host(tmp_path)
    watch = Stopwatch(meter)
    (folder / "intel-rapl:1/energy_uj").unlink()
    (folder / "intel-rapl:1/energy_uj").mkdir()  # root reads what others may not, but no folder
    assert watch.spent().uj is None
    assert of_host(tmp_path) is None
    assert of_host(tmp_path / "nothing") is None
    assert Stopwatch(None).spent() == energy.Spent()
    assert cuda.energy_counter("cuda", driver="no.so", management="no.so") is None


def hwmon(system: Path, number: int, name: str, inputs: dict[str, int]) -> None:
    """Write a sensor as /sys/class/hwmon has it: label -> microjoules."""
    folder = system / f"class/hwmon/hwmon{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    for place, (label, uj) in enumerate(inputs.items(), start=1):
        (folder / f"energy{place}_input").write_text(f"{uj}\n")
        if label:
            (folder / f"energy{place}_label").write_text(f"{label}\n")


def test_sensors_are_taken_where_there_is_no_rapl(tmp_path: Path) -> None:
    """Sockets of AMD's driver; of others the only one: of several, some may be parts of others."""
    amd = tmp_path / "amd"
    hwmon(amd, 0, "nvme", {})
    hwmon(amd, 1, "amd_energy", {"Ecore000": 5, "Ecore001": 7, "Esocket0": 100, "Esocket1": 200})
    meter = of_host(amd)
    assert meter is not None
    assert meter.source == "hwmon, amd_energy Esocket0, amd_energy Esocket1"
    assert meter.now() == (100, 200)
    assert meter.risen_uj((100, 200), (90, 250)) is None  # it was reset
    board = tmp_path / "board"
    hwmon(board, 3, "ina228", {"": 42})
    meter = of_host(board)
    assert meter is not None
    assert (meter.source, meter.now()) == ("hwmon, ina228 energy1_input", (42,))
    hwmon(board, 4, "ina228", {"": 43})
    assert of_host(board) is None


def test_idle_is_what_is_spent_while_nothing_runs() -> None:
    """It waits for the machine to settle; without a meter it does not wait."""
    slept: list[float] = []
    counter = iter((0, 5_000_000))
    meter = energy.Meter("a counter", lambda: (next(counter),), (None,))
    assert idle({"cpu": meter}, slept.append)["cpu"].uj == 5_000_000
    assert slept == [energy.SETTLE_S, energy.IDLE_S]
    assert idle({}, slept.append) == {}
    assert len(slept) == 2


def record(session: int, uj: int | None, position: int = 0) -> Record:
    """Return a record of two seconds of audio, computed in 0.1 s."""
    return Record.model_construct(
        session=session,
        block=0,
        position=position,
        utterance="a",
        audio_ns=2_000_000_000,
        padded_audio_ns=2_000_000_000,
        processing_ns=100_000_000,
        energy_uj=uj,
        energy_ns=None if uj is None else 100_000_000,
    )


def quiet(session: int, watts: float) -> Health:
    """Return a block after which idle power was measured."""
    return Health.model_construct(
        session=session, idle_ns=250_000_000, idle_uj={"cpu": round(watts * 250_000)}
    )


def test_joules_an_hour_of_audio() -> None:
    """2 J for 2 s of audio are 3600 J an hour; 5 W idle for the 0.1 s are 900 J of them."""
    slots = [[record(session, 2_000_000)] for session in (0, 0, 1)]
    idle_w = idle_of([quiet(0, 4), quiet(0, 5), quiet(0, 90), quiet(1, 5)])
    told = energy_figures(slots, "steady", "cpu", idle_w)
    assert told["energy_j_per_h"] == pytest.approx(3600)
    assert told["energy_above_idle_j_per_h"] == pytest.approx(2700)
    assert told["energy_ci95"] == pytest.approx((3600, 3600))


def test_what_was_not_measured_is_no_figure() -> None:
    """One record without a reading, a session without idle power, nothing above idle."""
    idle_w = idle_of([quiet(0, 5)])
    assert energy_figures([], "steady", "cpu", idle_w) == {}
    assert energy_figures([[record(0, 1)], [record(0, None)]], "steady", "cpu", idle_w) == {}
    for slots in ([[record(0, 900_000)], [record(1, 900_000)]], [[record(0, 400_000)]]):
        told = energy_figures(slots, "steady", "cpu", idle_w)
        assert set(told) == {"energy_j_per_h", "energy_ci95"}
