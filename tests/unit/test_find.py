"""Finding audio: names, order, Kaldi lists of any length, and that every refusal names its cure."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rtfbench.frontends.audio import AudioError, read_audio
from rtfbench.inputs.find import Utterance, check_list, find_audio, read_list


def test_folder_is_searched_in_order(tmp_path: Path) -> None:
    """A folder gives its audio at any depth, sorted; other and hidden files are passed over."""
    for name in ("b.wav", "a/z.FLAC", "c.opus", "notes.txt", "._b.wav", "list.scp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_audio([tmp_path])
    assert [each.name for each in found] == ["z", "b", "c"]
    assert found[0] == Utterance("z", tmp_path / "a" / "z.FLAC")


def test_names_are_unique(tmp_path: Path) -> None:
    """Files that share a stem are named by their path in the folder, then by the whole path."""
    for name in ("x/a.wav", "x/b/a.wav", "x/a.flac", "x/c.wav", "y/a.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    one = find_audio([tmp_path / "x"])
    assert [each.name for each in one] == ["a.flac", "a.wav", "b/a.wav", "c"]
    two = find_audio([tmp_path / "x", tmp_path / "y"])
    whole = [(tmp_path / name).as_posix() for name in ("x/a.wav", "y/a.wav")]
    assert [each.name for each in two] == ["a.flac", whole[0], "b/a.wav", "c", whole[1]]


def test_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    """An utterance cannot be measured under one name twice."""
    (tmp_path / "a.wav").touch()
    with pytest.raises(AudioError, match="2 utterances named"):
        find_audio([tmp_path / "a.wav", tmp_path / "a.wav"])


def test_single_files_are_taken_as_they_are(tmp_path: Path) -> None:
    """A file that is named may have any ending; nothing named, nothing found."""
    (tmp_path / "a.bin").touch()
    assert find_audio([tmp_path / "a.bin"]) == (Utterance("a", tmp_path / "a.bin"),)
    assert find_audio([]) == ()


def test_nothing_to_find_is_refused(tmp_path: Path) -> None:
    """A folder without audio and a list that does not exist are errors."""
    with pytest.raises(AudioError, match=r"holds no audio; looked for .*\.wav"):
        find_audio([tmp_path])
    with pytest.raises(AudioError, match=r"none\.scp: does not exist"):
        find_audio([tmp_path / "none.scp"])


def test_a_folder_that_may_not_be_read_is_told() -> None:
    """Neither taken for an empty one nor left out."""
    user = os.geteuid()
    with TemporaryDirectory() as name:
        (closed := Path(name, "closed")).mkdir()
        Path(name, "a.wav").touch()
        Path(name).chmod(0o755)
        closed.chmod(0)
        os.seteuid(user or 65534)  # root reads everything
        try:
            with pytest.raises(AudioError, match=r"closed: cannot be read \(Permission denied\)"):
                find_audio([Path(name)])
        finally:
            os.seteuid(user)


def test_a_missing_file_is_found_and_cannot_be_read(tmp_path: Path) -> None:
    """A file that does not exist is the error of its own utterance, alone or in a list."""
    scp = tmp_path / "wav.scp"
    scp.write_text("u1 none.wav\nu2 there.wav\n")
    (tmp_path / "there.wav").touch()
    assert find_audio([scp]) == (
        Utterance("u1", Path("none.wav")),
        Utterance("u2", tmp_path / "there.wav"),
    )
    (alone,) = find_audio([tmp_path / "gone.wav"])
    with pytest.raises(AudioError, match=r"gone\.wav: does not exist; check the path"):
        read_audio(alone.path)


def test_a_list_is_read_entry_by_entry(tmp_path: Path) -> None:
    """An entry is there before the next line is looked at; the check looks at all of them."""
    scp = tmp_path / "wav.scp"
    scp.write_text("u1 a.wav\nu2 b.wav\nu3\n")
    entries = read_list(scp)
    assert [next(entries).name, next(entries).name] == ["u1", "u2"]
    with pytest.raises(AudioError, match="line 3 has no path"):
        next(entries)
    with pytest.raises(AudioError, match="line 3 has no path"):
        check_list(scp)
    scp.write_text("".join(f"u{number} a.wav\n" for number in range(1000)))
    assert check_list(scp) == 1000


def test_wav_scp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list may have spaces in paths, tabs, blank lines, a BOM and Windows line ends."""
    for name in ("here/b c.wav", "lists/d.wav", "e.wav", "here/both.wav", "lists/both.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    text = f"\ufeffutt1 b c.wav\r\n\r\n  utt2\td.wav \r\nutt3  {tmp_path}/e.wav\nutt4 both.wav"
    scp = tmp_path / "lists" / "wav.scp"
    scp.write_bytes(text.encode())
    monkeypatch.chdir(tmp_path / "here")
    assert find_audio([scp]) == (
        Utterance("utt1", Path("b c.wav")),
        Utterance("utt2", tmp_path / "lists" / "d.wav"),
        Utterance("utt3", tmp_path / "e.wav"),
        Utterance("utt4", Path("both.wav")),
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"u1 a.wav\nu2 sox a.wav -t wav - |\n", "line 2 is a command, and commands are not run"),
        (b"u1 a.wav\n\nu1 a.wav\n", "lines 1 and 3 are both 'u1'; rename one"),
        (b"u1 a.wav\nu2\n", "line 2 has no path"),
        (b"\r\n\n", "names no audio"),
        (b"u1 \xff.wav\n", "is not UTF-8"),
    ],
)
def test_bad_wav_scp(tmp_path: Path, content: bytes, message: str) -> None:
    """A list that cannot be followed is refused with the line."""
    (tmp_path / "a.wav").touch()
    scp = tmp_path / "wav.scp"
    scp.write_bytes(content)
    with pytest.raises(AudioError) as caught:
        find_audio([scp])
    assert str(caught.value).startswith(f"{scp}: ")
    assert message in str(caught.value)
