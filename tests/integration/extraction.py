"""What the tests of `extract` share."""

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

# XVEC is the smallest model; quarter-second chunks make it fast, and one worker is started sooner
# than two. A later `--jobs` takes the place of this one.
MODEL = (
    "--model",
    "xvec",
    "--weights",
    "seeded",
    "--engine",
    "onnxruntime",
    "--samples-per-chunk",
    4000,
    "--jobs",
    1,
)

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def write_list(path: Path, recordings: list[Path]) -> Path:
    """Write a `wav.scp` that names recordings u0, u1, ..."""
    path.write_text("".join(f"u{i} {each}\n" for i, each in enumerate(recordings)))
    return path


def write_tar(path: Path, wavs: list[Path]) -> Path:
    """Write recordings with a text beside each, as WebDataset and WeSpeaker do."""
    with tarfile.open(path, "w") as tar:
        for wav in wavs:
            for name, content in ((f"{wav.stem}.spk", b"someone"), (wav.name, wav.read_bytes())):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def names(text: str) -> list[str]:
    """Return the first field of every line."""
    return [line.split()[0] for line in text.splitlines()]
