"""Windows of live streams: what overlaps is computed once, and nothing else changes."""

import numpy as np
import pytest

from rtfbench.embed.audio_input import check_audio, read_source
from rtfbench.frontends.front_end import PRESETS, Features
from rtfbench.frontends.windows import MovingWindows
from rtfbench.results import protocols
from rtfbench.results.capacity import ArrivalsAgain
from rtfbench.results.load import Load, Traffic

#: A window of a second, and from one to the next.
WINDOW, HOP = 16000, 4000


def speech() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return three seconds of noise in int16 scale."""
    noise = np.random.default_rng(1).normal(0, 3000, 3 * WINDOW)
    return np.asarray(noise.astype(np.int16), np.float32)


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"pyannote"}))
def test_windows_have_the_features_of_their_own_samples(name: str) -> None:
    """Whether or not a front end lets those of before be kept, and with streams in turns."""
    front_end, samples = PRESETS[name], speech()
    compute = Features(front_end)
    moving = MovingWindows(front_end, compute)
    for begin in range(0, len(samples) - WINDOW + 1, HOP):
        for stream, shift in ((0, 0), (1, 160)):
            some = samples[begin + shift : begin + shift + WINDOW]
            if len(some) == WINDOW:
                found = moving(stream, "a", begin + shift, some)
                assert np.allclose(found, compute(some), atol=1e-4)
    frames = front_end.num_frames(WINDOW)
    known = (frames - HOP // 160) / frames
    share = moving.known / moving.frames
    assert known * 0.8 < share < known if front_end.frames_stand_alone else share == 0


def test_another_recording_is_not_known() -> None:
    """Nor is a window that lies before the last one, or between its frames."""
    front_end, samples = PRESETS["wespeaker"], speech()
    moving = MovingWindows(front_end, Features(front_end))
    for place in (("a", 0), ("b", HOP), ("b", 0), ("b", 80)):
        moving(0, place[0], place[1], samples[place[1] : place[1] + WINDOW])
    assert moving.known == 0


def test_recordings_are_cut_into_windows() -> None:
    """Those that lie wholly in one; each has its samples and its name."""
    whole = check_audio(()).sources[0]
    checked = check_audio((whole.path,), resample=True, windows=(1.5, 0.75))
    samples = read_source(whole).samples
    assert len(checked.sources) == (len(samples) - 24000) // 12000 + 1
    assert checked.audio_s == pytest.approx(1.5 * len(checked.sources))
    second = checked.sources[1]
    assert second.name == f"{whole.name}@0.75"
    assert np.array_equal(read_source(second).samples, samples[12000:36000])
    (error,) = check_audio((whole.path,), resample=True, windows=(100.0, 1.0)).errors
    assert "no recording is as long as a window of 100 s" in error


def test_scenarios_are_those_that_protocols_name() -> None:
    """LoadGen's name of a scenario leads to the protocol that says it is that."""
    assert {name: protocols.named(name).name for name in protocols.SCENARIOS} == protocols.SCENARIOS
    for name in ("single-stream", "multi-stream", "server", "offline"):
        assert protocols.named(name).scenario == name


def test_streams_are_replayed_as_they_arrive() -> None:
    """So many a hop, each once; one stream more leaves the others as they are."""
    load = Traffic(streams=(4,), window_s=1.0, hop_s=0.5).of_streams()[0]
    assert load.at(7.1) == load
    again = ArrivalsAgain(load, np.random.default_rng(1), (40, 3))
    due_s, more_s = again.due_s(8.0), again.due_s(10.0)
    assert due_s.shape == more_s.shape == (40, 3)
    assert np.allclose(due_s[4:] - due_s[:-4], 0.5)
    assert np.all(np.diff(due_s, axis=0) >= 0)
    assert all(set(few) < set(many) for few, many in zip(due_s[:4].T, more_s[:5].T, strict=True))
    bursts = ArrivalsAgain(
        Load(rate_per_s=1, gamma_shape=0.25), np.random.default_rng(1), (400, 50)
    )
    gaps_s = np.diff(bursts.due_s(2.0), axis=0)
    assert gaps_s.mean() == pytest.approx(0.5, rel=0.03)
    assert gaps_s.std() == pytest.approx(1.0, rel=0.05)
