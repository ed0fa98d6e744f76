"""Every printed figure that has an uncertainty, a quantile or a verdict, and its trial.

A field, a column, a finding or a sentence that says "surely" and stands nowhere here fails
`tests/unit/test_register.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tests.validation import (
    stolen,
    tried_energy,
    tried_front_ends,
    tried_queues,
    tried_races,
    tried_scores,
    tried_times,
    tried_verdicts,
)
from tests.validation.trial import Trial

TRIALS: Mapping[str, Trial] = MappingProxyType(
    {
        "rtf": tried_times.try_rtf,
        "ratio": tried_times.try_ratio,
        "energy": tried_energy.try_energy,
        "derived": tried_times.try_derived,
        "sure": tried_times.try_sure,
        "tails": tried_times.try_tails,
        "queues": tried_queues.try_queues,
        "groups": tried_verdicts.try_groups,
        "replay": tried_verdicts.try_replay,
        "hosts": tried_verdicts.try_hosts,
        "stored": tried_verdicts.try_stored,
        "bisect": tried_verdicts.try_bisect,
        "history": tried_verdicts.try_history,
        "lengths": tried_verdicts.try_lengths,
        "scores": tried_scores.try_scores,
        "kept accuracy": tried_scores.try_kept_accuracy,
        "stolen": stolen.try_stolen,
        "gains": tried_races.try_gains,
    }
)
#: Sections of `reports/validation.md` that other commands write.
SECTIONS = ("Rules compared", tried_front_ends.SECTION)
#: Simulations that are tests of their own.
TESTS = (
    "tests/unit/test_capacity.py::test_intervals_hold",
    "tests/unit/test_capacity.py::test_intervals_of_live_streams_hold",
    "tests/unit/test_capacity.py::test_a_ratio_is_within_5_percent_after_ten_minutes",
)


@dataclass(frozen=True)
class Figure:
    """A figure as it is printed.

    Attributes:
        name: what a reader calls it.
        estimator: what it is of the measurements.
        interval: how sure it is, and how a verdict is made.
        fields: `Class.field` of every value that holds it.
        columns: keys of the tables' columns that show it.
        findings: kinds of findings that say it.
        modules: of sentences that say "surely" of it.
        trial: the name of one, a section that another command writes, or a test of its own.
    """

    name: str
    estimator: str
    interval: str
    trial: str
    fields: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


FIGURES = (
    Figure(
        "RTF",
        "geometric mean of sessions, each the median of its slots' time over computed audio",
        "Student over sessions; none of one",
        "rtf",
        fields=("Level.ci95", "CellSummary.rtf_ci95"),
        columns=("rtf", "real_time", "ci", "padded_rtf"),
        findings=("best", "padding"),
    ),
    Figure(
        "ratio",
        "from six sessions on Hodges and Lehmann's over blocks, else the mean of sessions",
        "signed ranks with sessions as clusters; of fewer moderated, at least the ghost's spread",
        "ratio",
        fields=(
            *("Ratio.ci95", "Ratio.decided"),
            *("RatioEstimate.interval", "EngineCost.ratio_ci95", "MeasuredRatio.ci95"),
        ),
        columns=("ratio", "df"),
        findings=("engine", "protocol", "precision"),
        modules=(
            *("report.answer", "report.compare", "report.protocol_findings"),
            "report.engine_findings",
            *("report.explained",),
        ),
    ),
    Figure(
        "energy, and that above idle",
        "as the RTF, of joules; idle power is the median of a session's blocks",
        "Student over sessions; none of one",
        "energy",
        fields=("CellSummary.energy_ci95", "CellSummary.energy_above_idle_ci95"),
        columns=("energy", "energy_above_idle"),
    ),
    Figure(
        "speed-up, and a ratio by a third engine",
        "one figure over another",
        "from end to end of both",
        "derived",
        columns=("speedup", "efficiency"),
        findings=("threads", "jobs", "batch"),
    ),
    Figure(
        "surely faster",
        "the ratio",
        "moderated, all ratios of a run together in 99 %",
        "sure",
        fields=("Ratio.together",),
        modules=("report.plots.accuracy", "report.precision_findings"),
    ),
    Figure(
        "contaminated, and the difference that is seen",
        "the reference against itself; 1.5 times half of an interval's width",
        "ghosts' intervals hold together in 95 %",
        "sure",
        fields=("Ghost.ci95", "Ghost.half_width", "Noise.contaminated"),
        findings=("warning",),
        modules=("results.noise", "measure.noise_floor"),
    ),
    Figure(
        "p90, p95 and p99",
        "the quantile, where three values or more are expected beyond it",
        "none; of fewer values no figure",
        "tails",
        fields=(
            *("CellSummary.chunk_ms_p90", "CellSummary.chunk_ms_p99"),
            *("CellSummary.utterance_ms_p95", "Contender.p95_ms", "Figures.p95_ms"),
        ),
        columns=("p90", "p99", "utterance_ms_p95"),
    ),
    Figure(
        "latencies, waits and service times of requests",
        "the quantile, or the mean, of all requests",
        "of the share below it, or of the mean, Student's over sessions; quantiles by the order "
        "statistics of such ranks",
        "queues",
        fields=("CellSummary.own_ci95",),
        columns=(
            *(f"latency_ms_{name}" for name in ("p50", "p90", "p95", "p99")),
            *("service_ms", "waiting_ms"),
        ),
    ),
    Figure(
        "tune's latency limit",
        "p95 over all recordings and sessions",
        "out where its lower bound exceeds the limit, over all looks",
        "tails",
    ),
    Figure(
        "explain's groups",
        "mean difference of sessions",
        "moderated by the other groups; surely: all of a report together (Bonferroni)",
        "groups",
        fields=(
            *("GroupCost.more_ci95", "GroupCost.surely"),
            *("Difference.interval", "Difference.sure"),
        ),
        modules=("report.explained", "report.plots.explained"),
    ),
    Figure(
        "explain's lengths",
        "Hodges and Lehmann's over lengths; mean growth from round to round",
        "signed ranks over lengths; Student over rounds",
        "lengths",
        fields=tuple(
            f"EngineLengths.{name}_ci95" for name in ("growth_kb", "settled_mb", "first", "back")
        ),
    ),
    Figure(
        "replay's verdict",
        "the ratio",
        "reproduced where its whole interval lies in the tolerance",
        "replay",
        fields=("Judged.ci95", "Judged.verdict"),
    ),
    Figure(
        "hosts side by side",
        "each host's ratio",
        "another factor where no ratio is in all intervals",
        "hosts",
        fields=("Line.verdict",),
        modules=("report.hosts",),
    ),
    Figure(
        "two stored runs",
        "one ratio over the other",
        "normal, both runs' own and their hours', all ratios together (Bonferroni)",
        "stored",
    ),
    Figure(
        "changes and trends of a history",
        "segments of least cost, or a straight line",
        "penalty by chi squared (Bonferroni); normal for steps and trends",
        "history",
        fields=("Change.ci95", "Series.trend", "Segmentation.trend"),
        modules=("report.history",),
    ),
    Figure(
        "gate and compare",
        "the ratio of candidate to baseline and ghost",
        "moderated, at least the ghost's spread; group-sequential looks",
        "Rules compared",
        fields=(
            *("Ruling.answer", "Ruling.interval", "Decision.interval"),
            *("Verdict.answer", "GateResult.answer"),
        ),
    ),
    Figure(
        "bisect",
        "the first version that is slower than the oldest",
        "halving by the gate's rule; both neighbours once more",
        "bisect",
        fields=("Halving.answer",),
    ),
    Figure(
        "gate on a noisy machine",
        "the same of undisturbed times: what an eighth of a block's chunks stay under",
        "where the ghost is twice as steady so; no pass where the candidate seems disturbed more",
        "stolen",
    ),
    Figure(
        "tune's race",
        "the ratio to the leader",
        "the gate's rule, over all rivals and looks",
        "Rules compared",
        fields=(
            *("Contender.fate", "Contender.interval", "Answer.decided"),
            *("Standing.fate", "Standing.interval"),
        ),
        modules=("tune.report",),
    ),
    Figure(
        "how many times as fast what wins a race is",
        "the ratio to the default, and to the next one, of the sessions that both had",
        "as a run's ratios: moderated, at least the ghost's spread",
        "gains",
        fields=("Gain.interval",),
    ),
    Figure(
        "capacity",
        "the highest rate of requests that keeps a latency, by replays of what serving took",
        "Student over sessions that are left out in turn, and over groups of replays",
        TESTS[0],
        fields=(*("EngineCapacity.interval", "Contender.held_interval", "Figures.held_interval"),),
        modules=("commands.capacity",),
    ),
    Figure(
        "capacity in live streams",
        "the same; between two numbers of streams, so much of the time the one, else the other",
        "the same",
        TESTS[1],
    ),
    Figure(
        "ratio of capacities",
        "one over the other, of common replays",
        "the same, session by session and replay by replay",
        TESTS[2],
        fields=("EngineCapacity.ratio_interval",),
    ),
    Figure(
        "EER, minDCF and the rates of a threshold",
        "of the trials",
        "expanded percentiles of resampled speakers; minDCF's normal, corrected for its bias",
        "scores",
        fields=tuple(f"Intervals.{name}" for name in ("eer", "min_dcf", "miss", "false_alarm")),
        columns=("eer", "eer_difference"),
    ),
    Figure(
        "losses of EER and minDCF",
        "the difference on the same trials",
        "the same, minDCF's uncorrected; none of fewer than ten speakers, of minDCF than forty",
        "scores",
        fields=(
            *("CellSummary.eer_loss", "CellSummary.min_dcf_loss", "Losses.eer", "Losses.min_dcf"),
            "Tuning.losses",
            "Contender.eer_loss",
        ),
        columns=("eer_loss", "min_dcf_loss"),
    ),
    Figure(
        "shift of scores",
        "the mean difference on the same trials",
        "expanded percentiles of resampled speakers",
        "scores",
        fields=("Shifts.target", "Shifts.nontarget"),
    ),
    Figure(
        "a front end's step that differs",
        "the fewest changes after which features are the other program's",
        "none; named where it explains more than what rounding leaves",
        tried_front_ends.SECTION,
    ),
    Figure(
        "keeps its accuracy",
        "the loss of EER",
        "where its upper end is at most what is allowed; wrong where its lower end is over it",
        "kept accuracy",
        modules=("commands.run",),
    ),
)

#: Columns that count or name, and are exact.
EXACT = frozenset(
    {
        *("model", "params", "flops", "engine", "form", "sessions", "utterances", "passes"),
        *("threads", "jobs", "batch", "chunk", "protocol", "library", "padding", "file"),
        *("error", "cosine", "requests"),
    }
)
#: Columns of medians, shares and largest readings that claim no more than their digits.
POINTS = frozenset(
    {
        *("chunk_ms", "first", "load", "rate", "gflops", "peak", "cpu", "steady", "rss"),
        *("frontend", "inference", "copies", "pooling", "utterances_per_s"),
        *("utilisation", "kept_up", "lateness", "late_share", "goodput_per_s", "rejected_share"),
        "known_share",
    }
)
#: Findings that are facts of a run.
FACTS = frozenset({"defect", "coverage", "ceiling"})
#: Fields that look like figures, and why they are none.
NO_FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "PlanOptions.half_width": "what was asked for",
        "RunContext.half_width": "what was asked for",
        "Plan.half_width": "what was asked for",
        "HostHistory.differs": "facts of hosts",
        "Bar.parts_ms": "parts of a picture's bar",
        "Comparison.windows": "seconds of audio",
        "Part.more": "stretches of audio",
        "Figure.interval": "what tells a figure's interval, a function",
        "Checked.answer": "whether a stored run says what its records say",
    }
)
