"""The host and the software that a run was made on.

Of the host that is what the system tells of the processor, and what limits a process.
Micro-architectures are named by what a processor says of itself: virtual machines hide the model's
name but not its family and model. Sources: the lists of families and models in Linux
(arch/x86/kernel/cpu/amd.c and arch/x86/include/asm/intel-family.h).
"""

import json
import os
import platform
import re
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from threadpoolctl import threadpool_info

from rtfbench.base.core_count import cpu_limit, usable_cores
from rtfbench.base.files import system_text
from rtfbench.engines import cpu, processes
from rtfbench.measure.machine.core import probe
from rtfbench.results.host import Environment, Host

PACKAGES = (
    *("numpy", "onnxruntime", "MNN", "openvino", "ncnn", "tract", "iree-base-runtime"),
    *("sherpa-onnx", "ai-edge-litert", "executorch", "torch"),
    *("onnx", "onnxscript", "pnnx", "nncf", "soundfile"),
)
#: A large repository may take a while to say whether something was changed.
GIT_TIMEOUT_S = 5.0


def describe_host(*, audio: Iterable[str] = (), audio_s: float = 0.0, **told: Any) -> Environment:
    """Return the environment as it is now, with what is known of the run, by the fields' names."""
    return Environment(
        rtfbench=version("rtfbench"),
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        cpu=_cpu_name(),
        cores=os.cpu_count() or 1,
        usable_cores=len(usable_cores()),
        memory_bytes=psutil.virtual_memory().total,
        os=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages=_versions(),
        load_average_1min=round(os.getloadavg()[0], 2),
        audio=tuple(audio),
        audio_s=round(audio_s, 3),
        host=hardware(),
        commit=commit(),
        **told,
    )


def commit() -> str:
    """Return the commit that is checked out here, `-dirty` behind it where files were changed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return _printed(command, GIT_TIMEOUT_S).strip()
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""


def _cpu_name() -> str:
    """Return the model name that the kernel reports."""
    lines = (system_text(Path("/proc/cpuinfo")) or "").splitlines()
    names = (line.partition(":")[2] for line in lines if line.lower().startswith("model name"))
    return next(names, platform.processor() or platform.machine()).strip()


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


#: Vendor and family -> a core's design -> the models that have it.
DESIGNS: Mapping[tuple[str, int | None], Mapping[str, Collection[int]]] = {
    ("AuthenticAMD", 23): {
        "Zen": range(0x30),
        "Zen 2": (*range(0x30, 0x50), *range(0x60, 0x80), *range(0x90, 0xB0)),
    },
    ("AuthenticAMD", 25): {
        "Zen 3": (*range(0x10), *range(0x20, 0x60)),
        "Zen 4": (*range(0x10, 0x20), *range(0x60, 0x80), *range(0xA0, 0xB0)),
    },
    ("AuthenticAMD", 26): {"Zen 5": (*range(0x30), *range(0x40, 0x50), *range(0x60, 0x80))},
    ("GenuineIntel", 6): {
        "Haswell": (0x3F,),
        "Broadwell": (0x4F, 0x56),
        "Skylake": (0x4E, 0x5E),
        "Kaby Lake": (0x8E,),
        "Coffee Lake": (0x9E,),
        "Ice Lake": (0x6A, 0x6C, 0x7D, 0x7E),
        "Tiger Lake": (0x8C, 0x8D),
        "Sapphire Rapids": (0x8F,),
        "Alder Lake": (0x97, 0x9A),
        "Meteor Lake": (0xAA,),
        "Granite Rapids": (0xAD, 0xAE),
        "Sierra Forest": (0xAF,),
        "Raptor Lake": (0xB7, 0xBA, 0xBF),
        "Lunar Lake": (0xBD,),
        "Arrow Lake": (0xC5, 0xC6),
        "Emerald Rapids": (0xCF,),
    },
}
#: One model number, told apart by the stepping: from which on it is which.
SKYLAKE_SERVER = ("GenuineIntel", 6, 0x55)
SKYLAKE_SERVER_STEPPINGS = ((10, "Cooper Lake"), (5, "Cascade Lake"), (0, "Skylake-SP"))


def microarchitecture(
    vendor: str, family: int | None, model: int | None, stepping: int | None, *, name: str = ""
) -> str:
    """Return the name of a core's design, empty where it is not known.

    On x86 it is told by vendor, such as `AuthenticAMD`, and numbers; elsewhere it is the name that
    the system has for the core.
    """
    if vendor in ("ARM", "Apple", "Ampere", "Cavium", "HiSilicon", "Qualcomm"):
        return name
    if (vendor, family, model) == SKYLAKE_SERVER:
        steppings = SKYLAKE_SERVER_STEPPINGS
        return next(design for least, design in steppings if (stepping or 0) >= least)
    known = DESIGNS.get((vendor, family), {})
    return next((design for design, models in known.items() if model in models), "")


#: Instruction sets that inference engines choose their kernels by.
INSTRUCTION_SETS = (
    *("sse4_2", "avx", "fma", "avx2", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
LSCPU_TIMEOUT_S = 10.0
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "B": 1}


def hardware(*, probes: bool = True) -> Host:
    """Return what the machine is; with probes, also what its core reaches (a tenth of a second)."""
    told = _lscpu()
    vendor, name = told.get("Vendor ID", ""), told.get("Model name", "")
    family, model, stepping = (
        _number(told.get(field)) for field in ("CPU family", "Model", "Stepping")
    )
    limit = cpu_limit()
    return Host(
        vendor=vendor,
        family=family,
        model=model,
        stepping=stepping,
        microarchitecture=microarchitecture(vendor, family, model, stepping, name=name),
        instruction_sets=tuple(name for name in INSTRUCTION_SETS if name in cpu.flags()),
        cache_bytes=dict(_caches(told)),
        threads_per_core=_number(told.get("Thread(s) per core")),
        hypervisor=told.get("Hypervisor vendor", ""),
        container=_container(),
        cpu_limit=None if limit is None else round(limit, 2),
        max_mhz=_max_mhz(),
        blas=_blas(),
        probes=probe() if probes else None,
    )


def _lscpu() -> dict[str, str]:
    """Return what `lscpu` tells, field by field; nothing where it is not installed."""
    try:
        return dict(_fields(json.loads(_printed(["lscpu", "--json"], LSCPU_TIMEOUT_S))["lscpu"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return {}


def _printed(command: list[str], timeout_s: float) -> str:
    """Return what a program prints; others may use a repository that it looks at meanwhile."""
    done = subprocess.run(
        command,
        env={**processes.without_git(), "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=timeout_s,
        check=True,
    )
    return done.stdout


def _fields(entries: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield names and values; newer versions nest them."""
    for entry in entries:
        yield str(entry["field"]).rstrip(":"), str(entry.get("data") or "")
        yield from _fields(entry.get("children", []))


def _number(text: str | None) -> int | None:
    """Return a number that stands as text; steppings of ARM look like r3p1 and are none."""
    return int(text) if text and text.isdigit() else None


def _caches(told: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Yield the size of one cache of each level; `lscpu` tells that of all instances."""
    for level in ("L1d", "L1i", "L2", "L3"):
        found = re.match(r"([\d.]+) (\w+)(?: \((\d+) instance)?", told.get(f"{level} cache", ""))
        if found and found[2] in UNITS:
            yield level, round(float(found[1]) * UNITS[found[2]] / int(found[3] or 1))


def _container() -> str:
    """Return which kind of container this is, empty outside of one."""
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if Path("/.dockerenv").exists():
        return "docker"
    return "podman" if Path("/run/.containerenv").exists() else ""


def _max_mhz() -> float | None:
    """Return the largest frequency that the governor allows; virtual machines tell none."""
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return None
    return round(frequency.max, 1) if frequency and frequency.max else None


def _blas() -> str:
    """Return which kernels numpy's matrix products run on."""
    found = next((each for each in threadpool_info() if each["user_api"] == "blas"), None)
    if found is None:
        return ""
    parts = (found["internal_api"], found.get("version"), found.get("architecture"))
    return " ".join(str(part) for part in parts if part)
