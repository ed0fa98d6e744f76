"""The host's fingerprint: what processors are called, and what this one tells."""

import subprocess

import pytest

from rtfbench.engines import cpu
from rtfbench.measure.machine import environment
from rtfbench.measure.machine.environment import hardware, microarchitecture
from rtfbench.report.about import machine
from rtfbench.results.host import Host, Probes, kind


@pytest.mark.parametrize(
    ("vendor", "family", "model", "stepping", "name"),
    [
        ("AuthenticAMD", 25, 1, 1, "Zen 3"),
        ("AuthenticAMD", 25, 17, 1, "Zen 4"),
        ("AuthenticAMD", 26, 2, 1, "Zen 5"),
        ("AuthenticAMD", 99, 2, 1, ""),
        ("GenuineIntel", 6, 0x55, 4, "Skylake-SP"),
        ("GenuineIntel", 6, 0x55, 7, "Cascade Lake"),
        ("GenuineIntel", 6, 0x8F, 8, "Sapphire Rapids"),
        ("GenuineIntel", 15, 2, 8, ""),
        ("unknown", None, None, None, ""),
    ],
)
def test_one_name_for_many_processors_is_told_apart(
    vendor: str, family: int | None, model: int | None, stepping: int | None, name: str
) -> None:
    """By family and model, which virtual machines do not hide."""
    assert microarchitecture(vendor, family, model, stepping, name="AMD EPYC") == name


def test_elsewhere_than_on_x86_the_systems_name_is_the_designs() -> None:
    """`lscpu` decodes part numbers there."""
    assert microarchitecture("ARM", None, 1, None, name="Neoverse-N1") == "Neoverse-N1"


#: What `lscpu --json` says of a machine, shortened; newer versions nest it.
TOLD = """{"lscpu": [
  {"field": "Vendor ID:", "data": "AuthenticAMD", "children": [
    {"field": "Model name:", "data": "AMD EPYC"}, {"field": "CPU family:", "data": "26"},
    {"field": "Model:", "data": "2"}, {"field": "Stepping:", "data": "1"},
    {"field": "Thread(s) per core:", "data": "1"}]},
  {"field": "Hypervisor vendor:", "data": "KVM"},
  {"field": "L1d cache:", "data": "96 KiB (2 instances)"},
  {"field": "L2 cache:", "data": "2 MiB (2 instances)"},
  {"field": "L3 cache:", "data": "32 MiB (1 instance)"}]}"""


def test_what_the_system_tells_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, the instruction sets that matter, and one cache's size of each level."""

    def told(*_: object, **__: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess([], 0, TOLD, "")

    monkeypatch.setattr("rtfbench.measure.machine.environment.subprocess.run", told)
    flags = frozenset({"fpu", "avx2", "fma", "avx512f", "hypervisor"})
    monkeypatch.setattr("rtfbench.measure.machine.environment.cpu.flags", lambda: flags)
    found = hardware(probes=False)
    assert (found.vendor, found.family, found.model, found.stepping) == ("AuthenticAMD", 26, 2, 1)
    assert found.microarchitecture == "Zen 5"
    assert found.instruction_sets == ("fma", "avx2", "avx512f")
    assert found.cache_bytes == {"L1d": 48 * 2**10, "L2": 2**20, "L3": 32 * 2**20}
    assert (found.threads_per_core, found.hypervisor) == (1, "KVM")
    assert kind("AMD EPYC", found) == "AMD EPYC (Zen 5, family 26, model 2)"


def test_without_the_tool_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without `lscpu` tells its instruction sets alone, and that is no failure."""

    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("rtfbench.measure.machine.environment.subprocess.run", missing)
    found = hardware(probes=False)
    assert (found.vendor, found.family) == ("", None)
    assert set(found.instruction_sets) == set(environment.INSTRUCTION_SETS) & cpu.flags()
    assert kind("Some CPU", found) == kind("Some CPU", None) == "Some CPU"


def test_this_machine_tells_what_it_is() -> None:
    """Whatever it is, it has caches, and numpy's BLAS says its kernels."""
    found = hardware(probes=False)
    assert found.blas
    assert all(size > 0 for size in found.cache_bytes.values())


def test_a_peak_that_is_none_is_said_to_be() -> None:
    """FLOP a cycle have to come out near what cores do; without a clock there is no peak."""

    def lines(peak: float) -> str:
        probes = Probes(clock_ghz=4.0, peaks={"float32 avx2": peak}, ceiling="float32 avx2")
        return "\n".join(machine(Host(probes=probes)))

    assert "32.0 FLOP a cycle." in lines(128.0)
    assert "do not trust it" in lines(90.0)
    bare = "\n".join(machine(Host(probes=Probes(copy_gb_s=10.0))))
    assert bare.endswith("no peak of a core was measured, which takes a C++ compiler.")
    unclocked = Probes(peaks={"float32 avx2": 128.0}, ceiling="float32 avx2")
    assert "\n".join(machine(Host(probes=unclocked))).endswith("the clock could not be measured.")
