"""A threshold for two recordings, from trials that the same model embeds in the same way."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rtfbench.base.errors import InputError, as_input
from rtfbench.embed.backend import score
from rtfbench.embed.trials import names_of, read_trials
from rtfbench.engines.protocol import FloatArray
from rtfbench.extract import score_report
from rtfbench.extract.messages import ExtractionSetup, Unusable
from rtfbench.extract.pool import Pool
from rtfbench.extract.result import read_card
from rtfbench.frontends.audio import AudioError
from rtfbench.inputs.find import find_audio

#: What of a setup is another recording's affair, and moves no threshold.
OF_RECORDINGS = ("channel", "resampling")


class TrialThreshold:
    """The trials that a threshold is found on, and where their embeddings come from."""

    def __init__(self, trials: Path, target_fpr: float) -> None:
        """Read the trials.

        Raises:
            InputError: they cannot be used, or the share of false alarms is none.
        """
        if not 0 < target_fpr < 1:
            raise InputError(f"--target-fpr {target_fpr:g}: need a share, 0.01 for 1 %")
        self._path, self._target_fpr = trials, target_fpr
        self._trials = read_trials(trials, labels=True)
        self._names = names_of(self._trials)

    def stored(
        self, path: Path, setup: ExtractionSetup, note: Callable[[str], None]
    ) -> dict[str, FloatArray]:
        """Return the embeddings of a file, once its card says that they are of this setup.

        Raises:
            InputError: they are of another, or one is missing.
        """
        card = read_card(path)
        if card is None:
            note(f"{path}: no card beside it tells whether this model computed it in this way")
        else:
            other = [each for each in card.differences(setup) if not each.startswith(OF_RECORDINGS)]
            if other:
                raise InputError(
                    f"{path}: computed otherwise ({'; '.join(other)}), and a threshold holds for "
                    "one way only; extract it again with these options"
                )
        found = score_report.load(path, frozenset(self._names))
        self._check(found, path)
        return found

    def embedded(self, audio: Sequence[Path], pool: Pool) -> dict[str, FloatArray]:
        """Embed the recordings of the trials.

        Raises:
            InputError: one is missing, or cannot be embedded.
            ExtractError: no worker can be started.
        """
        with as_input(AudioError):
            listed = {each.name: each for each in find_audio(list(audio))}
        self._check(listed, audio[0])
        found = {}
        for utterance, answer in pool.embed([listed[name] for name in self._names]):
            if isinstance(answer, Unusable):
                raise InputError(answer.reason)
            found[utterance.name] = answer.values_D
        return found

    def among(self, embeddings: Mapping[str, FloatArray]) -> tuple[float, str]:
        """Return the threshold on similarities, 0 to 1, and its rates in words.

        Raises:
            InputError: the trials are too few.
        """
        cosines = score(self._trials, embeddings, embeddings)
        found, rates = score_report.threshold(self._trials, (cosines + 1) / 2, self._target_fpr)
        return found, f"{rates} on {self._path}"

    def _check(self, found: Mapping[str, object], where: Path) -> None:
        missing = [name for name in self._names if name not in found]
        if missing:
            raise InputError(
                f"{self._path}: names {missing[0]!r} ({len(missing)} in all), which {where} does "
                "not hold"
            )
