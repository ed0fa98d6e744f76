"""The pool of extraction: whatever order answers come in, every utterance is answered once."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rtfbench.engines.protocol import parse_engine
from rtfbench.extract import pool
from rtfbench.extract.options import ModelOptions, setup_for, workers
from rtfbench.inputs.find import Utterance

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize(("jobs", "look_ahead"), [(1, 1), (2, 1), (2, 2), (2, 8)])
def test_a_full_look_ahead_ends_nothing(
    short_speech: Path, monkeypatch: pytest.MonkeyPatch, look_ahead: int, jobs: int
) -> None:
    """When all that was handed out is answered at once, the rest of the list still follows.

    A worker that loads slowly leaves the other one to fill the look-ahead; a small one does the
    same at every utterance.
    """
    monkeypatch.setattr(pool, "LOOK_AHEAD", look_ahead)
    options = ModelOptions(
        "xvec", parse_engine("null"), form=None, chunk_samples=32000, weights="seeded"
    )
    setup = setup_for(options, phase=lambda _: None, note=lambda _: None)
    names = [f"utterance-{number}" for number in range(20)]
    with workers(setup, options.worker, jobs=jobs) as members:
        done = list(members.embed(Utterance(name, short_speech) for name in names))
    assert [finished.utterance.name for finished in done] == names


def test_a_model_that_never_opens_is_given_up(
    rtfbench: Command,
    model: Path,
    short_speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Opening has a limit of its own: no recording is to blame."""
    monkeypatch.setattr(pool, "OPEN_TIMEOUT_S", 1.0)
    done = rtfbench(
        "extract", "--model", model, "--engine", "faulty-never-opens", "--wav", short_speech
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "rtfbench: the model is not open within 1 s"
