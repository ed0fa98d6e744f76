"""`rtfbench verify`."""

from pathlib import Path

from bench.base.errors import InputError
from bench.embed.scoring import similarity
from bench.extract import report
from bench.extract.messages import Unusable
from bench.extract.options import SEEDED, ModelOptions, setup_for, workers
from bench.extract.pool import ExtractError
from engines.protocol import FloatArray
from frontends.find import Utterance

SAME, DIFFERENT = 0, 1


def verify(options: ModelOptions, *, enroll: Path, test: Path, threshold: float) -> int:
    """Compare two recordings, print score and decision, and return the exit status."""
    utterances = [Utterance("enroll", enroll), Utterance("test", test)]
    embeddings: list[FloatArray] = []
    setup = setup_for(options, phase=report.say_on_terminal, note=report.say)
    with workers(setup, options) as pool:
        try:
            for utterance, answer in pool.embed(utterances):
                if isinstance(answer, Unusable):
                    raise InputError(f"{utterance.name} recording: {answer.reason}")
                embeddings.append(answer.values_D)
        except ExtractError as error:
            raise InputError(str(error)) from error
    score = similarity(*embeddings)
    same = score >= threshold
    decision = "same speaker" if same else "different speakers"
    remark = "" if options.knows_speakers else f" ({SEEDED})"
    print(f"score {score:.6f}, threshold {threshold:g}: {decision}{remark}")
    return SAME if same else DIFFERENT
