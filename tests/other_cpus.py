"""The tests that depend on the CPU, on stand-ins for machines that are not here.

    make test-other-cpus
    python -m tests.other_cpus --only avx2 --only one-core

Each variant is a pytest in a process of its own; one that this machine cannot stand in for is
refused, with the reason, and does not fail the rest.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from shutil import which

from bench.base.interruption import SIGNALS

ROOT = Path(__file__).parent.parent
#: The engines, their precisions, the peak of a core, what a host is, and doctor.
TESTS = (
    "tests/conformance",
    "tests/integration/test_precision.py",
    "tests/unit/test_core.py",
    "tests/unit/test_host.py",
    "tests/unit/test_cpu.py",
    "tests/integration/test_measurement.py::test_doctor_says_what_this_machine_resolves",
)
#: Another user cannot write pytest's cache.
PYTEST = ("-p", "no:cacheprovider", "-m", "not deep")
#: They make the quotas themselves, under cgroup v1 and v2.
QUOTA_TESTS = ("tests/unit/test_cgroup.py", "tests/integration/test_cpu_quota.py")
#: What holds under the emulator: it slows threads and takes memory of its own, and children run on
#: the CPU that is there, the compiler among them, whose code for that CPU then ends the process.
EMULATED_TESTS = (
    "tests/conformance/test_engines.py",
    "-k",
    "not signals and not threads_are and not no_memory and not (torch and every_setting)",
)
#: QEMU's models of CPUs, without what it does not emulate and no kernel is chosen by.
EMULATED_CPUS = ("Haswell-noTSX,-pcid,-invpcid,-x2apic,-tsc-deadline", "Nehalem")
#: Runtimes' own switches -> their values for AVX2 and for SSE4.2. OpenVINO's plug-in and its oneDNN
#: have one each, and only both together make it say that it has no bf16. onnxruntime, MNN and ncnn
#: have none: the emulator alone holds those.
SWITCHES: Mapping[str, tuple[str, str]] = {
    "OV_CPU_MAX_ISA": ("AVX2", "SSE42"),
    "ONEDNN_MAX_CPU_ISA": ("AVX2", "SSE41"),
    "ATEN_CPU_CAPABILITY": ("avx2", "default"),
    "MKL_ENABLE_INSTRUCTIONS": ("AVX2", "SSE4_2"),
    "OPENBLAS_CORETYPE": ("Haswell", "Nehalem"),
}
LEVELS = ("avx2", "sse4.2")
EMULATOR = "qemu-x86_64"
#: What numpy may keep at AVX2, by its names of before 2.4 too.
NUMPY_AVX2 = {"X86_V3", "AVX", "F16C", "FMA3", "AVX2"}
COMPILERS = r"(.+-)?(cc|c\+\+|gcc|g\+\+|clang|clang\+\+)(-[\d.]+)?"
NOBODY = 65534
#: The start alone proves too little: root can hand over a program that the user may not start.
STARTS_ITSELF = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import tests"], check=True)
"""
#: How long a child may take to end after Ctrl-C.
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Variant:
    """A machine that is not here; `without` is a pattern of programs that it lacks."""

    name: str
    level: str = ""
    prefix: tuple[str, ...] = ()
    without: str = ""
    tests: tuple[str, ...] = TESTS


def variants() -> list[Variant]:
    """Return all of them."""
    core = str(min(os.sched_getaffinity(0)))
    ids = (f"--reuid={NOBODY}", f"--regid={NOBODY}")
    return [
        *(Variant(level, level=level) for level in LEVELS),
        Variant("no-compiler", without=COMPILERS),
        Variant("no-lscpu", without="lscpu"),
        Variant("one-core", prefix=("taskset", "--cpu-list", core)),
        Variant("no-root", prefix=("setpriv", *ids, "--clear-groups")),
        Variant("quota", tests=QUOTA_TESTS),
        *(
            Variant(f"emulated-{level}", prefix=(EMULATOR, "-cpu", cpu), tests=EMULATED_TESTS)
            for level, cpu in zip(LEVELS, EMULATED_CPUS, strict=True)
        ),
    ]


def switches(level: str) -> dict[str, str]:
    """Return the variables that hold the runtimes to an instruction set."""
    found = {name: values[LEVELS.index(level)] for name, values in SWITCHES.items()}
    return {**found, "NPY_DISABLE_CPU_FEATURES": " ".join(_too_new_for_numpy(level))}


def _too_new_for_numpy(level: str) -> Iterator[str]:
    """Yield what numpy would choose here and may not: it warns of what the CPU lacks anyway."""
    numpy = import_module("numpy._core._multiarray_umath")  # it has no types
    kept = NUMPY_AVX2 if level == "avx2" else set()
    for name in numpy.__cpu_dispatch__:
        if numpy.__cpu_features__[name] and name not in kept:
            yield name


def link_programs(folder: Path, without: str) -> None:
    """Link all programs of PATH in a folder, but those whose names match a pattern."""
    for each in os.get_exec_path():
        for program in Path(each).iterdir() if Path(each).is_dir() else ():
            link = folder / program.name
            if not re.fullmatch(without, program.name) and not link.is_symlink():
                link.symlink_to(program.absolute())


def refusal(variant: Variant) -> str:
    """Return why this machine cannot stand in for a variant, nothing where it can."""
    if not variant.prefix:
        return ""
    if which(variant.prefix[0]) is None:
        package = " (Debian: qemu-user)" if variant.prefix[0] == EMULATOR else ""
        return f"{variant.prefix[0]} is not installed{package}"
    if variant.name == "no-root":
        if os.geteuid() != 0:
            return "these tests run as another user than root anyway"
        asked = [*variant.prefix, sys.executable, "-c", STARTS_ITSELF]
        if subprocess.run(asked, cwd=ROOT, capture_output=True, check=False).returncode:
            return f"another user cannot read {Path(sys.executable).resolve()} or {ROOT}"
    return ""


@contextmanager
def environment(variant: Variant) -> Iterator[dict[str, str]]:
    """Yield the variables of a variant; home and temporary files are its own."""
    with tempfile.TemporaryDirectory(prefix="other-cpus-") as name:
        folder = Path(name)
        found = {**os.environ, "HOME": name, "TMPDIR": name, "PYTHONDONTWRITEBYTECODE": "1"}
        if variant.level:
            found |= switches(variant.level)
        if variant.without:
            programs = folder / "programs"
            programs.mkdir()
            link_programs(programs, variant.without)
            found["PATH"] = str(programs)
            found.pop("CC", None)
            found.pop("CXX", None)
        if variant.name == "no-root":
            os.chown(folder, NOBODY, NOBODY)
        yield found


def run(variant: Variant, arguments: Iterable[str]) -> tuple[int, str]:
    """Run pytest as in a variant; what interrupts this process ends that, and all it started.

    Returns:
        Its status, and what it wrote.
    """
    command = [*variant.prefix, sys.executable, "-m", "pytest", "-q", *PYTEST]
    with environment(variant) as variables, tempfile.TemporaryFile("w+") as written:
        child = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = child.wait()
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    child.wait(PATIENCE_S)
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        written.seek(0)
        return status, written.read()


def main(argv: Sequence[str] | None = None) -> int:
    """Run variants one after the other, a line each; return 1 where one fails.

    Args:
        argv: the arguments, those of the process by default.
    """
    known = {each.name: each for each in variants()}
    parser = argparse.ArgumentParser(
        prog="python -m tests.other_cpus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", choices=[*known], help="may be repeated")
    parser.add_argument("tests", nargs="*", help="in place of all that depend on the CPU")
    asked = parser.parse_args(argv)
    failed = False
    for name in asked.only or known:
        if reason := refusal(known[name]):
            print(f"{name}: refused: {reason}", flush=True)
            continue
        began = time.monotonic()
        status, text = run(known[name], asked.tests or known[name].tests)
        counts = re.sub(r" in [\d.]+s.*", "", text.rstrip().rpartition("\n")[2].strip("= "))
        if status:
            failed = True
            print(text)
        print(f"{name}: {counts}, {time.monotonic() - began:.0f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
