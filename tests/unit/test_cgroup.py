"""What is read of control groups, from folders that stand in for a machine's."""

from pathlib import Path

import pytest

from rtfbench.base.core_count import Cores, core_count, cores_here, cpu_limit, throttled_s
from rtfbench.measure.machine.health import advise, read_counters

V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/cpu,cpuacct"


def write(root: Path, path: str, text: str) -> None:
    """Write one file of a machine."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def v1_quota(root: Path, group: str, quota: object, period: object = 100_000) -> None:
    """Give a group of version 1 a quota, in its two files."""
    write(root, f"{group}/cpu.cfs_quota_us", f"{quota}\n")
    write(root, f"{group}/cpu.cfs_period_us", f"{period}\n")


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    """Return a machine of version 2 alone; its process is in /a/b."""
    write(tmp_path, f"{V2}/cgroup.controllers", "cpu memory\n")
    write(tmp_path, "proc/self/cgroup", "0::/a/b\n")
    return tmp_path


@pytest.mark.parametrize(
    ("cores", "count"), [(0.5, 1), (1.0, 1), (1.5, 1), (2.0, 2), (2.9, 2), (64.0, 64), (99.0, 64)]
)
def test_a_quota_is_rounded_down_to_one_at_least(cores: float, count: int) -> None:
    """What a quota is not enough for would be throttled; nothing runs on no core."""
    assert Cores(64, cores).count == count


@pytest.mark.parametrize(("quota", "cores"), [(50_000, 0.5), (150_000, 1.5), (200_000, 2.0)])
def test_both_versions_tell_the_same_limit(tmp_path: Path, quota: int, cores: float) -> None:
    """Quota over period, in one file or in two."""
    write(tmp_path / "v2", f"{V2}/cpu.max", f"{quota} 100000\n")
    v1_quota(tmp_path / "v1", V1, quota)
    assert cpu_limit(tmp_path / "v2") == cpu_limit(tmp_path / "v1") == cores


def test_affinity_and_quota_are_counted_together(tmp_path: Path) -> None:
    """The smaller of both is the count, and here there is one of this process."""
    free = cores_here(tmp_path)
    assert (free.count, free.limited) == (free.allowed, False)
    write(tmp_path, f"{V2}/cpu.max", "50000 100000\n")
    assert (cores_here(tmp_path).count, cores_here(tmp_path).limited) == (1, True)
    assert core_count() == cores_here().count


def test_a_refusal_names_the_quota_where_that_is_the_reason() -> None:
    """With fewer cores asked for, or a quota that is enough, the quota is not the reason."""
    assert Cores(64, 2.5).told(2) == "this process may use 2 cores of 64 (its CPU quota is 2.5)"
    assert Cores(64, 0.5).told(1) == "this process may use 1 core of 64 (its CPU quota is 0.5)"
    assert Cores(64, 2.5).told(1) == "this process may use 1 core"
    assert Cores(2, 2.0).told(2) == Cores(2).told(2) == "this process may use 2 cores"


def test_the_smallest_limit_of_all_groups_above_counts(v2: Path) -> None:
    """A limit holds for the groups below it; those beside it are others'."""
    write(v2, f"{V2}/a/b/cpu.max", "400000 100000\n")
    assert cpu_limit(v2) == 4.0
    write(v2, f"{V2}/a/cpu.max", "150000 100000\n")
    write(v2, f"{V2}/a/other/cpu.max", "10000 100000\n")
    assert cpu_limit(v2) == 1.5
    write(v2, f"{V2}/a/b/cpu.max", "50000 100000\n")
    assert cpu_limit(v2) == 0.5


def test_version_1_looks_at_the_groups_above_as_well(tmp_path: Path) -> None:
    """The process's group is that of the CPU controller, not that of memory."""
    write(tmp_path, "proc/self/cgroup", "5:memory:/other\n4:cpu,cpuacct:/a/b\n1:name=systemd:/\n")
    v1_quota(tmp_path, f"{V1}/a/b", -1)
    v1_quota(tmp_path, f"{V1}/a", 300_000)
    v1_quota(tmp_path, f"{V1}/other", 10_000)
    v1_quota(tmp_path, V1, -1)
    assert cpu_limit(tmp_path) == 3.0


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct", "cpuacct,cpu"])
def test_a_hybrid_machine_has_its_limit_in_version_1(tmp_path: Path, mount: str) -> None:
    """Version 2 is mounted beside it, without the controller of CPU time."""
    write(tmp_path, "proc/self/cgroup", f"3:{mount}:/job\n0::/job\n")
    write(tmp_path, f"{V2}/unified/cgroup.controllers", "\n")
    write(tmp_path, f"{V2}/unified/job/cpu.stat", "usage_usec 5\n")
    v1_quota(tmp_path, f"{V2}/{mount}/job", 150_000)
    write(tmp_path, f"{V2}/{mount}/job/cpu.stat", "nr_throttled 3\nthrottled_time 2000000000\n")
    assert cpu_limit(tmp_path) == 1.5
    assert throttled_s(tmp_path) == pytest.approx(2.0)


@pytest.mark.parametrize("path", ["/docker/4f1c", "/../other", "/" + "x" * 200])
def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, path: str) -> None:
    """The path is the host's: where it is not visible, the root's files are the container's own."""
    write(tmp_path / "v1", "proc/self/cgroup", f"4:cpu,cpuacct:{path}\n")
    v1_quota(tmp_path / "v1", V1, 50_000)
    # A container within the container: a group below, not above.
    v1_quota(tmp_path / "v1", f"{V1}/docker", 10_000)
    write(tmp_path / "v2", "proc/self/cgroup", f"0::{path}\n")
    write(tmp_path / "v2", f"{V2}/cgroup.controllers", "cpu\n")
    write(tmp_path / "v2", f"{V2}/cpu.max", "50000 100000\n")
    write(tmp_path / "v2", f"{V2}/docker/cpu.max", "10000 100000\n")
    assert cpu_limit(tmp_path / "v1") == cpu_limit(tmp_path / "v2") == 0.5


def test_a_group_called_as_a_mount_of_version_1_is_none(v2: Path) -> None:
    """Where version 2 is alone, `cpu` and `unified` are groups of somebody else."""
    v1_quota(v2, f"{V2}/cpu", 10_000)
    write(v2, f"{V2}/unified/cpu.max", "10000 100000\n")
    assert cpu_limit(v2) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "max", "max 100000", "150000", "a b", "150000 0", "0 100000", "-1 100000",
        "-5 -5", "1 2 3", "1.5 1", "\u0661 \u0662", "9" * 5000 + " 1", "\0",
    ],
)  # fmt: skip
def test_odd_content_tells_no_limit(tmp_path: Path, text: str) -> None:
    """Whatever stands there, nothing is limited by it, and nothing breaks."""
    write(tmp_path, f"{V2}/cpu.max", text)
    write(tmp_path, f"{V2}/cpu.stat", f"throttled_usec {text}")
    write(tmp_path, "proc/self/cgroup", text)
    assert cpu_limit(tmp_path) is None
    quota, _, period = text.partition(" ")
    v1_quota(tmp_path / "v1", V1, quota, period)
    assert cpu_limit(tmp_path / "v1") is None


def test_bytes_that_are_no_text_tell_no_limit(tmp_path: Path) -> None:
    """Nor does a folder in place of a file, or no folder at all."""
    assert (cpu_limit(tmp_path), throttled_s(tmp_path)) == (None, None)
    write(tmp_path, "proc/self/cgroup", "")
    (tmp_path / "proc/self/cgroup").write_bytes(b"0::/\xff\xfe\n")
    (tmp_path / V2 / "cpu.max").mkdir(parents=True)
    (tmp_path / V2 / "cpu.stat").write_bytes(b"throttled_usec \xff\n")
    assert (cpu_limit(tmp_path), throttled_s(tmp_path)) == (None, None)


def test_throttled_time_is_added_over_the_groups(v2: Path) -> None:
    """Each group tells what its own quota did; the root of a machine tells nothing."""
    write(v2, f"{V2}/cpu.stat", "usage_usec 77\n")
    write(v2, f"{V2}/a/cpu.stat", "nr_throttled 1\nthrottled_usec 250000\n")
    write(v2, f"{V2}/a/b/cpu.stat", "usage_usec 9\nthrottled_usec 1500000\nnr_bursts 0\n")
    assert throttled_s(v2) == pytest.approx(1.75)


def test_the_doctor_reads_version_1(tmp_path: Path) -> None:
    """Its advice rests on the same limit."""
    v1_quota(tmp_path, V1, 50_000)
    (line,) = advise([0, 1], load_average_1min=0.0, root=tmp_path)
    assert "allows 0.5 cores of 2" in line


def test_a_block_counts_the_throttled_time() -> None:
    """What the groups of this process tell is what health is made of."""
    before, counted, after = throttled_s(), read_counters([]).throttled_s, throttled_s()
    assert (before is None) == (counted is None) == (after is None)
    assert (before or 0.0) <= (counted or 0.0) <= (after or 0.0)
