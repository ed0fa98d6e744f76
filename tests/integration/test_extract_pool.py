"""The pool of extraction: whatever order answers come in, every utterance is answered once."""

from pathlib import Path

import pytest

from bench.extract import pool
from bench.extract.options import ModelOptions, setup_for, workers
from frontends.find import Utterance


@pytest.mark.parametrize("look_ahead", [1, 2, 3, 8])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_look_ahead_ends_nothing(
    short_speech: Path, monkeypatch: pytest.MonkeyPatch, look_ahead: int, jobs: int
) -> None:
    """When all that was handed out is answered at once, the rest of the list still follows.

    A worker that loads slowly leaves the other one to fill the look-ahead; a small one does the
    same at every utterance.
    """
    monkeypatch.setattr(pool, "LOOK_AHEAD", look_ahead)
    options = ModelOptions(
        "xvec", "null", form=None, chunk_samples=32000, threads=1, seeded_weights=True
    )
    setup = setup_for(options, phase=lambda _: None, note=lambda _: None)
    names = [f"utterance-{number}" for number in range(20)]
    with workers(setup, options, jobs=jobs) as members:
        done = list(members.embed(Utterance(name, short_speech) for name in names))
    assert [finished.utterance.name for finished in done] == names
