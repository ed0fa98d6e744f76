"""`extract --batch`: the same embeddings, whatever shares a run, and nothing is lost by it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtfbench.base.core_count import core_count
from rtfbench.embed.embeddings import read_embeddings

from .extraction import MODEL, Command, names, write_list


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_batch_changes_no_embedding(
    rtfbench: Command, scp: Path, expected: str, tmp_path: Path, jobs: int
) -> None:
    """Within float32's rounding, the result is that of one chunk at a time, in the list's order."""
    result, alone = tmp_path / "e.txt", tmp_path / "alone.txt"
    done = rtfbench(
        *("extract", "--wav-scp", scp, *MODEL, "--batch", 8, "--jobs", jobs, "--result", result)
    )
    assert done.returncode == 0, done.stderr
    alone.write_text(expected)
    for got, want in zip(read_embeddings(result), read_embeddings(alone), strict=True):
        assert got.name == want.name
        off = np.abs(got.embedding_D - want.embedding_D).max() / np.abs(want.embedding_D).max()
        assert off < 1e-4, got.name


def test_stretches_of_files_share_batches(
    rtfbench: Command, recordings: list[Path], tmp_path: Path
) -> None:
    """Segments with --batch are what they are one at a time; one that is outside costs itself."""
    scp, segments = tmp_path / "wav.scp", tmp_path / "segments"
    scp.write_text(f"rec {recordings[0]}\n")
    segments.write_text("a rec 0 0.2\nb rec 0.05 0.2\nc rec 80 81\nd rec 0.05 0.25\n")
    found = []
    for batch in (1, 4):
        result = tmp_path / f"{batch}.txt"
        options = ("--wav-scp", scp, "--segments", segments, *MODEL, "--jobs", 1, "--batch", batch)
        done = rtfbench("extract", *options, "--result", result)
        assert done.returncode == 1, done.stderr
        found.append(list(read_embeddings(result)))
    alone, together = found
    assert [each.name for each in together] == ["a", "b", "d"]
    for got, want in zip(together, alone, strict=True):
        off = np.abs(got.embedding_D - want.embedding_D).max() / np.abs(want.embedding_D).max()
        assert off < 1e-4, got.name


def test_a_recording_that_kills_its_worker_costs_only_itself(
    rtfbench: Command, recordings: list[Path], tmp_path: Path
) -> None:
    """Those that shared its batch are embedded; it is named, and so is one that is no audio."""
    killer, broken = tmp_path / "killer.wav", tmp_path / "broken.wav"
    soundfile.write(killer, 0.1 * np.random.default_rng(0).standard_normal(1000), 16000)
    broken.write_text("no audio")
    paths = [*recordings[:6], killer, *recordings[6:9], broken, *recordings[9:12]]
    result = tmp_path / "e.txt"
    done = rtfbench(
        *("extract", "--wav-scp", write_list(tmp_path / "wav.scp", paths), "--model", "xvec"),
        *("--weights", "seeded", "--engine", "faulty-short", "--samples-per-chunk", -1),
        *("--batch", 4, "--jobs", 1, "--result", result),
    )
    assert done.returncode == 1
    assert names(result.read_text()) == [f"u{i}" for i in range(14) if i not in (6, 10)]
    assert "utterance u6: " in done.stderr
    assert "tried 2 times" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--engine", "mnn-mini"), "a static model takes one chunk at a time; leave --batch out"),
        (("--engine", "onnxruntime", "--form", "static"), "choose --form dynamic"),
        (("--engine", "faulty-first-only"), "in a batch it computes other embeddings"),
    ],
)
def test_what_takes_no_batch_is_refused(
    rtfbench: Command,
    model: Path,
    short_speech: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    message: str,
) -> None:
    """One line, the cure in it, and no result."""
    result = tmp_path / "e.txt"
    done = rtfbench(
        *("extract", "--wav", short_speech, "--model", model, *options),
        *("--batch", 4, "--result", result),
    )
    assert done.returncode == 2, done.stderr
    assert message in done.stderr.splitlines()[-1]
    assert not result.exists()


def test_jobs_are_those_that_the_cores_are_enough_for(rtfbench: Command, scp: Path) -> None:
    """Without --jobs, there are as many workers as cores may be used."""
    cores = core_count()
    extract = ("extract", "--wav-scp", scp, *MODEL[: MODEL.index("--jobs")])
    done = rtfbench(*extract)
    assert f" on {cores} job{'s' * (cores > 1)}, loading included\n" in done.stderr
    done = rtfbench(*extract, "--threads", cores)
    assert " on 1 job, loading included\n" in done.stderr
