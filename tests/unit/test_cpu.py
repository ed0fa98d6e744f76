"""What a CPU lacks, and what is said of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from rtfbench.engines import cpu, registry
from rtfbench.engines.base import lacking
from rtfbench.engines.ort import EXACT, OnnxRuntimeEngine
from rtfbench.engines.protocol import SessionOptions, Support
from rtfbench.testing import tiny_model
from tests.unit.test_engine_base import ARTIFACT

AVX2 = "processor : 0\nflags\t\t: fpu sse2 avx fma avx2\n\nprocessor : 1\nflags : fpu sse2\n"
ZEN4 = "flags : sse2 avx2 avx512f avx512_vnni avx512_bf16\n"
ARM = "Features\t: fp asimd asimddp\n"


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Host":
    """Return what makes this host another one."""
    return Host(tmp_path / "cpuinfo", monkeypatch)


class Host:
    """A CPU as its flags tell it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path, self._monkeypatch = path, monkeypatch

    def __call__(self, told: str) -> None:
        """Take another CPU's flags for this one's."""
        self._path.write_text(told)
        found = cpu.flags.__wrapped__(self._path)
        self._monkeypatch.setattr(cpu, "flags", lambda: found)


@pytest.mark.parametrize(
    ("told", "bf16", "int8", "lacks"),
    [
        (AVX2, False, False, "no avx512_bf16, no amx_bf16"),
        (ZEN4, True, True, "no avx512_bf16, no amx_bf16"),
        (ARM, False, True, "no bf16"),
        ("nothing of the kind", True, True, "no bf16"),
    ],
)
def test_flags_are_those_of_the_first_core(
    on: Host, told: str, bf16: bool, int8: bool, lacks: str
) -> None:
    """Instruction sets are read for x86 and Arm; where none are told, nothing is missing."""
    on(told)
    assert (cpu.has(cpu.BF16), cpu.has(cpu.INT8)) == (bf16, int8)
    assert cpu.without(cpu.BF16) == lacks


def test_no_cpuinfo_is_no_error(tmp_path: Path) -> None:
    """A system without the file tells no flags."""
    assert cpu.flags.__wrapped__(tmp_path / "missing") == frozenset()


@pytest.mark.parametrize(
    ("told", "held", "expected"),
    [
        (ZEN4, "avx2", "no avx512_bf16, no amx_bf16: ONEDNN_MAX_CPU_ISA=AVX2"),
        (ZEN4, "AVX512_CORE", ""),  # it emulates with instructions that are wide enough
        (ZEN4, "", ""),
        (AVX2, "AVX2", ""),  # without the variable there would be none either
    ],
)
def test_a_held_onednn_lacks_bf16(
    on: Host, monkeypatch: pytest.MonkeyPatch, told: str, held: str, expected: str
) -> None:
    """The variable that holds oneDNN is named, where it is what does."""
    on(told)
    monkeypatch.setenv(cpu.ONEDNN_HELD, held)
    assert cpu.onednn_lacks_bf16() == expected


@pytest.mark.parametrize(("told", "exact"), [(ZEN4, "off"), (AVX2, "on")])
def test_the_cpu_decides_how_int8_multiplies(
    on: Host, told: str, exact: str, tmp_path: Path
) -> None:
    """Sessions in int8 keep products exact where they would saturate, those in float32 never."""
    on(told)
    artifact, engine = tiny_model.write(tmp_path, "onnx", "dynamic"), OnnxRuntimeEngine()
    # The switch is set by what is asked for, whatever the file holds.
    found = {
        precision: engine.open(
            replace(artifact, precision=precision), SessionOptions(precision=precision)
        ).effective
        for precision in ("int8", "float32")
    }
    assert {name: each[EXACT] for name, each in found.items()} == {"int8": exact, "float32": "off"}
    named = SessionOptions(settings={"int8_products": "exact"})
    assert engine.open(artifact, named).effective[EXACT] == "on"


@pytest.mark.parametrize(
    ("told", "settings", "expected"),
    [
        (ZEN4, {}, ""),
        (AVX2, {}, "(int8_products=exact), which costs speed; with weight_bits=7 they need not be"),
        (AVX2, {"int8_products": "fast"}, "int8_products=exact or weight_bits=7 keeps them right"),
        (AVX2, {"weight_bits": "7"}, ""),
    ],
)
def test_int8_without_vnni_is_explained(
    on: Host, told: str, settings: dict[str, str], expected: str
) -> None:
    """What the CPU does to products of 8 bits stands beside them, and nothing beside float32."""
    on(told)
    engine = registry.get("onnxruntime")
    found = engine.caveat(SessionOptions(settings=settings, precision="int8"))
    assert found.endswith(expected)
    assert bool(found) == bool(expected)
    assert engine.caveat(SessionOptions()) == ""


class _Lacking(OnnxRuntimeEngine):
    """An engine on a host that lacks something of it."""

    may_lack = ("int8", "arena=off")

    def lacks(self) -> dict[str, str]:
        """Lack a precision and a value of a setting."""
        return {"int8": "no instructions", "arena=off": "no memory"}


def test_what_a_host_lacks_is_refused() -> None:
    """A precision or a setting that the host lacks is no support, with the reason."""
    engine = _Lacking()
    frugal = SessionOptions(settings={"arena": "off"})
    assert engine.supports(ARTIFACT, SessionOptions()).ok
    int8 = replace(ARTIFACT, precision="int8")
    assert engine.supports(int8, SessionOptions(precision="int8")).reason == "no instructions"
    assert engine.supports(ARTIFACT, frugal) == Support(False, "no memory")
    assert lacking(engine, frugal, dict) == ""


def test_lacks_is_asked_only_where_something_can_be_lacking() -> None:
    """Neither options that run everywhere nor an engine that declares nothing cost a question."""

    def ask() -> dict[str, str]:
        raise AssertionError("asked")

    other = SessionOptions(settings={"arena": "on"})
    assert lacking(_Lacking(), other, ask) == lacking(_Lacking(), SessionOptions(), ask) == ""
    assert lacking(OnnxRuntimeEngine(), SessionOptions(precision="int8"), ask) == ""
    with pytest.raises(AssertionError, match="asked"):
        lacking(_Lacking(), SessionOptions(precision="int8"), ask)
