"""What the doctor reads of a machine, and what it advises."""

from pathlib import Path

from rtfbench.measure.machine.health import advise


def write(root: Path, **files: str) -> None:
    """Write files below a root; double underscores stand for slashes."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def test_every_advice_names_its_cure(tmp_path: Path) -> None:
    """A machine with everything against it gets a line for each."""
    write(
        tmp_path,
        sys__devices__system__cpu__cpu0__cpufreq__scaling_governor="powersave",
        sys__devices__system__cpu__cpu1__cpufreq__scaling_governor="performance",
        sys__devices__system__cpu__cpufreq__boost="1",
        sys__devices__system__cpu__cpu0__topology__thread_siblings_list="0-1",
        sys__devices__system__cpu__cpu1__topology__thread_siblings_list="0-1",
        proc__cpuinfo="flags : fpu hypervisor",
    )
    limit = tmp_path / "sys/fs/cgroup"
    limit.mkdir(parents=True)
    (limit / "cpu.max").write_text("150000 100000\n")
    lines = list(advise([0, 1], load_average_1min=2.0, root=tmp_path))
    for line, word in zip(
        lines, ("cpupower", "turbo", "taskset", "--threads at most 1", "load 2.00", "virtual"),
        strict=True,
    ):  # fmt: skip
        assert word in line
    (limit / "cpu.max").write_text("50000 100000\n")
    told = "\n".join(advise([0, 1], load_average_1min=2.0, root=tmp_path))
    assert "allows 0.5 cores of 2: even one thread is throttled; raise the limit to 1" in told


def test_a_good_machine_gets_none(tmp_path: Path) -> None:
    """Performance governor, no turbo, whole cores, no limit, nobody else."""
    write(
        tmp_path,
        sys__devices__system__cpu__cpu0__cpufreq__scaling_governor="performance",
        sys__devices__system__cpu__intel_pstate__no_turbo="1",
        sys__devices__system__cpu__cpu0__topology__thread_siblings_list="0",
        proc__cpuinfo="flags : fpu",
    )
    assert list(advise([0], load_average_1min=0.0, root=tmp_path)) == []


def test_a_silent_host_is_no_error(tmp_path: Path) -> None:
    """Containers hide these files: of what is not known there is no advice."""
    assert list(advise([0], load_average_1min=0.0, root=tmp_path)) == []
