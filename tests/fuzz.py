"""Bytes that a machine thinks of, guided by the code that they reach, into all that reads files.

    make fuzz MINUTES=5
    python -m tests.fuzz --minutes 5 audio plans    # some of the targets
    python -m tests.fuzz lists --input .fuzz/lists/crash-0123    # one finding again, by hand

A finding is an error that is no refusal, a crash, more than a gigabyte or 20 seconds; it stays in
`.fuzz/TARGET/`, beside the corpus that the next call goes on from. Needs atheris, the extra `fuzz`.
"""

import argparse
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

# What is imported up here guides nothing: it is loaded before it could be instrumented.
ROOT = Path(__file__).parent.parent
FOLDER = Path(".fuzz")
LONGEST_S, MOST_MB, MOST_BYTES = 20, 1024, 1 << 14
#: Where the code is that guides the search.
INSTRUMENTED = ("rtfbench", "tests.readers", "tomllib", "onnx")


def _recordings() -> list[bytes]:
    """Return a tenth of a second in every kind of file."""
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, 1600)
    kinds = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("FLAC", "PCM_16")]
    kinds += [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_24")]
    kinds += [("AU", "ALAW"), ("CAF", "PCM_16"), ("W64", "PCM_16"), ("NIST", "PCM_16")]
    return [_recording(samples, *kind) for kind in kinds]


def _recording(samples: npt.NDArray[np.float64], kind: str, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format=kind, subtype=subtype)
    return file.getvalue()


def _models() -> list[bytes]:
    """Return small models, one of them with its frames fixed."""
    from tests.conv_onnx import write_conv
    from tests.tiny_onnx import write_tiny

    with tempfile.TemporaryDirectory() as name:
        paths = [write_tiny(Path(name) / "a.onnx"), write_tiny(Path(name) / "b.onnx", num_frames=9)]
        paths.append(write_conv(Path(name) / "c.onnx"))
        return [path.read_bytes() for path in paths]


def _plans() -> list[bytes]:
    return [path.read_bytes() for path in sorted(ROOT.glob("bench/measure/sweeps/*.toml"))]


def _words() -> list[str]:
    """Return what plans are made of, so that not every letter has to be found."""
    from rtfbench.measure.plan import Axes, Plan

    return [
        *Plan.model_fields,
        *Axes.model_fields,
        "[[sweep]]",
        "mnn[precision=low]",
        "inf",
        "1e99",
    ]


def _lists() -> list[bytes]:
    """Return a file for every reader, which its first byte chooses."""
    from tests import readers

    files = {
        "wav.scp": b"utt1 a.wav\nutt2 sox b.sph -t wav - |\n",
        "segments": b"utt1 rec1 0.5 2\nutt2 rec2 1 -1\n",
        "raw.list": b'{"key": "utt1", "wav": "a.wav"}\n'
        b'{"audio_filepath": "b.wav", "duration": 1, "offset": 2}\n',
        "trials": b"utt1 utt2 target\nutt1 utt3 nontarget\n",
        "lengths": b"utt1 1.5\n2.5\n",
        "e.txt": b"utt1 1 2.5 -3e-4\nutt2 1 2 3\n",
        "e.ark": b"utt1 \0BFV \4\2\0\0\0" + np.array([1, 2], np.float32).tobytes(),
        "e.npz": _archive(),
        "a.tar": _tar(),
    }
    return [bytes([number]) + files[name] for number, name in enumerate(readers.LISTS)]


def _archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, names=np.array(["utt1", "utt2"]), embeddings=np.eye(2, dtype=np.float32))
    return file.getvalue()


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("a.wav", "b.flac"):
            archive.addfile(tarfile.TarInfo(name))
    return file.getvalue()


#: Target -> what it begins with.
SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "audio": _recordings,
    "models": _models,
    "plans": _plans,
    "lists": _lists,
}

#: Target -> the only file that it writes; of lists there are several.
SINGLE = {"audio": "recording", "models": "model.onnx", "plans": "plan.toml"}


def target(name: str, folder: Path) -> Callable[[bytes], None]:
    """Return a function that puts bytes into a file, and reads that."""
    from tests import readers

    lists = [*readers.LISTS]

    def run(data: bytes) -> None:
        reader = SINGLE.get(name) or lists[data[0] % len(lists)] if data else lists[0]
        path = folder / reader
        path.write_bytes(data if name in SINGLE else data[1:])
        readers.check(reader, path)

    return run


def fuzz(name: str, arguments: Sequence[str]) -> None:
    """Fuzz a target in this process, which ends with it.

    Args:
        name: of the target.
        arguments: of libFuzzer.
    """
    import atheris

    with atheris.instrument_imports(include=[*INSTRUMENTED]):
        from tests import readers  # noqa: F401
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        atheris.Setup([name, *arguments], target(name, Path(folder)))
        atheris.Fuzz()


@dataclass(frozen=True)
class Outcome:
    """What became of a target: how often it ran, and the files that it did not stand."""

    runs: int
    findings: tuple[Path, ...]


def start(name: str, minutes: float) -> Outcome:
    """Fuzz a target for some minutes, in a process of its own."""
    folder = FOLDER / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(SEEDS[name]()):
        (corpus / f"seed-{number}").write_bytes(content)
    arguments = [f"-artifact_prefix={folder}/", f"-max_total_time={round(60 * minutes)}"]
    arguments += [f"-timeout={LONGEST_S}", f"-rss_limit_mb={MOST_MB}", f"-max_len={MOST_BYTES}"]
    code = "import sys; from tests.fuzz import fuzz; fuzz(sys.argv[1], sys.argv[2:])"
    # Without -reduce_inputs=0 short nonsense takes the place of files that are nearly right.
    arguments += ["-reduce_inputs=0", "-len_control=0"]
    if name == "plans":
        (folder / "words").write_text("".join(f'"{word}"\n' for word in _words()))
        arguments.append(f"-dict={folder / 'words'}")
    before = {*folder.iterdir(), folder / "log"}
    with (folder / "log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", code, name, *arguments, "-print_final_stats=1", str(corpus)],
            stdout=log,
            stderr=log,
            check=False,
        )
    runs = re.search(r"number_of_executed_units: (\d+)", (folder / "log").read_text("latin-1"))
    findings = tuple(sorted(set(folder.iterdir()) - before))
    if done.returncode and not findings:
        sys.exit(f"{name}: the fuzzer itself failed; see {folder / 'log'}")
    return Outcome(int(runs[1]) if runs else 0, findings)


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz targets one after the other, and return 1 where something was found.

    Args:
        argv: the arguments, those of the process by default.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(SEEDS)}; or all")
    parser.add_argument("--minutes", type=float, default=5.0, help="for each target")
    parser.add_argument("--input", type=Path, help="read this file once, without atheris")
    asked = parser.parse_args(argv)
    names = asked.targets or [*SEEDS]
    if set(names) - set(SEEDS):
        parser.error(f"targets are {', '.join(SEEDS)}")
    if asked.input:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            for name in names:
                target(name, Path(folder))(asked.input.read_bytes())
        return 0
    found = False
    for name in names:
        outcome = start(name, asked.minutes)
        found |= bool(outcome.findings)
        told = " ".join(map(str, outcome.findings)) or "nothing found"
        print(f"{name}: {outcome.runs} files read, {told}", flush=True)
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
