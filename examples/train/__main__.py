"""python -m examples.train: weights that know speakers, and trials of speakers unseen.

    python -m examples.train resnet34 --minutes 60 --out bench/models/zoo/weights
    python -m examples.train --trials bench/measure/heldout

Needs espeak-ng and the extras `zoo` and `resample`; uses all cores that it may.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from examples.train.corpus import Utterance, speak
from examples.train.heldout import write_trials
from examples.train.synthesizer import COMMAND
from examples.train.training import Progress, train
from rtfbench.base.cache import replacing
from rtfbench.base.core_count import core_count
from rtfbench.base.errors import InputError
from rtfbench.models.zoo import catalog
from rtfbench.models.zoo.catalog import UnknownModelError
from rtfbench.models.zoo.weights import save_weights

SPEAKERS, PER_SPEAKER = 400, 30
MINUTES = 60.0
WRONG_USE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or write trials; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names of the zoo")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of training a model")
    parser.add_argument("--speakers", type=int, default=SPEAKERS)
    parser.add_argument("--per-speaker", type=int, default=PER_SPEAKER, help="sentences of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/weights"), metavar="FOLDER")
    parser.add_argument("--trials", type=Path, metavar="FOLDER", help="write held-out trials here")
    parser.add_argument(
        "--bfloat16",
        action="store_true",
        help="compute in bfloat16: twice the steps on a CPU that has avx512_bf16 or amx",
    )
    asked = parser.parse_args(arguments)
    if not asked.models and not asked.trials:
        parser.error("name a model to train, or a folder with --trials")
    try:
        for name in asked.models:
            catalog.get(name)
        if asked.trials:
            write_trials(asked.trials, phase=_say)
        if asked.models:
            torch.set_num_threads(core_count())
            utterances = list(speak("train", asked.speakers, asked.per_speaker, phase=_say))
            for name in asked.models:
                _train(name, utterances, asked)
    except (InputError, UnknownModelError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return WRONG_USE
    return 0


def _train(name: str, utterances: Sequence[Utterance], asked: argparse.Namespace) -> None:
    model, end = train(
        name,
        utterances,
        minutes=asked.minutes,
        bfloat16=asked.bfloat16,
        seed=asked.seed,
        tell=lambda progress: _say(f"{name}: {_words(progress)}"),
    )
    save_weights(model, asked.out / f"{name}.npz")
    said = subprocess.run(
        [COMMAND, "--version"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    minutes = sum(len(each.samples) for each in utterances) / 16000 / 60
    card = f"""\
# {catalog.get(name).title}, trained on synthetic voices

What a precision costs is real; the error rate itself is not one of real speech.

- Speech: {asked.speakers} voices of {said.partition("Data")[0].strip()}, {asked.per_speaker} \
sentences each, {minutes:.0f} minutes in all, with noise and reverberation made in numpy.
- Training: {asked.minutes:g} minutes on {torch.get_num_threads()} cores, {end.steps} steps of 64 \
crops of 1.5 s, additive angular margin softmax{", bfloat16" if asked.bfloat16 else ""}; \
torch {torch.__version__}, seed {asked.seed}, {datetime.now(UTC).date()}.
- At its end: loss {end.loss:.2f}, {100 * end.accuracy:.1f} % of the training speakers recognised.
- Made by: `python -m examples.train {name} --minutes {asked.minutes:g}\
{" --bfloat16" if asked.bfloat16 else ""}`.
- Stored: matrices and kernels in half precision, vectors in single precision.
"""
    with replacing(asked.out / f"{name}.md") as part:
        part.write_text(card, encoding="utf-8")


def _words(progress: Progress) -> str:
    return (
        f"{100 * progress.share:3.0f} % of the time, step {progress.steps}, "
        f"loss {progress.loss:.3f}, {100 * progress.accuracy:.1f} % recognised"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
