"""The tests that depend on the CPU, on stand-ins for machines that are not here.

    make test-other-cpus
    python -m tests.other_cpus --only avx2 --only one-core

Each variant is a pytest of its own, and takes the tests that what it lacks can change; one that
this machine cannot stand in for is refused, with the reason, and does not fail the rest.
"""

import argparse
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from pathlib import Path
from shlex import quote
from shutil import which

from rtfbench.base.core_count import core_count
from rtfbench.base.interruption import SIGNALS

ROOT = Path(__file__).parent.parent
#: What a host is, the peak of its core, and what it resolves.
HOST_TESTS = (
    "tests/unit/test_core.py",
    "tests/unit/test_cpu.py",
    "tests/unit/test_host.py",
    "tests/integration/test_measurement.py::test_doctor_says_what_this_machine_resolves",
)
#: The engines and their precisions besides.
TESTS = ("tests/conformance", "tests/integration/test_precision.py", *HOST_TESTS)
#: What compiles besides the kernels of a core: Inductor, and the shim of a user's own MNN.
COMPILER_TESTS = (
    *("tests/conformance", "tests/native", *HOST_TESTS),
    *("-k", "not Test_ or Test_torch or Test_mnn"),
)
#: Who may write, read and start what.
USER_TESTS = (
    *("tests/integration/test_cache_of_others.py", "tests/unit/test_scratch.py", "tests/native"),
    *TESTS,
)
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
#: Another user cannot write pytest's cache.
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
#: A file's tests share what is made for them.
SIDE_BY_SIDE = ("--max-worker-restart=0", "--dist", "loadfile")
#: What pytest counts in its last line.
COUNT = r"(\d+) (passed|failed|skipped|xfailed|errors?)"
NOTHING_COLLECTED = 5
#: The start alone proves too little: root can hand over a program that the user may not start.
STARTS_ITSELF = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import tests"], check=True)
"""
#: How long a child may take to end after Ctrl-C.
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Variant:
    """A machine that is not here; `without` is a pattern of programs that it lacks.

    Where `alone`, no tests run beside others.
    """

    name: str
    level: str = ""
    prefix: tuple[str, ...] = ()
    without: str = ""
    tests: tuple[str, ...] = TESTS
    alone: bool = False

    def calls(self) -> Iterator[tuple[str, ...]]:
        """Yield pytest's options call by call; tests that measure are never beside others."""
        if self.alone:
            # To import torch alone takes minutes under the emulator.
            yield ("-m", "not deep", "-o", "faulthandler_timeout=1800")
            return
        yield ("-m", "not deep and not measures", "-n", str(core_count()), *SIDE_BY_SIDE)
        yield ("-m", "not deep and measures")


def variants() -> list[Variant]:
    """Return all of them."""
    core = str(min(os.sched_getaffinity(0)))
    return [
        *(Variant(level, level=level) for level in LEVELS),
        Variant("no-compiler", without=COMPILERS, tests=COMPILER_TESTS),
        Variant("no-lscpu", without="lscpu", tests=HOST_TESTS),
        Variant("one-core", prefix=("taskset", "--cpu-list", core), alone=True),
        Variant("no-root", prefix=as_nobody(ROOT, sys.prefix, sys.base_prefix), tests=USER_TESTS),
        Variant("quota", tests=QUOTA_TESTS),
        # What an emulated process starts is not emulated, the workers of pytest-xdist neither.
        *(
            Variant(
                f"emulated-{level}",
                prefix=(EMULATOR, "-cpu", cpu),
                tests=EMULATED_TESTS,
                alone=True,
            )
            for level, cpu in zip(LEVELS, EMULATED_CPUS, strict=True)
        ),
    ]


def as_nobody(*needed: str | Path) -> tuple[str, ...]:
    """Return the beginning of a command that runs as another user than root.

    Folders that others may not enter, /root for one, are covered by empty ones in a mount namespace
    of the command's own, in which what is needed stands at its old place; its files stay whose they
    are.

    Args:
        needed: folders that the command reads.
    """
    closed = behind_closed_doors(Path(each).resolve() for each in needed)
    user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    if not closed:
        return user
    return ("unshare", "--mount", "sh", "-ec", "\n".join(opening(closed)), "sh", *user)


def behind_closed_doors(needed: Iterable[Path]) -> dict[Path, list[Path]]:
    """Return the first folders on the ways that others may not enter, and what lies behind."""
    found: dict[Path, list[Path]] = {}
    for path in needed:
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                found.setdefault(folder, []).append(path)
                break
    return found


def opening(closed: Mapping[Path, Iterable[Path]]) -> Iterator[str]:
    """Yield lines for a shell that cover closed folders, and then run its arguments."""
    kept = {path: f'"$kept"/{n}' for n, path in enumerate(chain.from_iterable(closed.values()))}
    yield "umask 022; kept=$(mktemp -d)"
    for path, place in kept.items():
        yield f"mkdir {place}; mount --bind {quote(str(path))} {place}"
    for folder in closed:
        yield f"mount -t tmpfs -o mode=755 none {quote(str(folder))}"
    for path, place in kept.items():
        there = quote(str(path))
        yield f"mkdir -p {there}; mount --move {place} {there}; rmdir {place}"
    yield 'rmdir "$kept"; exec "$@"'


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
            # git asks for this where a checkout is somebody else's.
            (folder / ".gitconfig").write_text("[safe]\n\tdirectory = *\n")
        yield found


def run(variant: Variant, arguments: Iterable[str]) -> tuple[int, str]:
    """Run pytest as in a variant; what interrupts this process ends that, and all it started.

    Returns:
        Its status, and what it wrote.
    """
    command = [*variant.prefix, sys.executable, *PYTEST]
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
        began, counts = time.monotonic(), Counter[str]()
        for options in known[name].calls():
            status, text = run(known[name], (*options, *(asked.tests or known[name].tests)))
            for count, what in re.findall(COUNT, text.rstrip().rpartition("\n")[2]):
                counts[what] += int(count)
            if status not in (0, NOTHING_COLLECTED):
                failed = True
                print(text)
        told = ", ".join(f"{count} {what}" for what, count in counts.items()) or "no tests"
        failed = failed or not counts
        print(f"{name}: {told}, {time.monotonic() - began:.0f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
