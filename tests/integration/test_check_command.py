"""`rtfbench check` on folders, archives and signatures."""

import json
import lzma
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from rtfbench.base.packages import ROOT
from tests.conftest import Command
from tests.unit.measure.test_check import derived

STORED = ROOT / "reports" / "zen4-avx2" / "precision"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a finished run."""
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    for name in ("records.jsonl", "environment.json"):
        shutil.copy(STORED / name, folder / name)
    derived(folder)
    return folder


def slower(run: Path) -> None:
    """Change one time of a run."""
    path = run / "records.jsonl"
    path.write_text(path.read_text().replace('"processing_ns":', '"processing_ns":1', 1))


def test_a_folder_of_runs_is_checked(rtfbench: Command, run: Path) -> None:
    """Each run below a folder has its answer; the status is the worst of them."""
    shutil.copytree(run, run.with_name("two"))
    done = rtfbench("check", run.parent)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"{run}: verified", f"{run.with_name('two')}: verified"]
    slower(run)
    done = rtfbench("check", run.parent, "--json")
    assert done.returncode == 1
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["answer"] for each in found] == ["differs", "verified"]
    (run.with_name("two") / "table.md").unlink()
    assert rtfbench("check", run.with_name("two")).returncode == 3
    (run / "environment.json").unlink()
    done = rtfbench("check", run.parent)
    assert done.returncode == 2
    assert done.stdout.startswith(f"{run.with_name('two')}: cannot be told")
    assert f"{run}: cannot be checked" in done.stderr


@pytest.mark.parametrize("kind", ["gztar", "zip"])
def test_an_archive_is_checked(rtfbench: Command, run: Path, tmp_path: Path, kind: str) -> None:
    """What was packed is checked as a folder is, and nothing of it stays."""
    archive = shutil.make_archive(str(tmp_path / "packed"), kind, run.parent)
    done = rtfbench("check", archive)
    assert (done.returncode, done.stdout) == (0, f"{archive}/one: verified\n")


def test_what_is_no_run_is_refused(rtfbench: Command, run: Path, tmp_path: Path) -> None:
    """A folder without a run, damaged archives, nothing at all: a line each, and the rest stays."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_text("no archive")
    bad = [tmp_path / "empty", tmp_path / "broken.zip", tmp_path / "nothing"]
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "tar", run)).read_bytes()
    packer = zlib.compressobj(wbits=31)
    half = packer.compress(packed[: len(packed) // 2]) + packer.flush(zlib.Z_FULL_FLUSH)
    xz = lzma.compress(packed)
    for name, content in (
        ("no-such-block.tar.gz", half + b"\x07"),
        ("ends-early.tar.gz", half),
        ("changed.tar.xz", xz[: len(xz) // 2] + bytes(8) + xz[len(xz) // 2 + 8 :]),
    ):
        bad.append(tmp_path / name)
        bad[-1].write_bytes(content)
    done = rtfbench("check", *bad, run)
    assert done.returncode == 2
    assert done.stdout == f"{run}: verified\n"
    assert len(done.stderr.splitlines()) == len(bad)
    for path, line in zip(bad, done.stderr.splitlines(), strict=True):
        assert str(path) in line


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH's ssh-keygen")
def test_a_signature_holds_for_what_was_signed(
    rtfbench: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signer of untouched records is named; other records, or another key, are not signed."""
    for name in ("mine", "other"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True
        )
    signers, others = tmp_path / "signers", tmp_path / "others"
    signers.write_text("me@example.org " + (tmp_path / "mine.pub").read_text())
    others.write_text("me@example.org " + (tmp_path / "other.pub").read_text())
    unsigned = rtfbench("check", run, "--signers", signers)
    assert unsigned.returncode == 1
    assert "no allowed signer" in unsigned.stdout
    assert rtfbench("check", run, "--signers", tmp_path / "nobody").returncode == 2
    monkeypatch.chdir(tmp_path)
    # Names are of the present folder, wherever ssh-keygen works.
    signing = rtfbench("check", "runs/one", "--sign", "mine")
    assert (signing.returncode, signing.stderr) == (0, "")
    done = rtfbench("check", "runs/one", "--signers", "signers")
    assert (done.returncode, done.stdout) == (0, "runs/one: verified, signed by me@example.org\n")
    assert rtfbench("check", run, "--signers", others).returncode == 1
    slower(run)
    derived(run)
    done = rtfbench("check", run, "--signers", signers)
    assert done.returncode == 1
    assert "no allowed signer" in done.stdout


def test_a_number_that_no_float_can_be(rtfbench: Command, run: Path) -> None:
    """Somebody wrote it into the summary: it is another one than the records say."""
    path = run / "summary.json"
    summary = json.loads(path.read_text())
    summary["cells"][0]["threads"] = 10**400
    path.write_text(json.dumps(summary))
    done = rtfbench("check", run)
    assert done.returncode == 1, done.stderr
    assert "threads" in done.stdout


def test_runs_become_a_site(rtfbench: Command, run: Path, tmp_path: Path) -> None:
    """Each is checked and has its files; what differs or cannot be read costs the others nothing.

    A folder of somebody else's is not replaced, a site only where that is asked for.
    """
    (run / "report.html").write_text("no page of these records")
    (run / "records.sig").write_text("a signature")
    (tmp_path / "broken.zip").write_text("no archive")
    site = tmp_path / "site"
    done = rtfbench("collect", tmp_path / "runs", tmp_path / "broken.zip", "--out", site)
    assert done.returncode == 2
    assert "broken.zip: cannot be unpacked" in done.stderr
    index = (site / "index.html").read_text()
    assert "<strong>differs</strong>; report.html: is not what the records say" in index
    target = site / "runs" / "runs" / "one"
    assert f'href="{target.relative_to(site)}/records.jsonl"' in index
    for name in ("records.jsonl", "environment.json", "records.sig"):
        assert (target / name).read_bytes() == (run / name).read_bytes()
    assert (target / "report.html").read_text() != (run / "report.html").read_text()
    shutil.copyfile(target / "report.html", run / "report.html")
    assert rtfbench("collect", run.parent, "--out", site).returncode == 2
    done = rtfbench("collect", run.parent, "--out", site, "--overwrite")
    assert (done.returncode, done.stdout) == (0, f"{site / 'index.html'}\n")
    assert "<strong>verified</strong>" in (site / "index.html").read_text()
    (tmp_path / "mine").mkdir()
    assert "no site of ours" in rtfbench("collect", run, "--out", tmp_path / "mine").stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "broken.zip",
        "mine",
        "runs",
        "site",
    ]
