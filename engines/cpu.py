"""The instruction sets of this CPU that decide what a precision costs, as the kernel tells them."""

import os
from collections.abc import Collection
from functools import cache
from pathlib import Path

#: Those that multiply bfloat16, on x86 and on Arm.
BF16 = ("avx512_bf16", "amx_bf16", "bf16")
#: Those that add up products of 8-bit integers in 32 bits at once; without one, 16 bits saturate.
INT8 = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp")
#: By what a reason names them: what the other architecture has is no news here.
X86_ONLY = ("avx", "amx")
#: Holds oneDNN, which OpenVINO and torch compute with, to an older CPU; these have no bfloat16.
ONEDNN_HELD, ONEDNN_WITHOUT_BF16 = "ONEDNN_MAX_CPU_ISA", ("SSE41", "AVX", "AVX2", "AVX2_VNNI")


@cache
def flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the names of this CPU's instruction sets, none where the system does not tell."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        name, _, found = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(found.split())
    return frozenset()


def has(any_of: Collection[str]) -> bool:
    """Say whether this CPU has one of these; it has, where the system does not tell."""
    found = flags()
    return not found or not found.isdisjoint(any_of)


def without(any_of: Collection[str]) -> str:
    """Return the end of a reason: no avx512_bf16, no amx_bf16."""
    on_x86 = "sse2" in flags()
    named = [each for each in any_of if each.startswith(X86_ONLY) == on_x86]
    return ", ".join(f"no {each}" for each in named)


def onednn_lacks_bf16() -> str:
    """Say what keeps oneDNN from instructions for bfloat16 that are there; nothing where none.

    Any of AVX-512 will do: oneDNN emulates the rest.
    """
    held = os.environ.get(ONEDNN_HELD, "").upper()
    there = has((*BF16, "avx512f"))
    return f"{without(BF16)}: {ONEDNN_HELD}={held}" if there and held in ONEDNN_WITHOUT_BF16 else ""
