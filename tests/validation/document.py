"""`reports/validation.md` and its picture: what the validation found, with the number of runs."""

import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO

from rtfbench.gate.baseline import MARGIN, MAX_REGRESSION
from rtfbench.report.markdown import grid
from rtfbench.report.palette import BLUE, RED
from tests.validation import simulate, tried_front_ends
from tests.validation.machine import IntervalFinding
from tests.validation.rates import rate
from tests.validation.register import Figure
from tests.validation.simulate import Result
from tests.validation.trial import Tried, trial_table
from tests.validation.whole_gate import IDENTICAL, SCENARIOS, SHAPES, GateFinding

HEAD = """# Can it be believed?

Written by `make validate` and `make validate-gate`; every figure was measured by them. Rates have
their exact 95 % interval (Clopper and Pearson).
"""
#: Whole gates, by the number of their cells.
GATES_OF = {1: "Whole gates of one cell", 3: "Whole gates of three cells"}
#: In this order they stand in the document.
SECTIONS = (
    *(
        "Every figure on trial",
        "Simulated machines",
        "This machine",
        "Rules compared",
        "Gates replayed",
    ),
    *GATES_OF.values(),
    *("Hours", tried_front_ends.SECTION),
)


def with_sections(before: str, sections: Mapping[str, str]) -> str:
    """Return the document with these sections new and its others as they were."""
    parts = re.split(r"^## (.+)\n", before, flags=re.MULTILINE)[1:]
    known = {title: text.strip() for title, text in zip(parts[::2], parts[1::2], strict=True)} | {
        title: text.strip() for title, text in sections.items()
    }
    written = [f"## {title}\n\n{known[title]}\n" for title in SECTIONS if title in known]
    return "\n".join([HEAD, *written])


def figures_section(figures: Sequence[Figure], rows: Sequence[Tried]) -> str:
    """Return what is printed, by which trial it is tried, and what the trials found."""
    lines = [["figure", "of", "how sure", "trial"]]
    lines += [[each.name, each.estimator, each.interval, each.trial] for each in figures]
    outside = sum(not row.within for row in rows)
    return f"""
What has an uncertainty, is a quantile or a verdict, and the trial that tries it; a test fails on a
figure that none tries.

{grid(lines, [False] * 4)}

The trials, by the code that prints the figures. Machines have a luck a process of 0.5 to 5 % and a
noise a slot of 1 to 10 %; `layouts` are the extremes of sessions cut into 1 to 4 blocks and 1 or 3
portions. Of {len(rows)} lines, {outside} {"is" if outside == 1 else "are"} not as promised.

{trial_table(rows)}
"""


def doctor_section(rows: Sequence[Tried], seed: int) -> str:
    """Return what the doctor of front ends named."""
    return f"""
`rtfbench frontend check` on recordings of the package, with a pause and a constant: a step of one
of {len(tried_front_ends.OURS)} front ends differs, of {len(tried_front_ends.STEPS)} that can, or
two do, with values on and off those that are tried; right is whoever names these and no other. What
moves features by less than {tried_front_ends.SEEN:g}, as a root mean square, is not planted. Right
features are those of kaldi-native-fbank and torch, whole and rounded. Drawn with `--seed {seed}`.

{trial_table(rows)}
"""


def simulated_section(results: dict[str, Result]) -> str:
    """Return what was found on simulated machines."""
    return f"""
Times with a slow random walk, a neighbour that comes and goes at × 1.6, spikes in 8 % of the slots,
a slow start of every session and 0.5 % of luck a process; the true ratio is 1.03. Runs have
{simulate.SESSIONS} sessions of {simulate.BLOCKS} blocks. The mutations below the first row show
what its parts are for.

{simulation_table(results)}

`stopped at` are runs that end at the first of the looks (6, 12, 24 sessions) at which the interval
is that narrow.
"""


def machine_section(
    findings: Sequence[IntervalFinding], *, what: str, budget_s: float, sessions: int, host: str
) -> str:
    """Return what short runs on this machine found."""
    took_s = statistics.median(each.seconds for each in findings)
    same = [each for each in findings if each.true_ratio == 1]
    missed = [each for each in findings if each.true_ratio > 1 and not each.holds]
    above = sum(each.low > each.true_ratio for each in missed)
    return f"""
{what}: six cells take turns. In the reference, its ghost and a twin nothing differs; three
compute on for 3, 5 and 10 % of each call. A run measures for {budget_s:g} s in {sessions} sessions,
{took_s:.0f} s with loading.

{machine_table(findings)}

Called different though nothing differs: {rate(sum(each.differs for each in same), len(same))}.

The injected share is the least that is added: computing between an engine's calls may slow the next
call too. Of {len(missed)} intervals of the slowed cells that miss, {above} lie above the share.

Half width against time, from the runs in which nothing differs; seconds count loading:

{width_table(findings, ("ghost", "twin"))}

![Every run's interval](validation.png)

Host: {host}
"""


def gate_section(findings: Sequence[GateFinding], *, budget_s: float, host: str) -> str:
    """Return how often whole gates of one model and so many cells were right."""
    first = findings[0]
    shapes = ", ".join(f"{engine} at {size} samples" for engine, size in SHAPES[: first.cells])
    same = [each for each in findings if each.scenario.startswith(IDENTICAL)]
    alarms = rate(sum(bool(each.elsewhere) for each in findings), len(findings))
    false_alarms = rate(sum(bool(each.elsewhere) for each in same), len(same))
    seconds = [each.seconds for each in findings]
    return f"""
{first.model}: {shapes}; five times of each are gated. Margin {MARGIN:.0%},
`--max-regression {MAX_REGRESSION:.0%}`, at most {budget_s:g} s. In the slowed ones, the first
cell's candidate computes on for a share of each call; all other sides are identical. The neighbour
is a process on the same core, busy for 0.2 to 1.5 s and idle as long.

{gate_table(findings)}

`called slower` counts gates that called the slowed cell's RTF a regression; `seconds` are until the
answer, loading included. A gate took {max(seconds):.0f} s at most.

- False alarms where both sides are identical: {false_alarms}.
- Gates that raised an alarm about anything identical: {alarms}.
{missing_gates(findings)}
Host: {host}
"""


def missing_gates(findings: Sequence[GateFinding]) -> str:
    """Say of which scenarios fewer gates were run than are wanted; empty where of none."""
    run = Counter(each.scenario for each in findings)
    short = [
        f"{each.name} ({run[each.name]} of {each.gates})"
        for each in SCENARIOS
        if run[each.name] < each.gates
    ]
    if not short:
        return ""
    return f"- Fewer gates than wanted, and nothing said of them: {', '.join(short)}.\n"


def gate_table(findings: Sequence[GateFinding]) -> str:
    """Return a row a scenario."""
    lines = [["", "gates", "called slower", "inconclusive", "pass", "ratio, median"]]
    lines[0] += ["seconds, median"]
    for name in dict.fromkeys(each.scenario for each in findings):
        found = [each for each in findings if each.scenario == name]
        ratios = [each.ratio for each in found if each.ratio is not None]
        lines.append(
            [
                name,
                str(len(found)),
                rate(sum(each.found for each in found), len(found)),
                *(
                    rate(sum(each.answer == answer for each in found), len(found))
                    for answer in ("inconclusive", "pass")
                ),
                f"{statistics.median(ratios):.3f}" if ratios else "",
                f"{statistics.median(each.seconds for each in found):.0f}",
            ]
        )
    return grid(lines, [False, *[True] * 6])


def simulation_table(results: dict[str, Result]) -> str:
    """Return the table of simulated runs."""
    lines = [["method", "runs", "95 % intervals that hold the truth", "median half width"]]
    lines += [
        [name, str(r.trials), rate(round(r.coverage * r.trials), r.trials), f"{r.half_width:.1%}"]
        for name, r in results.items()
    ]
    return grid(lines, [False, True, True, True])


def machine_table(findings: Sequence[IntervalFinding]) -> str:
    """Return the table of runs on this machine, a row a replica."""
    lines = [
        ["against the reference", "runs", "called different", "truth held", "half width", "ratio"]
    ]
    for name in dict.fromkeys(each.replica for each in findings):
        found = [each for each in findings if each.replica == name]
        lines.append(
            [
                name,
                str(len(found)),
                rate(sum(each.differs for each in found), len(found)),
                rate(sum(each.holds for each in found), len(found)),
                f"{statistics.median(each.half_width for each in found):.2%}",
                f"{statistics.median(each.ratio for each in found):.4f} "
                f"(true {statistics.median(each.true_ratio for each in found):.4f})",
            ]
        )
    return grid(lines, [False, True, True, True, True, True])


def width_table(findings: Sequence[IntervalFinding], names: Sequence[str]) -> str:
    """Return how the interval narrows with the time spent, over the runs of these replicas."""
    lines = [["sessions", "seconds", "runs", "median half width", "90th percentile"]]
    for count in range(2, max(each.sessions for each in findings) + 1):
        found = [e for e in findings if e.replica in names and count in e.width_after]
        if not found:
            continue
        widths = [each.width_after[count] for each in found]
        seconds = statistics.median(each.seconds * count / each.sessions for each in found)
        tail = statistics.quantiles(widths, n=10)[-1] if len(widths) > 1 else widths[0]
        lines.append(
            [
                str(count),
                f"{seconds:.0f}",
                str(len(found)),
                f"{statistics.median(widths):.2%}",
                f"{tail:.2%}",
            ]
        )
    return grid(lines, [True] * 5)


def picture(findings: Sequence[IntervalFinding]) -> bytes:
    """Draw every run's interval, sorted by its estimate, a panel a replica; return a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(each.replica for each in findings))
    figure = Figure(figsize=(9, 1.4 * len(names) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for panel, name in zip(panels, names, strict=True):
        found = sorted((e for e in findings if e.replica == name), key=lambda e: e.ratio)
        truth = statistics.median(each.true_ratio for each in found)
        for index, each in enumerate(found):
            color = BLUE if each.holds else RED
            panel.plot([100 * (e - 1) for e in (each.low, each.high)], [index] * 2, color=color)
        panel.axvline(100 * (truth - 1), color="black", linewidth=0.8)
        panel.axvline(0, color="grey", linewidth=0.8, linestyle=":")
        missed = sum(not each.holds for each in found)
        panel.set_title(f"{name}: {len(found) - missed} of {len(found)} hold the truth", loc="left")
        panel.set_yticks([])
    panels[-1].set_xlabel(
        "time against the reference, % (blue: the 95 % interval holds the truth, the black line)"
    )
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
