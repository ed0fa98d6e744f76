"""Training on synthetic voices: its parts, and what came of it."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from examples.train import rooms
from examples.train.margin import SCALE, MarginSoftmax
from examples.train.sentences import draw_sentence
from examples.train.training import learning_rate, margin_at
from examples.train.voices import draw_voice
from rtfbench.embed.backend import score
from rtfbench.embed.trials import names_of, rates, read_trials
from rtfbench.frontends.audio import read_audio
from rtfbench.frontends.fbank import Fbank
from rtfbench.measure.trial_check import HELDOUT
from rtfbench.models.zoo import build, catalog
from rtfbench.models.zoo.export import TorchSession
from rtfbench.models.zoo.weights import load_weights, save_weights, trained_model

TRAINED = ("resnet34", "xvec")


def test_the_margin_makes_it_harder_by_an_angle() -> None:
    """The own speaker's logit is the scaled cosine of its angle and the margin."""
    torch.manual_seed(0)
    head = MarginSoftmax(8, 5)
    embedding_BD, speaker_B = torch.randn(6, 8), torch.arange(6) % 5
    loss, _ = head(embedding_BD, speaker_B, 0.2)
    directions = torch.nn.functional.normalize(head.weight)
    cosine_BS = torch.nn.functional.normalize(embedding_BD) @ directions.T
    cosine_BS = cosine_BS.detach()
    for row, speaker in enumerate(speaker_B):
        cosine_BS[row, speaker] = math.cos(math.acos(float(cosine_BS[row, speaker])) + 0.2)
    want = torch.nn.functional.cross_entropy(SCALE * cosine_BS, speaker_B)
    assert loss.item() == pytest.approx(want.item(), rel=1e-5)
    assert head(embedding_BD, speaker_B, 0.0)[0].item() < loss.item()


def test_rate_and_margin_follow_the_time() -> None:
    """The rate rises once and falls to its end; the margin grows and stays."""
    shares = np.linspace(0, 1, 101)
    found = [learning_rate(share) for share in shares]
    top = int(np.argmax(found))
    assert found[:top] == sorted(found[:top])
    assert found[top:] == sorted(found[top:], reverse=True)
    margins = [margin_at(share) for share in shares]
    assert margins[0] == 0
    assert margins == sorted(margins)
    assert margins[-1] == margins[-20] == pytest.approx(0.2)


def test_noise_has_the_power_that_was_asked_for() -> None:
    """The ratio of powers in dB is that of speech to what was added."""
    rng = np.random.default_rng(0)
    speech, noise = rng.standard_normal((2, 16000)).astype(np.float32)
    added = rooms.add_noise(speech, 7 * noise, 10.0) - speech
    assert 20 * np.log10(np.linalg.norm(speech) / np.linalg.norm(added)) == pytest.approx(
        10, abs=0.01
    )


def test_reverberation_is_a_convolution() -> None:
    """It is the sum that its definition says, cut to the length of the source."""
    rng = np.random.default_rng(0)
    speech = rng.standard_normal(900).astype(np.float32)
    room = rooms.draw_room(rng)[:400]
    want = np.convolve(speech, room)[:900]
    np.testing.assert_allclose(rooms.reverberate(speech, room), want, atol=1e-4)


def test_speakers_and_sentences_are_drawn_again_alike() -> None:
    """The same seed gives the same voice and words, another one others."""
    voices = [draw_voice("a", np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert voices[0] == voices[1] != voices[2]
    said = [draw_sentence(np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


def test_stored_weights_compute_the_same(tmp_path: Path) -> None:
    """Half precision moves an embedding by a thousandth; no name is lost."""
    model = build("xvec", embed_dim=32)
    features_BTM = torch.randn(2, 60, 80)
    save_weights(model, tmp_path / "w.npz")
    again = build("xvec", embed_dim=32)
    load_weights(again, tmp_path / "w.npz")
    with torch.no_grad():
        want_BD, got_BD = model(features_BTM), again(features_BTM)
    assert float((got_BD - want_BD).abs().max()) < 5e-3 * float(want_BD.abs().max())


def test_which_models_know_speakers() -> None:
    """Two have trained weights, with a card each and under the size that is allowed."""
    assert [name for name in catalog.names() if catalog.trained_weights(name)] == list(TRAINED)
    for name in TRAINED:
        path = catalog.trained_weights(name)
        assert path is not None
        assert path.stat().st_size < 14e6
        assert "synthetic voices" in path.with_suffix(".md").read_text(encoding="utf-8")
    assert catalog.weights_of("xvec", "trained") == "trained"
    assert catalog.weights_of("xvec", "seeded") == "seeded"
    assert catalog.weights_of("ecapa512", "trained") == "seeded"


def test_trained_weights_tell_unseen_speakers_apart() -> None:
    """On a part of the trials that come with the package, the EER is a few percent."""
    trials = [
        trial
        for trial in read_trials(HELDOUT / "trials", labels=True)
        if max(trial.enroll, trial.test) < "s030"
    ]
    session, fbank = TorchSession(trained_model("xvec")), Fbank()
    embeddings = {}
    for name in names_of(trials):
        features_TM = fbank(read_audio(HELDOUT / f"{name}.ogg").samples)
        features_TM -= features_TM.mean(axis=0)
        embeddings[name] = session.run(features_TM[None])[0]
    found = rates(trials, score(trials, embeddings, embeddings))
    assert found is not None
    assert found.targets > 400
    assert found.eer < 0.05
