"""Cutting: every frame is used once, chunks are full, and the filling is WeSpeaker's."""

from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest

from rtfbench.frontends.chunking import ChunkPolicy
from rtfbench.frontends.fbank import FbankConfig
from rtfbench.frontends.front_end import WESPEAKER, LastChunk

Array = npt.NDArray[Any]

POLICY = ChunkPolicy(32000)


def features_of(num_frames: int, num_bins: int = 80) -> npt.NDArray[np.float32]:
    """Make random features float32[T, M] with a mean far from zero."""
    rng = np.random.default_rng(num_frames)
    return rng.normal(8, 3, (num_frames, num_bins)).astype(np.float32)


def wespeaker_rule(features: Array, size: int) -> list[Array]:
    """Follow the rule in words: full chunks, then the rest filled up from the first chunk."""
    whole = [features[i : i + size] for i in range(0, len(features) - size + 1, size)]
    rest = features[len(whole) * size :]
    if not len(rest):
        return whole
    source = whole[0] if whole else rest
    while len(rest) < size:
        rest = np.concatenate([rest, source[: size - len(rest)]])
    return [*whole, rest]


def chunk_rule(features: Array, size: int, hop: int, last: str) -> list[Array]:
    """Follow the rule of a front end in words; what is short is filled as WeSpeaker fills it."""
    starts = [*range(0, len(features) - size + 1, hop)]
    whole = [features[start : start + size] for start in starts]
    end = starts[-1] + size if whole else 0
    if end == len(features) or (whole and last == "drop"):
        return whole
    rest = features[len(whole) * hop :]
    if last == "short":
        return [*whole, rest]
    if last == "back" and whole:
        return [*whole, features[-size:]]
    wrapped = np.concatenate([rest, *[whole[0] if whole else rest] * (size + 1)])
    return [*whole, wrapped[:size]]


LENGTHS = [1, 50, 99, 100, 197, 198, 199, 395, 396, 397, 1200]


@pytest.mark.parametrize("num_frames", LENGTHS)
@pytest.mark.parametrize("samples_per_chunk", [400, 16000, 32000, 80000, -1])
def test_chunks_are_full_and_use_every_frame_once(num_frames: int, samples_per_chunk: int) -> None:
    """Chunks are equally long and have mean zero; their valid frames sum to the utterance."""
    policy = ChunkPolicy(samples_per_chunk)
    chunks = policy.cut(features_of(num_frames))
    size = policy.num_frames or num_frames
    assert {chunk.features.shape for chunk in chunks} == {(size, 80)}
    assert sum(chunk.valid_frames for chunk in chunks) == num_frames
    assert all(chunk.valid_frames == size for chunk in chunks[:-1])
    assert 0 < chunks[-1].valid_frames <= size
    for chunk in chunks:
        assert chunk.features.dtype == np.float32
        assert chunk.features.flags.c_contiguous
        np.testing.assert_allclose(chunk.features.mean(axis=0), 0, atol=1e-5)


@pytest.mark.parametrize("num_frames", LENGTHS)
def test_tail_is_filled_from_the_beginning(num_frames: int) -> None:
    """Content is WeSpeaker's: a short utterance repeats, a tail takes the first chunk's head."""
    features = features_of(num_frames)
    expected = wespeaker_rule(features.astype(np.float64), 198)
    chunks = POLICY.cut(features)
    assert len(chunks) == len(expected)
    for chunk, raw in zip(chunks, expected, strict=True):
        np.testing.assert_allclose(chunk.features, raw - raw.mean(axis=0), atol=1e-5)


def test_mean_is_taken_over_the_filling_too() -> None:
    """The filled-up frames weigh in the mean: 99 ones and 99 zeros average to a half."""
    features = np.zeros((297, 1), np.float32)
    features[198:] = 1
    tail = POLICY.cut(features)[1]
    np.testing.assert_array_equal(tail.features[:99], 0.5)
    np.testing.assert_array_equal(tail.features[99:], -0.5)
    assert tail.valid_frames == 99


def test_long_whole_utterance_has_mean_zero() -> None:
    """An hour in one piece is normalised as exactly as a chunk."""
    features = np.full((360_000, 2), 15.3, np.float32)
    features[::2] -= np.float32(0.7)
    (chunk,) = ChunkPolicy(-1).cut(features)
    np.testing.assert_allclose(chunk.features.mean(axis=0, dtype=np.float64), 0, atol=1e-6)


@pytest.mark.parametrize("num_frames", [50, 198, 300])
def test_input_is_left_alone(num_frames: int) -> None:
    """The chunks are copies: neither cutting nor a change of a chunk reaches the input."""
    features = features_of(num_frames)
    before = features.copy()
    for chunk in POLICY.cut(features):
        chunk.features[:] = 0
    np.testing.assert_array_equal(features, before)


@pytest.mark.parametrize(("samples", "frames"), [(400, 1), (32000, 198), (80000, 498), (-1, None)])
def test_num_frames(samples: int, frames: int | None) -> None:
    """A chunk has the frames that its samples would have, with 25 ms windows every 10 ms."""
    assert ChunkPolicy(samples).num_frames == frames


@pytest.mark.parametrize("samples", [0, -2, 1, 399])
def test_bad_chunk_lengths_are_refused(samples: int) -> None:
    """A chunk is at least one frame; -1 is the only negative length."""
    with pytest.raises(ValueError, match=rf"samples_per_chunk.*{samples}"):
        ChunkPolicy(samples)


@pytest.mark.parametrize(
    ("num_samples", "num_chunks"),
    [(400, 1), (32000, 1), (32079, 1), (32080, 2), (63759, 2), (63760, 3), (64000, 3)],
)
def test_padded_duration_counts_whole_chunks(num_samples: int, num_chunks: int) -> None:
    """Computed audio is chunks times their length, as many as are really cut."""
    assert POLICY.num_chunks(num_samples) == num_chunks
    assert POLICY.padded_samples(num_samples) == num_chunks * 32000
    assert POLICY.padded_audio_ns(num_samples) == num_chunks * 2_000_000_000
    num_frames = FbankConfig().num_frames(num_samples)
    assert len(POLICY.cut(features_of(num_frames))) == num_chunks


def test_padded_duration_of_a_whole_utterance_is_its_own() -> None:
    """What is not cut is not padded."""
    policy = ChunkPolicy(-1)
    assert policy.num_chunks(123_456) == 1
    assert policy.padded_samples(123_456) == 123_456
    assert policy.padded_audio_ns(123_456) == 7_716_000_000


@pytest.mark.parametrize("samples_per_chunk", [32000, -1])
def test_too_short_is_refused(samples_per_chunk: int) -> None:
    """No frame, no chunk: the error says how many samples it takes."""
    policy = ChunkPolicy(samples_per_chunk)
    message = r"too short for one frame \(needs 400 samples\)"
    with pytest.raises(ValueError, match=message):
        policy.cut(np.empty((0, 80), np.float32))
    with pytest.raises(ValueError, match=message):
        policy.padded_samples(399)


@pytest.mark.parametrize("features", [np.zeros((5, 80)), np.zeros(80, np.float32)])
def test_wrong_arrays_are_refused(features: Array) -> None:
    """Features of another type or shape are an error, never a silent conversion."""
    with pytest.raises(ValueError, match=r"float32\[T, M\]"):
        POLICY.cut(features)


@pytest.mark.parametrize("num_frames", LENGTHS)
@pytest.mark.parametrize("samples_per_chunk", [400, 32000, -1])
@pytest.mark.parametrize("block_frames", [1, 7, 198, 1000])
def test_blocks_are_cut_like_the_whole(
    num_frames: int, samples_per_chunk: int, block_frames: int
) -> None:
    """Features in blocks of any length give the same chunks, the last one filled up alike."""
    features = features_of(num_frames)
    policy = ChunkPolicy(samples_per_chunk)
    blocks = [features[i : i + block_frames] for i in range(0, num_frames, block_frames)]
    streamed = list(policy.chunks(blocks))
    whole = policy.cut(features)
    assert [chunk.valid_frames for chunk in streamed] == [chunk.valid_frames for chunk in whole]
    for got, want in zip(streamed, whole, strict=True):
        np.testing.assert_array_equal(got.features, want.features)


def test_chunks_come_before_the_end() -> None:
    """A chunk is there as soon as its frames are: nothing waits for the end of the utterance."""
    chunks = POLICY.chunks(features_of(198) for _ in range(10**9))
    for _ in range(5):
        assert next(chunks).valid_frames == 198


@pytest.mark.parametrize("hop", [None, 16000, 24000, 4800])
@pytest.mark.parametrize("last", get_args(LastChunk))
def test_the_front_end_says_how_chunks_lie(last: LastChunk, hop: int | None) -> None:
    """Whatever the hop and the last chunk, the rule in words is followed, block by block too."""
    values = {"chunk_hop": hop, "last_chunk": last, "normalization": "none"}
    policy = ChunkPolicy(32000, WESPEAKER.with_values(values))
    for num_frames in (*LENGTHS, 297, 298, 299):
        features = features_of(num_frames, 4)
        expected = chunk_rule(features, 198, 198 if hop is None else hop // 160, last)
        for blocks in ([features], np.array_split(features, min(num_frames, 7))):
            found = list(policy.chunks(blocks))
            assert len(found) == len(expected)
            for chunk, raw in zip(found, expected, strict=True):
                np.testing.assert_array_equal(chunk.features, raw)
        num_samples = 400 + (num_frames - 1) * 160
        assert policy.num_chunks(num_samples) == len(expected)
        frames = sum(map(len, expected))
        assert policy.padded_samples(num_samples) >= frames * 160
        dropped = num_frames - sum(chunk.valid_frames for chunk in found)
        assert dropped >= 0
        assert dropped == 0 or last == "drop"


def test_a_hop_is_within_a_chunk() -> None:
    """Frames that no chunk holds are no rule of a front end."""
    with pytest.raises(ValueError, match="chunk_hop=32160 is more than a chunk"):
        ChunkPolicy(32000, WESPEAKER.with_values({"chunk_hop": 32160}))
    for values in ({"chunk_hop": 100}, {"chunk_samples": 0}, {"last_chunk": "odd"}):
        with pytest.raises(ValueError, match=next(iter(values))):
            WESPEAKER.with_values(values)
