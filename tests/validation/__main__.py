"""python -m tests.validation COMMAND: test the method, and write what was found.

Runs are kept as they end (FOLDER/*.jsonl), so that an interrupted validation goes on. Each command
writes its own sections of `validation.md` and leaves the others.
"""

import argparse
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from rtfbench.base.cache import replacing
from rtfbench.base.pace import Progress
from rtfbench.base.values import Value
from rtfbench.embed import audio_input
from rtfbench.embed.audio_input import Source
from rtfbench.measure.context import RunContext
from rtfbench.measure.machine import environment
from rtfbench.measure.schedule import draw_seed
from rtfbench.models.resolve import resolve
from rtfbench.report import about
from rtfbench.results.cells import Cell
from rtfbench.results.store import RunFolder
from rtfbench.results.summary import summarize
from tests.validation import (
    bank,
    banks,
    document,
    hours,
    register,
    simulate,
    simulated_gates,
    tried_front_ends,
    whole_gate,
)
from tests.validation.machine import IntervalFinding, Short, run_once, steady_cell
from tests.validation.trial import trial_table
from tests.validation.whole_gate import SCENARIOS, GateFinding

Kind = TypeVar("Kind", bound=Value)

#: Of the trials of figures; a test makes a few of them with another.
SEED = 0
#: How many short runs; 60 let a rate of 5 % be told from one of 15 %.
RUNS = 60
#: How many utterances of the package's speech, the shortest: for short runs, and for gates.
UTTERANCES, GATE_UTTERANCES, BANK_UTTERANCES = 4, 2, 4


def main() -> None:
    """Validate, and write `validation.md` and `validation.png`."""
    parser = argparse.ArgumentParser(prog="python -m tests.validation", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    figures = commands.add_parser("figures", help="is each printed figure as sure as it says?")
    figures.add_argument("--trials", type=int, default=200, help="simulated runs a layout")
    figures.add_argument("--only", action="append", help="a trial, by its name; repeatable")
    figures.add_argument("--out", type=Path, default=Path("runs/validation"))
    figures.add_argument("--work", type=Path, default=Path("runs/validation"))
    intervals = commands.add_parser("intervals", help="does the interval hold?")
    intervals.add_argument("--runs", type=int, default=RUNS, help="short runs on this machine")
    intervals.add_argument("--sessions", type=int, default=6, help="sessions a run")
    intervals.add_argument("--trials", type=int, default=1000, help="simulated runs a method")
    intervals.add_argument("--engine", default="onnxruntime")
    rules = commands.add_parser("rules", help="the gate's rule and others, simulated")
    rules.add_argument("--gates", type=int, default=10_000, help="simulated gates a row")
    banks = commands.add_parser("bank", help="record identical sessions, and replay gates of them")
    banks.add_argument("--sessions", type=int, default=60, help="a bank shall have; 0: replay only")
    banks.add_argument("--gates", type=int, default=2000, help="replayed gates a row")
    banks.add_argument("--only", action="append", help="a bank, by its whole name; repeatable")
    for command in (rules, banks):
        command.add_argument("--out", type=Path, default=Path("runs/validation"))
        command.add_argument("--work", type=Path, default=Path("runs/validation"))
        command.add_argument("--budget", type=float, default=60.0, help="seconds a gate")
    doctor = commands.add_parser("front-ends", help="what does the doctor of front ends name?")
    doctor.add_argument("--trials", type=int, default=80, help="planted alone, and as pairs")
    doctor.add_argument("--seed", type=int, default=SEED, help="of all that is drawn")
    doctor.add_argument("--out", type=Path, default=Path("runs/validation"))
    doctor.add_argument("--work", type=Path, default=Path("runs/validation"))
    repeats = commands.add_parser("hours", help="what do hours make of a ratio?")
    repeats.add_argument("runs", type=Path, nargs="+", help="folders of the same run, over hours")
    repeats.add_argument("--out", type=Path, default=Path("runs/validation"))
    repeats.add_argument("--work", type=Path, default=Path("runs/validation"))
    gates = commands.add_parser("gate", help="how often is the gate wrong?")
    gates.add_argument("--share", type=float, default=1.0, help="of the gates, for a first look")
    gates.add_argument("--only", default="", help="gates whose row's name begins with this")
    for command, budget_s in ((intervals, 12.0), (gates, 60.0)):
        command.add_argument("--out", type=Path, default=Path("runs/validation"))
        command.add_argument("--work", type=Path, default=Path("runs/validation"))
        command.add_argument(
            "--budget", type=float, default=budget_s, help="seconds of measuring a run or gate"
        )
        command.add_argument("--model", default="xvec" if command is intervals else "resnet34")
    gates.add_argument("--cells", type=int, default=1, choices=(1, 3), help="of a gate")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    work = {
        "figures": _figures,
        "intervals": _intervals,
        "rules": _rules,
        "bank": _banks,
        "gate": _gates,
        "hours": _hours,
        "front-ends": _front_ends,
    }
    work[arguments.command](arguments)
    print(arguments.out / "validation.md")


def _figures(arguments: argparse.Namespace) -> None:
    """Try every figure; a first look at some of the trials writes nothing."""
    rows = []
    for name, trial in register.TRIALS.items():
        if name in (arguments.only or [name]):
            _tell(f"trying {name}")
            rows += trial(arguments.trials, SEED)
    if arguments.only:
        print(trial_table(rows))
        return
    section = document.figures_section(register.FIGURES, rows)
    _write(arguments.out, {"Every figure on trial": section})


def _intervals(arguments: argparse.Namespace) -> None:
    """Simulate, and make short runs on this machine."""
    short = Short(arguments.budget, arguments.sessions)
    cell = steady_cell(arguments.model, arguments.engine)
    findings = _measure(arguments.work / "findings.jsonl", short, arguments.runs, cell)
    _tell("simulating")
    simulated = {
        name: simulate.try_variant(name, trials=arguments.trials) for name in simulate.VARIANTS
    }
    stopping = {
        f"stopped at {precision:.0%}": simulate.try_stopping(precision, trials=arguments.trials)
        for precision in (0.02, 0.05)
    }
    with replacing(arguments.out / "validation.png") as part:
        part.write_bytes(document.picture(findings))
    what = f"{arguments.model}, {arguments.engine}"
    _write(
        arguments.out,
        {
            "Simulated machines": document.simulated_section(simulated | stopping),
            "This machine": document.machine_section(
                findings, what=what, budget_s=short.budget_s, sessions=short.sessions, host=_host()
            ),
        },
    )


def _rules(arguments: argparse.Namespace) -> None:
    """Simulate the gate's rule and others, and the intervals of few sessions."""
    section = simulated_gates.section(gates=arguments.gates, budget_s=arguments.budget)
    _write(arguments.out, {"Rules compared": section})


def _banks(arguments: argparse.Namespace) -> None:
    """Record what banks lack, and replay gates from all that there are."""
    folder = arguments.out / "bank"
    for kind in banks.KINDS:
        if arguments.sessions and kind.name in (arguments.only or [kind.name]):
            context = _context(
                arguments.work, audio_input.shortest(BANK_UTTERANCES), seed=draw_seed()
            )
            banks.record_kind(
                kind, context, folder, host=_host(), sessions=arguments.sessions, tell=_tell
            )
    _tell("replaying")
    section = banks.section(
        bank.read_banks(folder), gates=arguments.gates, budget_s=arguments.budget
    )
    _write(arguments.out, {"Gates replayed": section})


def _hours(arguments: argparse.Namespace) -> None:
    """Compare runs that were made over hours."""
    folders = [RunFolder(path) for path in arguments.runs]
    runs = [summarize(each.environment(), list(each.cells().values())) for each in folders]
    _write(arguments.out, {"Hours": hours.section(runs, _host())})


def _front_ends(arguments: argparse.Namespace) -> None:
    """Plant differences of front ends, and look at right features."""
    rows = tried_front_ends.try_doctor(arguments.trials, arguments.seed, tell=_tell)
    section = document.doctor_section(rows, arguments.seed)
    _write(arguments.out, {tried_front_ends.SECTION: section})


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _gates(arguments: argparse.Namespace) -> None:
    """Run whole gates on this machine."""
    kept = arguments.work / "gates.jsonl"
    known = _kept(kept, GateFinding)
    asked = (arguments.model, arguments.cells)
    findings = [each for each in known if (each.model, each.cells) == asked]
    done = {(each.scenario, each.gate) for each in findings}
    scenarios = [each for each in SCENARIOS if each.name.startswith(arguments.only)]
    wanted = whole_gate.order(scenarios)
    wanted = wanted[: round(arguments.share * len(wanted))]
    sources = audio_input.shortest(GATE_UTTERANCES)
    with kept.open("a", encoding="utf-8") as file:
        for index, (scenario, number) in enumerate(wanted):
            if (scenario.name, number) in done:
                continue
            context = _context(arguments.work, sources, seed=draw_seed())
            found = whole_gate.run_once(
                context.prepare(resolve(whole_gate.cells(*asked))),
                context,
                scenario,
                number=number,
                budget_s=arguments.budget,
            )
            file.write(found.model_dump_json() + "\n")
            file.flush()
            findings.append(found)
            print(
                f"gate {index + 1} of {len(wanted)}: {scenario.name}: {found.answer}, "
                f"{found.seconds:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    section = document.gate_section(findings, budget_s=arguments.budget, host=_host())
    _write(arguments.out, {document.GATES_OF[arguments.cells]: section})


def _write(out: Path, sections: dict[str, str]) -> None:
    """Write these sections of the document, and leave its others as they are."""
    path = out / "validation.md"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    with replacing(path) as part:
        part.write_text(document.with_sections(before, sections), encoding="utf-8")


def _measure(kept: Path, short: Short, runs: int, cell: Cell) -> list[IntervalFinding]:
    """Return the findings of so many runs, those of an earlier call included."""
    findings = _kept(kept, IntervalFinding)
    done = {finding.run for finding in findings}
    sources = audio_input.shortest(UTTERANCES)
    with kept.open("a", encoding="utf-8") as file:
        for number in range(runs):
            if number in done:
                continue
            context = _context(kept.parent, sources, seed=number)
            prepared = context.prepare_one(resolve([cell]))
            found = run_once(prepared, context, short, number=number)
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


def _kept(path: Path, kind: type[Kind]) -> list[Kind]:
    """Return what an earlier call found."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [kind.model_validate_json(line) for line in lines]


def _context(work: Path, sources: Sequence[Source], *, seed: int) -> RunContext:
    """Return the context of a run, with a folder that is empty."""
    run = work / "run"
    shutil.rmtree(run, ignore_errors=True)
    folder = RunFolder.create(run, overwrite=False, resume=False)
    return RunContext(folder=folder, sources=tuple(sources), progress=Progress(), seed=seed)


def _host() -> str:
    return about.host(environment.describe_host(audio=(), audio_s=0, weights=""))


if __name__ == "__main__":
    main()
