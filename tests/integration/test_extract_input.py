"""What `extract` refuses: each in one line, before anything is computed."""

from pathlib import Path

import pytest

from .extraction import MODEL, Command, write_list


def test_resume_refuses_what_does_not_fit(
    rtfbench: Command, recordings: list[Path], expected: str, tmp_path: Path
) -> None:
    """Another list or setting, a duplicate and a damaged line are refused; nothing is lost."""
    scp = write_list(tmp_path / "wav.scp", [*recordings[:3], tmp_path / "none"])
    result, part = tmp_path / "e.txt", tmp_path / "e.txt.part"
    arguments = ("extract", "--wav-scp", scp, "--result", result, "--resume")
    assert rtfbench(*arguments, *MODEL, "--strict").returncode == 1
    good = part.read_text()
    first, second, _ = good.splitlines(keepends=True)
    other = write_list(tmp_path / "other.scp", recordings[:2])
    cases: list[tuple[str, tuple[object, ...], str]] = [
        (good, (*MODEL, "--wav-scp", other), "'u2', which the list does not name"),
        (good, (*MODEL, "--samples-per-chunk", 8000), "samples per chunk 4000, not 8000"),
        (good, (*MODEL, "--engine", "mnn"), "engine onnxruntime, not mnn"),
        (good, (*MODEL, "--resample"), "resampling False, not True"),
        (first + first, MODEL, "utterance 'u0' twice"),
        (first + "u1 0.5 x\n", MODEL, "line 2 is damaged"),
        (first + "u1 0.5\n", MODEL, "line 2 has another length"),
    ]
    for content, options, message in cases:
        part.write_text(content)
        refused = rtfbench(*arguments, *options)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert part.read_text() == content
    part.write_text(first + second)
    assert rtfbench(*arguments, *MODEL).returncode == 1
    assert result.read_text().splitlines() == expected.splitlines()[:3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("u1 a.wav\nu1 b.wav\n", "lines 1 and 2 are both 'u1'; rename one"),
        ("u1 a.wav\nu2 sox a.wav -t wav - |\n", "line 2 is a command, and commands are not run"),
        ("u1 a.wav\nu2\n", "line 2 has no path"),
        ("\r\n \n", "names no audio"),
    ],
)
def test_a_list_that_cannot_be_followed_is_refused_at_once(
    rtfbench: Command, tmp_path: Path, content: str, message: str
) -> None:
    """Before anything is computed, one line names the list, the line and the cure."""
    (tmp_path / "wav.scp").write_text(content)
    done = rtfbench(
        "extract", "--wav-scp", tmp_path / "wav.scp", *MODEL, "--result", tmp_path / "e.txt"
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"rtfbench: {tmp_path / 'wav.scp'}: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["wav.scp"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--wav-scp LIST or with --wav PATH"),
        (("--wav", "a.wav", "--wav-scp", "b.scp"), "--wav-scp LIST or with --wav PATH"),
        (("--wav-scp", "none.scp"), "none.scp: does not exist"),
        (("--wav", "a.wav", "--model", "resnet43"), "resnet34"),
        (("--wav", "a.wav", "--model", "none.onnx"), "none.onnx"),
        (("--wav", "a.wav", "--engine", "onnx"), "onnxruntime"),
        (("--wav", "a.wav", "--engine", "mnn[precision=purple]"), "normal, low, high"),
        (("--wav", "a.wav", "--engine", "faulty-missing", "--model", "xvec"), "pip install it"),
        (("--wav", "a.wav", "--samples-per-chunk", "100"), "too short for one frame"),
        (("--wav", "a.wav", "--threads", "4096"), "--threads 4096"),
        (("--wav", "a.wav", "--resume"), "need --result"),
        (("--wav", "a.wav", "--model", "xvec", "--result", "/dev/null/e"), "cannot write"),
        (("--wav", "a.wav", "--engine", "mnn-mini", "--samples-per-chunk", "-1"), "static"),
        (
            ("--wav", "a.wav", "--engine", "mnn-mini", "--form", "dynamic", "--model", "xvec"),
            "mnn-mini needs a static model",
        ),
    ],
)
def test_bad_input_is_one_line(
    rtfbench: Command, spawned: Command, options: tuple[str, ...], message: str
) -> None:
    """Bad input ends with status 2 and a line that names the cure."""
    # The plug-ins are installed where a process of its own is started, so one case runs there.
    command = spawned if "faulty-missing" in options else rtfbench
    done = command("extract", "--model", "resnet34", "--weights", "seeded", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
