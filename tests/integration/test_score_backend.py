"""`score` with lists of VoxCeleb, enrolment, cohorts, thresholds and a picture, from end to end."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from rtfbench.embed.embeddings import Named, write_embeddings
from rtfbench.embed.scoring import cosine
from rtfbench.engines.protocol import FloatArray
from tests.rates import eer

from .extraction import Command

SPEAKERS = 20
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def stored() -> dict[str, FloatArray]:
    """Return three utterances of twenty speakers."""
    rng = np.random.default_rng(11)
    own = rng.normal(0, 1, (SPEAKERS, 16))
    return {
        f"id{s}/{u}.wav": (own[s] + rng.normal(0, 1.1, 16) + 0.3).astype(np.float32)
        for s, u in itertools.product(range(SPEAKERS), range(3))
    }


@pytest.fixture(scope="module")
def embeddings(stored: dict[str, FloatArray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return them as Kaldi vectors."""
    path = tmp_path_factory.mktemp("embeddings") / "e.ark"
    write_embeddings(path, lambda: (Named(*each) for each in stored.items()))
    return path


@pytest.fixture(scope="module")
def voxceleb(stored: dict[str, FloatArray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return all pairs as a list of VoxCeleb's."""
    path = tmp_path_factory.mktemp("trials") / "veri_test.txt"
    pairs = itertools.combinations(stored, 2)
    path.write_text(
        "".join(f"{int(a.split('/')[0] == b.split('/')[0])} {a} {b}\n" for a, b in pairs)
    )
    return path


def test_voxceleb_and_kaldi_lists_are_the_same_trials(
    rtfbench: Command, stored: dict[str, FloatArray], embeddings: Path, voxceleb: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Both give the same scores, and the EER with its interval over twenty speakers."""
    kaldi = tmp_path / "trials"
    lines = [line.split() for line in voxceleb.read_text().splitlines()]
    kaldi.write_text("".join(f"{a} {b} {('non' * (t == '0'))}target\n" for t, a, b in lines))
    done = [
        rtfbench("score", "--trials", trials, "--embeddings", embeddings)
        for trials in (voxceleb, kaldi)
    ]
    assert [each.returncode for each in done] == [0, 0]
    assert done[0].stdout == done[1].stdout
    want = eer([cosine(stored[a], stored[b]) for _, a, b in lines], [t == "1" for t, _, _ in lines])
    found = re.search(r"EER ([\d.]+) %, minDCF .*60 target and 1710 nontarget", done[0].stderr)
    assert found
    assert float(found[1]) == pytest.approx(100 * want, abs=0.05)
    spread = re.search(r"95 % over 20 speakers: EER ([\d.]+) to ([\d.]+) %", done[0].stderr)
    assert spread
    assert float(spread[1]) < 100 * want < float(spread[2])


def test_enrolment_of_several_utterances(
    rtfbench: Command, stored: dict[str, FloatArray], embeddings: Path, tmp_path: Path
) -> None:
    """A speaker is the mean of its utterances; what is missing is told, and the status is 1."""
    spk2utt, trials = tmp_path / "spk2utt", tmp_path / "trials"
    spk2utt.write_text("id0 id0/0.wav id0/1.wav\nid1 id1/0.wav none\n")
    trials.write_text("id0 id0/2.wav\nid1 id0/2.wav\nid7 id0/2.wav\n")
    done = rtfbench(
        *("score", "--trials", trials, "--embeddings", embeddings, "--spk2utt", spk2utt)
    )
    assert done.returncode == 1
    assert "spk2utt: no speaker 'id7'" in done.stderr
    assert "no embedding of 'none'" in done.stderr
    mean_D = np.asarray((stored["id0/0.wav"] + stored["id0/1.wav"]) / 2, np.float32)
    want = [cosine(mean_D, stored["id0/2.wav"]), cosine(stored["id1/0.wav"], stored["id0/2.wav"])]
    assert [float(line.split()[2]) for line in done.stdout.splitlines()] == pytest.approx(
        want, abs=1e-5
    )


def test_cohort_threshold_and_picture(
    rtfbench: Command, embeddings: Path, voxceleb: Path, tmp_path: Path
) -> None:
    """Normalised scores differ, a threshold holds its rate, and the picture is one."""
    scores = {}
    base = ("score", "--trials", voxceleb, "--embeddings", embeddings, "--target-fpr", 0.02)
    cohort = ("--subtract-mean", embeddings, "--cohort", embeddings)
    for name, options in {
        "plain": (),
        "s": (*cohort, "--norm", "s-norm"),
        "as": (*cohort, "--top-n", 10),
        "det": (*cohort, "--resamples", 0, "--det", tmp_path / "det.png"),
    }.items():
        out = tmp_path / name
        done = rtfbench(*base, *options, "--out", out)
        assert done.returncode == 0, done.stderr
        rows = [line.split() for line in out.read_text().splitlines()]
        scores[name] = [float(row[2]) for row in rows]
        found = re.search(r"threshold (-?[\d.]+)(.*): false alarms ([\d.]+)", done.stdout)
        assert found, done.stdout
        assert ("verify --threshold" in found[2]) == (name == "plain")
        others = [float(row[2]) for row in rows if row[3] == "nontarget"]
        assert np.mean(np.array(others) >= float(found[1])) <= 0.02
        assert ("95 % over" in done.stdout) == (name != "det")
    assert scores["det"] == scores["s"]  # the most alike of a small cohort are all of it
    assert len({tuple(each) for each in scores.values()}) == 3
    assert (tmp_path / "det.png").read_bytes().startswith(PNG)


def test_enrolment_by_one_and_test_by_another(
    rtfbench: Command, stored: dict[str, FloatArray], embeddings: Path, voxceleb: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Each alone and mixed: error rates, the shift of scores and rates at the first's threshold."""
    rng = np.random.default_rng(3)
    other, out = tmp_path / "other.npz", tmp_path / "scores"
    moved = {
        name: (value_D + 0.5 * np.eye(16)[0] + rng.normal(0, 0.1, 16)).astype(np.float32)
        for name, value_D in stored.items()
    }
    write_embeddings(other, lambda: (Named(*each) for each in moved.items()))
    mixed = ("score", "--trials", voxceleb, "--enrol-with", embeddings, "--test-with", other)
    done = rtfbench(*mixed, "--target-fpr", 0.02, "--out", out)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in out.read_text().splitlines()]
    labels = np.array([line[5] == "target" for line in lines])
    sides = ((stored, stored), (stored, moved), (moved, moved))
    want = np.array([[cosine(x[a], y[b]) for x, y in sides] for a, b, *_ in lines])
    found = np.array([[float(each) for each in line[2:5]] for line in lines])
    np.testing.assert_allclose(found, want, atol=1e-6)
    rates = [float(each) for each in re.findall(r"EER ([\d.]+) %, minDCF", done.stdout)]
    eers = [100 * eer(want[:, side], labels) for side in range(3)]
    np.testing.assert_allclose(rates, eers, atol=0.05)
    ends = r"([+-][\d.]+) \(95 %: ([+-][\d.]+) to ([+-][\d.]+)\) in (\w+) trials"
    told = re.findall(ends, done.stdout)
    for side in (1, 2):
        for kind, is_target in (("target", True), ("nontarget", False)):
            value, low, high, name = told.pop(0)
            shift = (want[:, side] - want[:, 0])[labels == is_target].mean()
            assert name == kind
            assert float(value) == pytest.approx(shift, abs=1e-4)
            assert float(low) < shift < float(high)
    threshold = float(re.findall(r"threshold ([\d.]+) \(verify", done.stdout)[0])
    alarms = 100 * (want[~labels, 1] >= threshold).mean()
    assert f"false alarms {alarms:.1f} %, misses" in done.stdout
    for options, message in (
        (mixed[:5], "name --embeddings, or both"),
        ((*mixed, "--embeddings", other), "name --embeddings, or both"),
        ((*mixed, "--cohort", other, "--cohort", other), "leave it out with --enrol-with"),
    ):
        refused = rtfbench(*options)
        assert (refused.returncode, message in refused.stderr) == (2, True)


def test_a_threshold_that_trials_cannot_tell_loses_no_score(
    rtfbench: Command, embeddings: Path, voxceleb: Path, tmp_path: Path
) -> None:
    """Scores are written and the EER is said; then status 2 and what it takes."""
    out, base = tmp_path / "scores", ("score", "--trials", voxceleb, "--embeddings", embeddings)
    done = rtfbench(*base, "--target-fpr", 0.0001, "--out", out)
    assert (done.returncode, len(out.read_text().splitlines())) == (2, 1770)
    assert "EER" in done.stdout
    assert "takes 10000 nontarget trials; there are 1710" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target-fpr", 1.5), "need a share between 0 and 1"),
        (("--top-n", 10), "need --cohort"),
        (("--cohort", "E", "--top-n", 1000), "the cohort has 60"),
        (("--cohort", "E", "--norm", "s-norm", "--top-n", 10), "s-norm takes the whole cohort"),
        (("--cohort", "E", "--cohort", "E"), "--cohort: named 2 times"),
        (("--cohort", "SHORT"), "embeddings of 2 values, those to score have 16"),
        (("--spk2utt", "EMPTY"), "names no speaker"),
        (("--det", "det.jpg"), ".png or .svg"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    rtfbench: Command, embeddings: Path, voxceleb: Path, tmp_path: Path,
    options: tuple[object, ...], message: str,
) -> None:  # fmt: skip
    """Status 2, no score, and the cure."""
    (tmp_path / "short.txt").write_text("a 1 2\nb 1 3\n")
    (tmp_path / "empty").write_text("\n")
    named = {"E": embeddings, "SHORT": tmp_path / "short.txt", "EMPTY": tmp_path / "empty"}
    done = rtfbench(
        *("score", "--trials", voxceleb, "--embeddings", embeddings),
        *(named.get(each, each) if isinstance(each, str) else each for each in options),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
