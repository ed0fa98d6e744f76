"""The host and the software that a run was made on."""

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from rtfbench.base.core_count import usable_cores
from rtfbench.engines import processes
from rtfbench.measure.machine import host
from rtfbench.results.rows import Environment

PACKAGES = (
    *("numpy", "onnxruntime", "MNN", "openvino", "ncnn", "tract", "iree-base-runtime"),
    *("sherpa-onnx", "ai-edge-litert", "executorch", "torch"),
    *("onnx", "onnxscript", "pnnx", "nncf", "soundfile"),
)
#: A large repository may take a while to say whether something was changed.
GIT_TIMEOUT_S = 5.0


def describe_host(
    *,
    audio: Iterable[str] = (),
    audio_s: float = 0.0,
    weights: str = "",
    front_ends: str = "",
    seed: int | None = None,
    audio_sha256: str = "",
    scored_sha256: str = "",
) -> Environment:
    """Return the environment as it is now.

    Args:
        audio: the utterances' names, where any are measured.
        audio_s: their summed duration in seconds.
        audio_sha256: of their samples.
        scored_sha256: of the samples of recordings for trials alone.
        weights: where the models' weights come from, in words.
        front_ends: what models are fed, in words; empty where that is WeSpeaker's.
        seed: of the order of turns.
    """
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
        audio_sha256=audio_sha256,
        scored_sha256=scored_sha256,
        weights=weights,
        front_ends=front_ends,
        seed=seed,
        host=host.describe(),
        commit=commit(),
    )


def commit() -> str:
    """Return the commit that is checked out here, `-dirty` behind it where files were changed."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            # Others may use the repository at the same time.
            env={**processes.without_git(), "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return done.stdout.strip()


def _cpu_name() -> str:
    """Return the model name that the kernel reports."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
