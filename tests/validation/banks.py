"""Which banks are recorded, and what gates replayed from them say."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.engines import registry
from rtfbench.engines.protocol import parse_engines
from rtfbench.gate import sides
from rtfbench.gate.baseline import MARGIN, MAX_REGRESSION
from rtfbench.measure.context import RunContext
from rtfbench.measure.plan import Plan, expand
from rtfbench.models.names import default_form
from rtfbench.models.resolve import resolve
from rtfbench.report.markdown import grid
from rtfbench.results.cells import ProtocolName
from tests.validation.bank import Bank, record
from tests.validation.neighbour import neighbour
from tests.validation.replay import Deck, ReplayRow, replay_gates, replay_table
from tests.validation.replayed_intervals import SESSIONS, intervals_table, replay_intervals

#: True ratios that are replayed: nothing, the margin's edge, and what is to be found.
RATIOS = (1.0, 1 + MARGIN, 1.03, 1.05, 1.10, 1.20, 1.85)
#: How many cells a gate has, and the ratios that are replayed of each number.
CELLS = {1: RATIOS, 3: (1.0, 1 + MARGIN, 1.05), 10: (1.0, 1.05)}


@dataclass(frozen=True)
class Kind:
    """One bank: a class of model, how it is timed, and what makes it hard."""

    model: str
    engine: str
    protocol: ProtocolName = "steady"
    environments: bool = False
    neighbour: bool = False

    @property
    def name(self) -> str:
        """The name of its file."""
        extra = "-environments" * self.environments + "-neighbour" * self.neighbour
        return f"{self.model}-{self.engine}-{self.protocol}{extra}"


KINDS = (
    Kind("resnet34", "onnxruntime"),
    Kind("xvec", "mnn"),
    Kind("ecapa512", "onnxruntime"),
    Kind("xvec", "mnn", environments=True),
    Kind("resnet34", "onnxruntime", neighbour=True),
    Kind("resnet34", "mnn", protocol="published"),
    Kind("resnet34", "mnn"),
)


def record_kind(
    kind: Kind,
    context: RunContext,
    folder: Path,
    *,
    host: str,
    sessions: int,
    tell: Callable[[str], None],
) -> None:
    """Record a bank, or what it lacks.

    Raises:
        InputError: it cannot be recorded here.
    """
    plan = Plan(
        models=(kind.model,),
        engines=parse_engines(kind.engine),
        chunk_samples=(PUBLISHED_CHUNK_SAMPLES,),
        protocols=(kind.protocol,),
    )
    prepared = context.prepare_one(resolve(expand(plan, default_form)[:1]))
    others = None
    if kind.environments:
        distribution = registry.get(kind.engine).distribution
        assert distribution is not None
        pinned = f"{distribution}=={version(distribution)}"
        others = sides.interpreter_for([pinned], None, phase=tell)
    with neighbour(context.cores[0]) if kind.neighbour else nullcontext():
        record(
            prepared,
            context,
            folder / f"{kind.name}.jsonl",
            name=kind.name,
            host=host,
            sessions=sessions,
            others_python=others,
            neighbour=kind.neighbour,
            tell=tell,
        )


def section(banks: Sequence[Bank], *, gates: int, budget_s: float) -> str:
    """Replay gates from every bank, and return what they said."""
    decks = [Deck(bank) for bank in banks]
    rows: list[ReplayRow] = [
        replay_gates(deck, ratio=ratio, cells=cells, budget_s=budget_s, gates=count, seed=seed)
        for seed, deck in enumerate(decks)
        for cells, ratios in CELLS.items()
        for count in [max(gates // cells, 1)]
        for ratio in ratios
    ]
    intervals = [
        replay_intervals(bank, sessions=sessions, trials=gates, seed=0)
        for bank in banks
        for sessions in SESSIONS
        if sessions <= len(bank.sessions)
    ]
    return f"""
Sessions of six identical processes were recorded once. In a replayed gate, three of a session's
processes play candidate, baseline and ghost; the first cell's candidate is slower by what the row
says, and everything else about a gate is as ever: margin {MARGIN:.0%}, `--max-regression
{MAX_REGRESSION:.0%}`, {budget_s:g} s in all.

{replay_table(rows)}

`called slower` counts the first cell's RTF; `other alarms` are gates that called anything else
slower, which nothing is. `pass` and `inconclusive` are the answers of whole gates. `interval
holds` says how often the first cell's 95 % interval, as it is when the gate ends, holds the truth.

Intervals of a run, of two of a session's processes; with so few sessions they are moderated, and a
comparison stands alone, with no other pair of its engines beside it:

{intervals_table(intervals)}

{_banks_table(banks)}
"""


def _banks_table(banks: Sequence[Bank]) -> str:
    lines = [["bank", "sessions", "seconds a session", "version", "recorded", "host"]]
    lines += [
        [
            bank.head.name,
            str(len(bank.sessions)),
            f"{sum(each.seconds for each in bank.sessions) / max(len(bank.sessions), 1):.0f}",
            bank.head.version,
            bank.head.recorded,
            bank.head.host,
        ]
        for bank in banks
    ]
    return grid(lines, [False, True, True, False, False, False])
