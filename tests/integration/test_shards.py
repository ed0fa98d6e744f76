"""Shards from end to end: joined they are one run, and what does not fit is refused by name."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
import soundfile

from rtfbench.embed.embeddings import read_embeddings
from rtfbench.extract.shards import Shard, bounds
from rtfbench.inputs.kaldi import from_scp

from .extraction import Command, write_list

SHARDS = 5


@pytest.fixture(scope="module")
def scp(recordings: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a list of twenty recordings, one of which is not there."""
    return write_list(
        tmp_path_factory.mktemp("list") / "wav.scp", [*recordings[:12], Path("none"), *recordings]
    )


@pytest.fixture(scope="module")
def shards(
    rtfbench: Command, model: Path, scp: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a folder of five finished shards, made in another order than theirs."""
    folder = tmp_path_factory.mktemp("shards")
    for number in (4, 1, 5, 2, 3):
        options = ("--model", model, "--shard", f"{number}/{SHARDS}", "--result", folder)
        done = rtfbench("extract", "--wav-scp", scp, *options, "--jobs", 1)
        assert done.returncode == (number == 2), done.stderr
    return folder


@pytest.mark.parametrize("ending", ["txt", "npz", "scp", "parquet"])
def test_shards_joined_are_one_run(
    rtfbench: Command, model: Path, scp: Path, shards: Path, tmp_path: Path, ending: str
) -> None:
    """Every byte of the result and of its card is that of one run; failures are told again."""
    once, joined = tmp_path / f"once/e.{ending}", tmp_path / f"joined/e.{ending}"
    done = rtfbench("extract", "--wav-scp", scp, "--model", model, "--result", once)
    assert done.returncode == 1
    merged = rtfbench("merge", shards, "--result", joined)
    assert merged.returncode == 1, merged.stderr
    assert "utterance u12: none: does not exist" in merged.stderr
    assert "52 utterances of 5 shards, 1 skipped" in merged.stderr
    assert {each.name for each in joined.parent.iterdir()} == {
        each.name for each in once.parent.iterdir()
    }
    for each in joined.parent.iterdir():
        want = (once.parent / each.name).read_bytes()
        assert each.read_bytes() == want.replace(bytes(once.parent), bytes(joined.parent))


def test_a_finished_shard_costs_nothing(
    rtfbench: Command, model: Path, scp: Path, shards: Path
) -> None:
    """A job that is started again computes nothing; with --resume only what failed is tried."""
    for number, resume, told in ((3, True, "finished"), (2, False, "finished"), (2, True, "u12")):
        before = (shards / f"shard-{number:05}-of-00005.ark").read_bytes()
        options = ("--model", model, "--shard", f"{number}/{SHARDS}", "--result", shards)
        done = rtfbench("extract", "--wav-scp", scp, *options, *["--resume"] * resume)
        assert done.returncode == (number == 2)
        assert told in done.stderr
        assert "RTF" not in done.stderr
        assert (shards / f"shard-{number:05}-of-00005.ark").read_bytes() == before


def test_what_is_not_of_one_whole_is_refused(
    rtfbench: Command, model: Path, scp: Path, shards: Path, tmp_path: Path
) -> None:
    """Missing, changed, doubled and foreign shards end with status 2 and one line that names them.

    So does a shard of another list or setting that is to be written beside others.
    """

    def refusal(*arguments: object) -> str:
        done = rtfbench(*arguments)
        assert done.returncode == 2
        (line,) = (each for each in done.stderr.splitlines() if each.startswith("rtfbench: "))
        return line

    def damaged(name: str) -> Path:
        return Path(shutil.copytree(shards, tmp_path / name))

    result = ("--result", tmp_path / "e.txt")
    folder = damaged("missing")
    for number in (2, 5):
        (folder / f"shard-{number:05}-of-00005.json").unlink()
    assert "2 of 5 shards are missing: 2/5, 5/5" in refusal("merge", folder, *result)

    folder = damaged("changed")
    ark = folder / "shard-00004-of-00005.ark"
    ark.write_bytes(ark.read_bytes()[:-1])
    assert "--shard 4/5 --overwrite" in refusal("merge", folder, *result)
    ark.unlink()
    assert "shard-00004-of-00005.ark" in refusal("merge", folder, *result)

    folder = damaged("doubled")
    shutil.copy(folder / "shard-00003-of-00005.json", folder / "shard-00004-of-00005.json")
    assert "shard-00004-of-00005.json" in refusal("merge", folder, *result)

    folder = damaged("overlapping")
    manifest = folder / "shard-00003-of-00005.json"
    manifest.write_text(manifest.read_text().replace('"first": 21', '"first": 19'))
    assert "utterances 20 to 21 of the list are there twice" in refusal("merge", folder, *result)

    folder = damaged("mixed")
    options = ("--model", model, "--shard", "1/5", "--result", folder)
    other = ("--samples-per-chunk", 4000)
    beside = refusal("extract", "--wav-scp", scp, *options, *other)
    assert "samples per chunk 32000, not 4000" in beside
    assert rtfbench("extract", "--wav-scp", scp, *options, *other, "--overwrite").returncode == 0
    assert "samples per chunk 32000, not 4000" in refusal("merge", folder, *result)

    (tmp_path / "other.scp").write_text(scp.read_text() + f"more {tmp_path}\n")
    options = ("--model", model, "--shard", "1/5", "--result", shards)
    assert "list" in refusal("extract", "--wav-scp", tmp_path / "other.scp", *options)

    own = ("--result", shards / "shard-00001-of-00005.ark", "--overwrite")
    assert "would replace a shard" in refusal("merge", shards, *own)
    assert "holds no finished shard" in refusal("merge", tmp_path, *result)
    assert not (tmp_path / "e.txt").exists()
    for wrong in ("0/3", "4/3", "3", "a/b"):
        assert "need a part like 3/32" in refusal(
            *("extract", "--wav-scp", scp, "--model", model, "--shard", wrong, *result)
        )


def test_more_shards_than_utterances(
    rtfbench: Command, model: Path, recordings: list[Path], tmp_path: Path
) -> None:
    """Empty shards are finished shards."""
    scp = write_list(tmp_path / "wav.scp", recordings[:2])
    for number in range(1, 5):
        options = ("--model", model, "--shard", f"{number}/4", "--result", tmp_path / "shards")
        assert rtfbench("extract", "--wav-scp", scp, *options).returncode == 0
    assert rtfbench("merge", tmp_path / "shards", "--result", tmp_path / "e.npz").returncode == 0
    assert [name for name, _ in read_embeddings(tmp_path / "e.npz")] == ["u0", "u1"]
    kept = rtfbench("merge", tmp_path / "shards", "--result", tmp_path / "e.npz")
    assert kept.returncode == 2
    assert "--overwrite" in kept.stderr


@pytest.mark.parametrize("lengths", ["utt2dur", "utt2num_frames", ""])
@pytest.mark.parametrize("of", [1, 3, 7, 60])
def test_shards_part_the_list(
    recordings: list[Path], tmp_path: Path, lengths: str, of: int
) -> None:
    """Every entry is in one shard; where lengths are known, shards are equally long but for one."""
    scp = write_list(tmp_path / "wav.scp", recordings)
    seconds = [soundfile.info(each).duration for each in recordings]
    unit = 0.01 if lengths == "utt2num_frames" else 1.0
    if lengths:
        text = "".join(f"u{i} {each / unit:.2f}\n" for i, each in enumerate(seconds))
        (tmp_path / lengths).write_text(text)
    listing = from_scp(scp)
    ends = [bounds(listing, Shard(number=n, of=of)) for n in range(1, of + 1)]
    assert [first for first, _ in ends] == [0, *(stop for _, stop in ends[:-1])]
    assert ends[-1][1] == 40
    taken = [listing.part(*each) for each in ends]
    assert [u.name for part in taken for u in part.utterances()] == [f"u{i}" for i in range(40)]
    assert [n for part in taken for n in part.names()] == [f"u{i}" for i in range(40)]
    if lengths:
        sums = [sum(seconds[first:stop]) for first, stop in ends]
        assert max(sums) - min(sums) <= 2 * max(seconds)
    else:
        assert max(stop - first for first, stop in ends) == -(-40 // of)


def test_lengths_of_another_list_are_left_alone(recordings: list[Path], tmp_path: Path) -> None:
    """Where the lengths do not follow the list, shards are equal in number."""
    scp = write_list(tmp_path / "wav.scp", recordings)
    (tmp_path / "utt2dur").write_text("".join(f"u{i} 1\n" for i in range(30)) + "u31 100\n")
    assert bounds(from_scp(scp), Shard(number=1, of=2)) == (0, 20)


def test_shards_of_two_tar_files_are_not_joined(
    rtfbench: Command, model: Path, recordings: list[Path], tmp_path: Path
) -> None:
    """Tar files of one name and size are told apart, by their members and by what was made."""
    content = recordings[0].read_bytes()
    for number, name in enumerate(("u1.wav", "u2.wav", "u3.wav", "u2.wav")):
        (tmp_path / str(number // 2)).mkdir(exist_ok=True)
        with tarfile.open(tmp_path / str(number // 2) / "a.tar", "a") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    folder, result = tmp_path / "shards", ("--result", tmp_path / "e.txt")
    for number in (0, 1):
        tar_path = tmp_path / str(number) / "a.tar"
        options = ("--model", model, "--shard", f"{number + 1}/2", "--result", folder)
        done = rtfbench("extract", "--input", tar_path, *options)
        assert done.returncode == 0, done.stderr
    refused = rtfbench("merge", folder, *result)
    assert refused.returncode == 2
    assert "does not belong to" in refused.stderr
    # Even if somebody says that the lists are one.
    first, second = (each for each in sorted(folder.glob("shard-*.json")) if "ark" not in each.name)
    lists = [json.loads(each.read_text())["list_sha256"] for each in (first, second)]
    second.write_text(second.read_text().replace(lists[1], lists[0]))
    assert rtfbench("merge", folder, *result).returncode == 0  # u1 and u2: no double
    second.write_text(second.read_text().replace('"done": 1', '"done": 2'))
    refused = rtfbench("merge", folder, *result, "--overwrite")
    assert (refused.returncode, "holds 1 embeddings" in refused.stderr) == (2, True)


def test_an_utterance_of_two_shards_is_refused(
    rtfbench: Command, model: Path, recordings: list[Path], tmp_path: Path
) -> None:
    """What two shards both hold is told by name, with both shards; no result is written."""
    folder = tmp_path / "shards"
    for number, order in enumerate(([0, 1], [1, 0]), start=1):
        scp = tmp_path / "wav.scp"
        scp.write_text("".join(f"u{i} {recordings[i]}\n" for i in order))
        options = ("--model", model, "--shard", f"{number}/2", "--result", folder)
        assert rtfbench("extract", "--wav-scp", scp, *options).returncode == 0
    manifests = [folder / f"shard-{number:05}-of-00002.json" for number in (1, 2)]
    lists = [json.loads(each.read_text())["list_sha256"] for each in manifests]
    manifests[1].write_text(manifests[1].read_text().replace(lists[1], lists[0]))
    for ending in ("txt", "npz", "ark", "parquet"):
        refused = rtfbench("merge", folder, "--result", tmp_path / f"e.{ending}")
        assert refused.returncode == 2
        assert "shards 1/2 and 2/2 both hold utterance 'u0'" in refused.stderr
        assert not (tmp_path / f"e.{ending}").exists()


def test_a_begun_shard_goes_on_with_its_list_alone(
    rtfbench: Command, model: Path, recordings: list[Path], tmp_path: Path
) -> None:
    """A shard that was interrupted is not gone on with from another list of the same names."""
    folder, scp = tmp_path / "shards", tmp_path / "wav.scp"
    scp.write_text(f"u0 {recordings[0]}\nu1 {recordings[1]}\n")
    options = ("--wav-scp", scp, "--model", model, "--shard", "1/1", "--result", folder)
    scp.write_text(f"u0 {recordings[0]}\nu1 none\n")
    assert rtfbench("extract", *options, "--strict").returncode == 1
    assert (folder / "shard-00001-of-00001.ark.part").exists()
    scp.write_text(f"u0 {recordings[2]}\nu1 {recordings[1]}\n")
    refused = rtfbench("extract", *options, "--resume")
    assert refused.returncode == 2
    assert "was begun with list " in refused.stderr
    scp.write_text(f"u0 {recordings[0]}\nu1 none\n")
    assert "u1" in rtfbench("extract", *options, "--resume").stderr


def test_more_shards_than_five_digits_can_count(
    rtfbench: Command, model: Path, recordings: list[Path], tmp_path: Path
) -> None:
    """A shard of 100000 is found; those that are missing are counted and not listed."""
    scp = write_list(tmp_path / "wav.scp", recordings[:1])
    folder = tmp_path / "shards"
    options = ("--wav-scp", scp, "--model", model, "--result", folder)
    assert rtfbench("extract", *options, "--shard", "100000/100000").returncode == 0
    missing = rtfbench("merge", folder, "--result", tmp_path / "e.txt")
    assert "99999 of 100000 shards are missing: 1/100000" in missing.stderr
    manifest = folder / "shard-100000-of-100000.json"
    text = manifest.read_text().replace('"number": 100000', '"number": 1')
    (folder / "shard-00001-of-100000.json").write_text(text)
    missing = rtfbench("merge", folder, "--result", tmp_path / "e.txt")
    assert "99998 of 100000 shards are missing" in missing.stderr


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('"of": 5', f'"of": 1{"0" * 30}'),
        ('"number": 1,', '"number": -1,'),
        ('"first": 0', '"first": -7'),
        ('"entries": 10', '"entries": 9'),
        ('"done": 10', '"done": 11'),
        ('"list_entries": 53', '"list_entries": 54'),
    ],
)
def test_edited_manifests_are_refused(
    rtfbench: Command, shards: Path, tmp_path: Path, was: str, now: str
) -> None:
    """Whatever number somebody writes into one: one line, and no result."""
    folder = Path(shutil.copytree(shards, tmp_path / "shards"))
    for manifest in folder.glob("shard-*.json"):
        if ".ark." not in manifest.name and '"of": ' in now:
            manifest.write_text(manifest.read_text().replace(was, now))
    first = folder / "shard-00001-of-00005.json"
    text = first.read_text()
    assert (was in text) or '"of": ' in now, text
    first.write_text(text.replace(was, now))
    refused = rtfbench("merge", folder, "--result", tmp_path / "e.txt")
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) <= 2
    assert not (tmp_path / "e.txt").exists()


def test_a_front_end_that_is_none_is_no_traceback(
    rtfbench: Command, shards: Path, tmp_path: Path
) -> None:
    """Somebody wrote it into a manifest."""
    folder = Path(shutil.copytree(shards, tmp_path / "shards"))
    manifest = folder / "shard-00001-of-00005.json"
    text = manifest.read_text()
    assert '"front_end": ""' in text
    manifest.write_text(text.replace('"front_end": ""', '"front_end": "x"'))
    refused = rtfbench("merge", folder, "--result", tmp_path / "e.txt")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert f"{manifest}: is no manifest of a shard" in refused.stderr


@pytest.mark.parametrize("edit", [("{", "("), ('"front_end": ""', '"front_end": "x"')])
def test_nothing_is_added_to_a_result_with_a_damaged_card(
    rtfbench: Command, model: Path, short_speech: Path, tmp_path: Path, edit: tuple[str, str]
) -> None:
    """It may be another model's; whoever knows deletes the card, or starts again."""
    result = tmp_path / "e.npz"
    extract = ("extract", "--wav", short_speech, "--model", model, "--result", result)
    assert rtfbench(*extract).returncode == 0
    card, whole = tmp_path / "e.npz.json", result.read_bytes()
    assert edit[0] in card.read_text()
    card.write_text(card.read_text().replace(*edit))
    refused = rtfbench(*extract, "--resume")
    assert refused.returncode == 2
    assert f"{card}: is damaged" in refused.stderr.splitlines()[-1]
    assert result.read_bytes() == whole
    card.unlink()
    assert rtfbench(*extract, "--resume").returncode == 0
