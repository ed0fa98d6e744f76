"""`rtfbench run --cluster`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import InputError
from bench.cluster.dask_cluster import connected
from bench.cluster.executor import ClusterError
from bench.cluster.measuring import Measured
from bench.cluster.sweep import comparison, hosts_of, measure_on
from bench.commands.progress import complain, say
from bench.commands.report import report, report_hosts, write_page
from bench.measure.whole_run import BAD_INPUT, INTERRUPTED, OK, default_folder, read_summary
from bench.plan.plan_files import load_plan
from bench.results.store import SUMMARY, RunFolder
from engines.protocol import EngineError


def run_on_cluster(
    cluster: str,
    plan_path: Path | None,
    flags: dict[str, Any],
    *,
    out: Path | None,
    overwrite: bool,
    resume: bool,
    thorough: bool,
    libraries: Mapping[str, Path | None],
) -> int:
    """Run a sweep on every host of a cluster, print them side by side, return the exit status."""
    plan = load_plan(plan_path, flags)
    plan = plan.thorough() if thorough else plan
    out = out or default_folder()
    try:
        asked = comparison(plan, libraries)
    except (EngineError, ValueError) as error:
        raise InputError(str(error)) from error
    statuses: list[int] = []
    try:
        with connected(cluster, workers=1) as connection:
            hosts = hosts_of(connection, asked)
            finished = [host for host in hosts if (out / host.name / SUMMARY).exists()]
            if finished and not (resume or overwrite):
                raise InputError(
                    f"{out / finished[0].name} holds a run already; choose another --out, or add "
                    "--resume or --overwrite"
                )
            missing = [host for host in hosts if overwrite or host not in finished]
            names = ", ".join(host.name for host in missing)
            if missing:
                say(f"measuring on {names}: up to about {plan.budget_s:.0f} s, and what it loads")
            for host, measured in measure_on(connection, missing, asked, complain):
                statuses.append(_store(out / host.name, host.name, measured))
    except KeyboardInterrupt:
        say(f"interrupted; {out} holds the runs that came back, go on with --resume")
        return INTERRUPTED
    except ClusterError as error:
        raise InputError(
            f"{error}; {out} holds the runs that came back, go on with --resume"
        ) from error
    paths = [out / host.name for host in hosts if (out / host.name / SUMMARY).exists()]
    if len(paths) > 1:
        report_hosts(paths, github_summary=False)
    elif paths:
        report(paths[0], None, github_summary=False)
    for path in paths:
        say(f"results: {path}")
    return max(statuses, default=OK)


def _store(path: Path, host: str, measured: Measured) -> int:
    """Write a run that came back, and its page; return its exit status."""
    for text in measured.notes:
        say(f"{host}: {text}")
    if measured.refusal:
        complain(f"{host}: {measured.refusal}")
        return BAD_INPUT
    folder = RunFolder.create(path, overwrite=True, resume=False)
    measured.store(folder)
    for text in write_page(folder, read_summary(folder)):
        say(text)
    return measured.status
