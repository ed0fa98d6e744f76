"""Lhotse's cuts give the samples that lhotse reads, or say why they cannot."""

import gzip
import json
import random
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from rtfbench.frontends.audio import AudioError
from rtfbench.inputs.formats import from_file
from rtfbench.inputs.parts import read_part

RATE = 16000
PCM = np.random.default_rng(7).integers(-9000, 9000, (2 * RATE, 2), dtype=np.int16)


@pytest.fixture
def stereo(tmp_path: Path) -> Path:
    """Return two seconds of two channels."""
    soundfile.write(tmp_path / "stereo.wav", PCM, RATE)
    return tmp_path / "stereo.wav"


def cut(**changes: Any) -> dict[str, Any]:
    """Return a cut as lhotse writes it: the second channel from 0.25 s to 1 s."""
    source = {"type": "file", "channels": [0, 1], "source": "stereo.wav"}
    recording = {"id": "r", "sources": [source], "sampling_rate": RATE, "duration": 2.0}
    fields = {"id": "a b", "start": 0.25, "duration": 0.75, "channel": 1, "type": "MonoCut"}
    return {**fields, "recording": recording, "supervisions": [], **changes}


def write(path: Path, *cuts: dict[str, Any]) -> Path:
    """Write a list as lhotse does."""
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, cuts)).encode()))
    return path


def samples(path: Path) -> dict[str, Any]:
    """Return every utterance's samples by its name."""
    return {
        each.name: np.concatenate(list(read_part(each.path, each.part)))
        for each in from_file(path).utterances()
    }


def test_a_cut_is_a_stretch_of_one_channel(stereo: Path) -> None:
    """Its file is found beside the list, its length is told, its name has no blank."""
    path = write(stereo.parent / "cuts.jsonl.gz", cut(), cut(id="c", start=0, channel=[0]))
    found = samples(path)
    assert list(found) == ["a_b", "c"]
    np.testing.assert_array_equal(found["a_b"], PCM[4000:16000, 1])
    np.testing.assert_array_equal(found["c"], PCM[:12000, 0])
    lengths = from_file(path).lengths
    assert lengths is not None
    assert list(lengths()) == [0.75, 0.75]


def test_a_cut_of_all_channels_leaves_the_choice(stereo: Path) -> None:
    """Nothing is mixed without being asked: the reader names the channel."""
    path = write(stereo.parent / "cuts.jsonl", cut(channel=[0, 1], type="MultiCut"))
    path.write_bytes(gzip.decompress(path.read_bytes()))
    (one,) = from_file(path).utterances()
    with pytest.raises(AudioError, match="channel"):
        list(read_part(one.path, one.part))
    chosen = np.concatenate(list(read_part(one.path, one.part, channel=1)))
    np.testing.assert_array_equal(chosen, PCM[4000:16000, 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "MixedCut"}, "line 2 is a MixedCut, .* CutSet.save_audios"),
        ({"recording": None}, "features only"),
        ({"recording": {"transforms": [{"name": "Speed"}], "sources": []}}, "changes its rec"),
        ({"recording": {"sources": [{"type": "command", "source": "x"}]}}, "not in one file"),
        ({"channel": 4}, "line 2 is no utterance"),
        ({"start": -1}, "line 2: offset and duration"),
        ({"duration": 0}, "line 2: offset and duration"),
    ],
)
def test_more_than_a_stretch_is_refused(
    stereo: Path, changes: dict[str, Any], message: str
) -> None:
    """With the line, the reason and what to do; the other cuts are there."""
    path = write(stereo.parent / "cuts.jsonl.gz", cut(), cut(id="other", **changes))
    good, bad = from_file(path).utterances()
    assert (good.name, good.fault, bad.name) == ("a_b", "", "line-2")
    assert re.search(message, bad.fault)
    with pytest.raises(AudioError, match=message.replace("line 2", "line 1")):
        from_file(write(path, cut(id="other", **changes)))


def test_what_lhotse_writes_is_read_as_lhotse_reads_it(stereo: Path) -> None:
    """Cuts at any place, sample for sample; padded and perturbed ones are refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it imports is its own matter
        lhotse = pytest.importorskip("lhotse")
        recording = lhotse.Recording.from_file(stereo)
        draw = random.Random(3)
        cuts = [
            lhotse.MonoCut(f"u{i}", draw.uniform(0, 1.4), draw.uniform(0.1, 0.6), i % 2,
                           recording=recording)
            for i in range(40)
        ]  # fmt: skip
        path = stereo.parent / "cuts.jsonl.gz"
        lhotse.CutSet.from_cuts(cuts).to_file(path)
        found = samples(path)
        for each in cuts:
            (want,) = each.load_audio() * 32768
            assert abs(len(found[each.id]) - len(want)) <= 1  # each rounds an end in its own way
            common = min(len(want), len(found[each.id]))
            np.testing.assert_array_equal(found[each.id][:common], want[:common])
        for changed in (cuts[0].pad(5.0), cuts[0].perturb_speed(1.1)):
            lhotse.CutSet.from_cuts([changed]).to_file(path)
            with pytest.raises(AudioError, match=r"CutSet\.save_audios"):
                from_file(path)
