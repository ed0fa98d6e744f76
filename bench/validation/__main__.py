"""python -m bench.validation --out reports: test the method and write what was found.

Runs are kept as they end (FOLDER/findings.jsonl), so that an interrupted validation goes on.
"""

import argparse
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import audio_input, environment
from bench.audio_input import read_source
from bench.cache import replacing
from bench.messages import Source
from bench.plan import Plan, expand
from bench.records import Cell
from bench.report import markdown
from bench.session import Settings
from bench.store import RunFolder
from bench.validation import document, simulate
from bench.validation.machine import Finding, Short, run_once

#: How many short runs; 60 let a rate of 5 % be told from one of 15 %.
RUNS = 60
#: How many utterances of the package's speech, the shortest.
UTTERANCES = 4


class Said:
    """Progress as plain lines on standard error."""

    def phase(self, text: str) -> None:
        """Say nothing: a run is a line."""

    def advance(self, done: float) -> None:
        """Say nothing, as above."""


def main() -> None:
    """Validate, and write `validation.md` and `validation.png`."""
    parser = argparse.ArgumentParser(prog="python -m bench.validation", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/validation"))
    parser.add_argument("--work", type=Path, default=Path("runs/validation"))
    parser.add_argument("--runs", type=int, default=RUNS, help="short runs on this machine")
    parser.add_argument("--budget", type=float, default=12.0, help="seconds of measuring a run")
    parser.add_argument("--sessions", type=int, default=6, help="sessions a run")
    parser.add_argument("--trials", type=int, default=1000, help="simulated runs a method")
    parser.add_argument("--model", default="xvec")
    parser.add_argument("--engine", default="onnxruntime")
    arguments = parser.parse_args()
    short = Short(arguments.budget, arguments.sessions)
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    kept = arguments.work / "findings.jsonl"
    findings = _measure(kept, short, arguments.runs, arguments.model, arguments.engine)
    print("simulating", file=sys.stderr)
    simulated = {
        name: simulate.try_variant(name, trials=arguments.trials) for name in simulate.VARIANTS
    }
    stopping = {
        f"stopped at {precision:.0%}": simulate.try_stopping(precision, trials=arguments.trials)
        for precision in (0.02, 0.05)
    }
    text = _text(simulated | stopping, findings, short, f"{arguments.model}, {arguments.engine}")
    with replacing(arguments.out / "validation.md") as part:
        part.write_text(text, encoding="utf-8")
    with replacing(arguments.out / "validation.png") as part:
        part.write_bytes(document.picture(findings))
    print(arguments.out / "validation.md")


def _measure(kept: Path, short: Short, runs: int, model: str, engine: str) -> list[Finding]:
    """Return the findings of so many runs, those of an earlier call included."""
    findings = (
        [Finding.model_validate_json(line) for line in kept.read_text().splitlines()]
        if kept.exists()
        else []
    )
    done = {finding.run for finding in findings}
    missing = [number for number in range(runs) if number not in done]
    if not missing:
        return findings
    sources = _shortest(audio_input.check(()).sources)
    cell = _cell(model, engine)
    with kept.open("a", encoding="utf-8") as file:
        for number in missing:
            work = kept.parent / "run"
            shutil.rmtree(work, ignore_errors=True)
            folder = RunFolder.create(work, overwrite=False, resume=False)
            settings = Settings(
                folder=folder,
                sources=sources,
                progress=Said(),
                seed=number,
            )
            prepared = settings.prepare_one(cell)
            found = run_once(prepared, settings, short, number=number)
            file.writelines(each.model_dump_json() + "\n" for each in found)
            file.flush()
            findings += found
            widths = [each.half_width for each in found]
            print(
                f"run {number + 1} of {runs}: {found[0].seconds if found else 0:.0f} s, "
                f"half width {statistics.median(widths) if widths else 0:.2%}",
                file=sys.stderr,
                flush=True,
            )
    return findings


def _shortest(sources: Sequence[Source]) -> tuple[Source, ...]:
    """Return the shortest utterances, so that a short run has a block a session."""
    return tuple(sorted(sources, key=lambda source: read_source(source).duration_ns)[:UTTERANCES])


def _cell(model: str, engine: str) -> Cell:
    plan = Plan(models=(model,), engines=(engine,), protocols=("steady",))
    return expand(plan, lambda _: "dynamic")[0]


def _text(
    simulated: dict[str, simulate.Result], findings: list[Finding], short: Short, what: str
) -> str:
    host = environment.describe(audio=(), audio_s=0, weights="")
    took_s = statistics.median(each.seconds for each in findings)
    return f"""# Does the interval hold?

Written by `make validate`; every figure was measured by it. Rates have their exact 95 % interval
(Clopper and Pearson).

## Simulated machines

Times with a slow random walk, a neighbour that comes and goes at × 1.6, spikes in 8 % of the slots,
a slow start of every session and 0.5 % of luck a process; the true ratio is 1.03. Runs have
{simulate.SESSIONS} sessions of {simulate.BLOCKS} blocks. The mutations below the first row show
what its parts are for.

{document.simulation_table(simulated)}

`stopped at` are runs that end at the first of the looks (6, 12, 24 sessions) at which the interval
is that narrow.

## This machine

{what}; six cells take turns: the reference, its ghost and a twin, in which nothing
differs, and three that compute on for 3, 5 and 10 % of each call. A run measures for
{short.budget_s:g} s in {short.sessions} sessions, {took_s:.0f} s with loading.

{document.machine_table(findings)}

Half width against time, from the runs in which nothing differs; seconds count loading:

{document.width_table(findings, ("ghost", "twin"))}

![Every run's interval](validation.png)

Host: {markdown.host(host)}
"""


if __name__ == "__main__":
    main()
