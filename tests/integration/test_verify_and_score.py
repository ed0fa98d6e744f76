"""`verify`, `score` and `run --trials` from end to end."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.embeddings import read_embeddings
from rtfbench.embed.scoring import similarity
from tests.conftest import Once
from tests.rates import eer

MODEL = ("--model", "xvec")
SEEDED = (*MODEL, "--weights", "seeded")
SAID = "seeded weights, not trained"
SPEECH = sorted(DEFAULT_SPEECH.glob("*.flac"))

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def embeddings(rtfbench: Command, once: Once) -> dict[str, Path]:
    """Embed the package's speech with two engines."""
    named = {"mnn": "mnn.txt", "onnxruntime": "ort.npz"}

    def extract(folder: Path) -> None:
        for engine, name in named.items():
            arguments = ("--wav", DEFAULT_SPEECH, *MODEL, "--engine", engine)
            assert rtfbench("extract", *arguments, "--result", folder / name).returncode == 0

    folder = once("embeddings", extract)
    return {engine: folder / name for engine, name in named.items()}


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Label every pair of recordings: one speaker if both names end alike."""
    path = tmp_path_factory.mktemp("trials") / "trials.txt"
    names = [each.stem for each in SPEECH]
    lines = [
        f"{a} {b} {'target' if a[-2:] == b[-2:] else 'nontarget'}"
        for i, a in enumerate(names)
        for b in names[i + 1 :]
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_verify_says_what_extract_and_cosine_say(
    rtfbench: Command, embeddings: dict[str, Path]
) -> None:
    """The score is (cosine + 1) / 2 of the two embeddings; at the threshold it is the same."""
    stored = dict(read_embeddings(embeddings["mnn"]))
    for enroll, test in ((SPEECH[0], SPEECH[1]), (SPEECH[3], SPEECH[4])):
        want = similarity(stored[enroll.stem], stored[test.stem])
        for threshold, status in ((want - 1e-4, 0), (want + 1e-4, 1)):
            done = rtfbench(
                *("verify", "--enroll", enroll, "--test", test, *MODEL, "--engine", "mnn"),
                *("--threshold", threshold),
            )
            assert done.returncode == status, done.stderr
            line = r"score ([\d.]+), threshold [\d.]+: (.*) \(weights trained on .*\)\n"
            found = re.fullmatch(line, done.stdout)
            assert found
            assert float(found[1]) == pytest.approx(want, abs=1e-5)
            assert found[2] == ("different speakers" if status else "same speaker")


def test_a_recording_is_like_itself(rtfbench: Command) -> None:
    """The same recording twice scores 1; nothing is decided where no threshold is given."""
    done = rtfbench("verify", "--enroll", SPEECH[0], "--test", SPEECH[0], *MODEL)
    assert done.returncode == 0
    assert done.stdout.startswith("score 1.000000; no decision without --threshold")


@pytest.mark.parametrize(
    ("options", "message"),
    [((), "no model is named"), ((*SEEDED, "--threshold", 0.5), f"nothing to decide, {SAID}")],
)
def test_weights_that_know_no_speakers_decide_nothing(
    rtfbench: Command, options: tuple[object, ...], message: str
) -> None:
    """No model is assumed, and seeded weights take no threshold: one line names the way on."""
    done = rtfbench("verify", "--enroll", SPEECH[0], "--test", SPEECH[1], *options)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert message in line
    assert "name a model file" in line


def test_a_score_of_seeded_weights_is_no_decision(rtfbench: Command) -> None:
    """It is printed, with the reason why it tells nothing."""
    done = rtfbench("verify", "--enroll", SPEECH[0], "--test", SPEECH[1], *SEEDED)
    assert done.returncode == 0
    assert re.fullmatch(rf"score [\d.]+; no decision \({SAID}.*\)\n", done.stdout)


def test_trials_make_the_decision(
    rtfbench: Command, embeddings: dict[str, Path], trials: Path
) -> None:
    """`--target-fpr` takes the threshold that its trials give, by this engine's embeddings only."""
    stored = dict(read_embeddings(embeddings["mnn"]))
    pairs = [line.split() for line in trials.read_text().splitlines()]
    others = [similarity(stored[a], stored[b]) for a, b, label in pairs if label == "nontarget"]
    verify = ("verify", "--enroll", SPEECH[0], "--test", SPEECH[1], *MODEL, "--engine", "mnn")
    asked = (*verify, "--target-fpr", 0.25, "--trials", trials)
    line = (
        r"score ([\d.]+), threshold ([\d.]+) \(false alarms [\d.]+.* %, misses .* % on .*\): "
        r"(same|different) speakers? \(weights trained.*\)\n"
    )
    for more in (("--embeddings", embeddings["mnn"]), ("--trial-audio", DEFAULT_SPEECH)):
        done = rtfbench(*asked, *more)
        found = re.fullmatch(line, done.stdout)
        assert found, (done.stdout, done.stderr)
        threshold = float(found[2])
        assert sum(each >= threshold for each in others) == int(0.25 * len(others))
        assert done.returncode == (0 if float(found[1]) >= threshold else 1)
    for options, message in (
        ((*asked, "--embeddings", embeddings["onnxruntime"]), "engine onnxruntime, not mnn"),
        ((*asked, "--trial-audio", SPEECH[0]), "does not hold"),
        (asked, "--embeddings or --trial-audio"),
        ((*verify, "--trials", trials, "--threshold", 0.5), "leave it out, or --target-fpr"),
    ):
        done = rtfbench(*options)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--enroll", "none.wav", "--test", SPEECH[0], *SEEDED), "enroll recording: none.wav"),
        (("--enroll", SPEECH[0], "--test", "none.wav", *SEEDED), "test recording: none.wav"),
        (
            ("--enroll", SPEECH[0], "--test", SPEECH[0], "--model", "x", "--weights", "seeded"),
            "no model",
        ),
        (
            ("--enroll", SPEECH[0], "--test", SPEECH[0], *SEEDED, "--engine", "faulty-crash"),
            "killed by SIGSEGV",
        ),
    ],
)
def test_verify_fails_with_two(
    rtfbench: Command, options: tuple[object, ...], message: str
) -> None:
    """An error is never taken for a decision: status 2 and one line."""
    done = rtfbench("verify", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert not done.stdout
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("ending", ["txt", "npz", "ark", "scp"])
def test_scores_of_seeded_weights_are_said_to_tell_nothing(
    rtfbench: Command, trials: Path, tmp_path: Path, ending: str
) -> None:
    """A file of embeddings keeps word of its weights, whichever of Kaldi's files is named."""
    result = tmp_path / f"embeddings.{ending}"
    short = SPEECH[:3]
    asked = ("--wav", *short, *SEEDED, "--engine", "onnxruntime", "--result", result)
    assert rtfbench("extract", *asked).returncode == 0
    named = tmp_path / "trials"
    named.write_text("".join(f"{a.stem} {short[0].stem}\n" for a in short))
    done = rtfbench("score", "--trials", named, "--embeddings", result)
    assert done.returncode == 0, done.stderr
    assert SAID in done.stderr
    other = tmp_path / "moved" / result.name
    other.parent.mkdir()
    result.rename(other)
    assert SAID not in rtfbench("score", "--trials", named, "--embeddings", other).stderr


def test_scores_of_two_engines_agree(
    rtfbench: Command, embeddings: dict[str, Path], trials: Path, tmp_path: Path
) -> None:
    """A line a trial with both cosines; EER of each engine, and the difference, which is none."""
    out = tmp_path / "scores"
    paths = [each for path in embeddings.values() for each in ("--embeddings", path)]
    done = rtfbench("score", "--trials", trials, *paths, "--labels", "--out", out)
    assert done.returncode == 0, done.stderr
    stored = dict(read_embeddings(embeddings["mnn"]))
    labels, scores = [], []
    lines = zip(out.read_text().splitlines(), trials.read_text().splitlines(), strict=True)
    for line, trial in lines:
        enroll, test, first, second, label = line.split()
        assert f"{enroll} {test} {label}" == trial
        want = 2 * similarity(stored[enroll], stored[test]) - 1
        assert float(first) == pytest.approx(want, abs=1e-6)
        assert float(second) == pytest.approx(want, abs=1e-4)
        labels.append(label == "target")
        scores.append(want)
    rates = re.findall(r"EER ([\d.]+) %, minDCF ([\d.]+)", done.stdout)
    assert len(rates) == 2
    assert float(rates[0][0]) == pytest.approx(100 * eer(scores, labels), abs=0.05)
    assert "EER +0.0 points against" in done.stdout
    assert "scores differ by at most" in done.stdout


def test_missing_embeddings_are_told_by_name(
    rtfbench: Command, embeddings: dict[str, Path], trials: Path, tmp_path: Path
) -> None:
    """Every name that is missing is told once, the other trials are scored, the status is 1."""
    more = tmp_path / "trials.txt"
    name = SPEECH[0].stem
    more.write_text(f"{trials.read_text()}\r\nnobody {name} 1\n{name} noone 0\nnobody noone 0\n")
    done = rtfbench("score", "--trials", more, "--embeddings", embeddings["mnn"])
    assert done.returncode == 1
    told = re.findall(r"no embedding of '(\w+)'", done.stderr)
    assert told == ["nobody", "noone"]
    assert len(done.stdout.splitlines()) == len(trials.read_text().splitlines())
    assert "EER" in done.stderr


def test_unlabelled_trials_are_scored(
    rtfbench: Command, embeddings: dict[str, Path], tmp_path: Path
) -> None:
    """Without labels there are scores and no EER; with --labels that is an error."""
    trials = tmp_path / "trials.txt"
    trials.write_text(f"{SPEECH[0].stem} {SPEECH[1].stem}\n")
    arguments = ("score", "--trials", trials, "--embeddings", embeddings["mnn"])
    done = rtfbench(*arguments)
    assert done.returncode == 0
    assert len(done.stdout.split()) == 3
    assert "no EER" in done.stderr
    refused = rtfbench(*arguments, "--labels")
    assert refused.returncode == 2
    assert "line 1 has no label" in refused.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b yes\n", "line 1: label 'yes' is none of target, nontarget, 1, 0"),
        ("a b 1\na\n", "line 2 is no trial"),
        ("1 a b\n0 a\n", "line 2 is no trial; write: 1|0 ENROLL TEST, as in line 1"),
        ("1 a b\na b 1\n", "line 2: label 'a' is none of 1, 0"),
        ("\n", "names no trial"),
    ],
)
def test_bad_trials_are_refused(
    rtfbench: Command, embeddings: dict[str, Path], tmp_path: Path, content: str, message: str
) -> None:
    """A list that cannot be read ends with status 2 and one line."""
    (tmp_path / "t").write_text(content)
    done = rtfbench("score", "--trials", tmp_path / "t", "--embeddings", embeddings["mnn"])
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_embeddings_of_two_lengths_or_twice_are_refused(rtfbench: Command, tmp_path: Path) -> None:
    """Embeddings that do not belong together are never compared."""
    (tmp_path / "t").write_text("a b\n")
    for content, message in (("a 1 2\nb 1\n", "'b' has 1 values"), ("a 1\na 2\n", "'a' twice")):
        (tmp_path / "e.txt").write_text(content)
        done = rtfbench("score", "--trials", tmp_path / "t", "--embeddings", tmp_path / "e.txt")
        assert done.returncode == 2
        assert message in done.stderr


def test_run_reports_the_eer_of_each_cell(
    rtfbench: Command, embeddings: dict[str, Path], trials: Path, tmp_path: Path
) -> None:
    """A run with trials has each cell's EER, equal to that of `extract`, and the difference."""
    out = tmp_path / "out"
    engines = ("--engine", "onnxruntime", "--engine", "mnn", "--engine", "faulty-raise")
    arguments = (
        "run",
        *MODEL,
        *engines,
        "--protocol",
        "steady",
        "--budget",
        0.1,
        "--sessions",
        1,
        "--out",
        out,
        "--bare",
    )
    rtfbench(*arguments, "--trials", trials)
    cells = json.loads((out / "summary.json").read_text())["cells"]
    stored = dict(read_embeddings(embeddings["mnn"]))
    pairs = [line.split() for line in trials.read_text().splitlines()]
    scores = [similarity(stored[a], stored[b]) for a, b, _ in pairs]
    want = eer(scores, [label == "target" for _, _, label in pairs])
    assert cells[2]["eer"] is None
    np.testing.assert_allclose([cell["eer"] for cell in cells[:2]], want)
    table = (out / "table.md").read_text()
    rows = [line for line in table.splitlines() if line.rstrip(" |").endswith("+0.0000")]
    assert len(rows) == 2
    assert rtfbench("report", out).stdout == table


@pytest.mark.parametrize(
    ("extra", "message"),
    [("nobody someone target\n", "which --audio does not hold"), ("a b\n", "has no label")],
)
def test_run_refuses_trials_that_it_cannot_answer(
    rtfbench: Command, trials: Path, tmp_path: Path, extra: str, message: str
) -> None:
    """Before anything is measured, one line says which utterance or label is missing."""
    (tmp_path / "t").write_text(trials.read_text() + extra)
    done = rtfbench("run", *MODEL, "--trials", tmp_path / "t", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("count", [500_000, pytest.param(1_000_000, marks=pytest.mark.deep)])
def test_trials_without_number_take_little_memory(tmp_path: Path, count: int) -> None:
    """A million of them take some tens of megabytes; what they amount to is right.

    As a list of tuples, half a million would take more than a million may.
    """
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((400, 16)) + 2 * np.eye(16)[np.arange(400) // 10 % 16]
    (tmp_path / "e.txt").write_text(
        "".join(f"u{i} {' '.join(map(str, v))}\n" for i, v in enumerate(vectors.tolist()))
    )
    pairs = rng.integers(400, size=(count, 2))
    target = pairs[:, 0] // 10 == pairs[:, 1] // 10
    with (tmp_path / "trials").open("w") as file:
        for (a, b), same in zip(pairs.tolist(), target.tolist(), strict=True):
            file.write(f"u{a} u{b} {int(same)}\n")
    code = (
        "import sys\nfrom rtfbench.base.memory import memory_of\n"
        "from rtfbench.commands import main\n"
        "from rtfbench.extract import score\n"
        "before = memory_of().peak_bytes\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    print(memory_of().peak_bytes - before)\n"
    )
    options = ("--trials", tmp_path / "trials", "--embeddings", tmp_path / "e.txt", "--out")
    more = (tmp_path / "s", "--resamples", "2")
    command = [sys.executable, "-c", code, "score", *map(str, (*options, *more))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    *told, taken = done.stdout.splitlines()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = np.einsum("nd,nd->n", units[pairs[:, 0]], units[pairs[:, 1]])
    assert float(told[0].split("EER ")[1].split()[0]) == pytest.approx(
        100 * eer(scores, target), abs=1e-3
    )
    assert int(taken) < 100e6
    assert (tmp_path / "s").read_text().count("\n") == count


def test_what_was_counted_as_a_speaker_is_told(rtfbench: Command, tmp_path: Path) -> None:
    """An utterance in no target trial is one of its own, and --utt2spk knows better."""
    rng = np.random.default_rng(0)
    names = [f"s{i}-{j}" for i in range(12) for j in range(2)]
    lines = (f"{n} {' '.join(map(str, rng.standard_normal(8)))}\n" for n in names)
    (tmp_path / "e.txt").write_text("".join(lines))
    trials = [f"s{i}-0 s{i}-1 target\n" for i in range(8)]
    trials += [f"s{i}-0 s{j}-1 nontarget\n" for i in range(12) for j in range(12) if i != j]
    (tmp_path / "t").write_text("".join(trials))
    options = (
        *("score", "--trials", tmp_path / "t", "--embeddings", tmp_path / "e.txt"),
        *("--out", tmp_path / "s", "--resamples", 50),
    )
    done = rtfbench(*options)
    assert "95 % over 16 speakers" in done.stdout
    assert "8 of these speakers are utterances in no target trial" in done.stdout
    (tmp_path / "u").write_text("".join(f"{n} {n.split('-')[0]}\n" for n in names))
    done = rtfbench(*options, "--utt2spk", tmp_path / "u")
    assert "95 % over 12 speakers" in done.stdout
    assert "no target trial" not in done.stdout
    (tmp_path / "u").write_text("s0-0 s0\n")
    done = rtfbench(*options, "--utt2spk", tmp_path / "u")
    assert (done.returncode, "does not say whose" in done.stderr) == (2, True)
