"""How quiet the machine was (pure): the reference against itself, and what the kernel counted."""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from rtfbench.results import protocols
from rtfbench.results.contrasts import ALPHA, estimate_ratio, ghost_of, is_ok
from rtfbench.results.records import Health
from rtfbench.results.rows import Ghost, Noise, Ratio
from rtfbench.results.stats import relative_half_width
from rtfbench.results.store import CellData

#: A block is disturbed where one of these is exceeded; the units are those of `Health`.
LIMITS: Mapping[str, float] = {
    "steal": 0.02,
    "pressure": 0.10,
    "other_cpu": 0.10,
    "throttled": 0.01,
}
#: A machine of which more blocks than this were disturbed is called noisy.
NOISY_SHARE = 0.05
#: A difference as large as an interval's half width is seen in half of all runs only, because the
#: interval lies around what was measured; one so many times as large, in four of five.
SEEN = 1.5
#: Words for what disturbed most blocks.
CAUSES: Mapping[str, str] = {
    "steal": "the hypervisor took cores away (steal time)",
    "pressure": "tasks waited for a core",
    "other_cpu": "other processes were busy",
    "throttled": "the cgroup's CPU limit throttled the run",
}
CHANNELS = (*LIMITS, "involuntary", "frequency_mhz", "load_average_1min", "peak_gflops")


def noise_of(groups: Sequence[Sequence[CellData]], ratios: Sequence[Ratio] = ()) -> Noise | None:
    """Sum up a run's noise; None where nothing was recorded of it.

    The ratios are what was made of the groups; each has a noise floor of its own.
    """
    health = [line for group in groups for data in group for line in data.health]
    ghosts = tuple(_ghosts(groups))
    if not health and not ghosts:
        return None
    told = [line for line in health if any(getattr(line, name) is not None for name in LIMITS)]
    share = sum(map(bool, map(disturbances, told))) / len(told) if told else None
    contaminated = any(not ghost.contains_one for ghost in ghosts)
    return Noise(
        sentence=_sentence(health, ghosts, ratios, share),
        contaminated=contaminated,
        disturbed_share=share,
        ghosts=ghosts,
        channels=_channels(health),
        timed_share=_timed_share(groups, health),
    )


def disturbances(line: Health) -> list[str]:
    """Return the names of what was over its limit during a block."""
    return [
        name
        for name, limit in LIMITS.items()
        if (value := getattr(line, name)) is not None and value > limit
    ]


def _ghosts(groups: Sequence[Sequence[CellData]]) -> list[Ghost]:
    """Return the reference against its replica, for every group that has one.

    The intervals hold together (Bonferroni), so that a run of many comparisons is not called
    contaminated by chance.
    """
    pairs = [
        (ghost, original)
        for group in groups
        for original in group
        for ghost in [ghost_of(original, group)]
        if ghost is not None and is_ok(original) and not original.cell.replica
    ]
    found = []
    for ghost, original in pairs:
        cell, course = original.cell, original.course or ghost.course
        alpha = (course.alpha if course else ALPHA) / len(pairs)
        estimate = estimate_ratio(ghost, original, alpha=alpha)
        if estimate is not None:
            interval = estimate.interval
            found.append(
                Ghost(
                    **cell.condition.model_dump(),
                    reference=cell.engine_label,
                    ratio=estimate.ratio,
                    ci95=interval,
                    half_width=None if interval is None else estimate.half_width,
                    contains_one=interval is None or interval[0] <= 1 <= interval[1],
                )
            )
    return found


def _sentence(
    health: Sequence[Health], ghosts: Sequence[Ghost], ratios: Sequence[Ratio], share: float | None
) -> str:
    parts = []
    if share is not None:
        word = "noisy" if share > NOISY_SHARE else "quiet"
        parts.append(f"{word}: {share:.0%} of blocks disturbed{_most(health)}")
    outside = [ghost for ghost in ghosts if not ghost.contains_one]
    if outside:
        worst = max(outside, key=lambda ghost: abs(ghost.ratio - 1))
        parts.append(
            f"contaminated: {worst.reference} against itself gave {worst.ratio:.3f} "
            f"({_where(worst)}); do not trust differences of this size, run again"
        )
    elif floor := _floor(ratios) or _own_floor(ghosts):
        parts.append(f"ratios hold: {floor}")
    elif ghosts:
        parts.append("too few blocks to tell the noise floor; a larger --budget gives it")
    return "; ".join(parts)


def _where(found: Ghost | Ratio) -> str:
    """Name model and protocol in one line, whatever the model's file is called."""
    return f"{' '.join(found.model.split())}, {found.protocol}"


def _most(health: Sequence[Health]) -> str:
    """Name what disturbed most blocks, where anything did."""
    names = [name for line in health for name in disturbances(line)]
    if not names:
        return ""
    return f", mostly because {CAUSES[max(CAUSES, key=names.count)]}"


def _floor(ratios: Sequence[Ratio]) -> str:
    """Say which differences two engines show: in half of the pairs, and in the worst.

    The engines' own scatter is in it, which the reference against itself does not show.
    """
    known = [(SEEN * relative_half_width(ratio.ci95), ratio) for ratio in ratios if ratio.ci95]
    if not known:
        return ""
    least, worst = max(known, key=lambda each: each[0])
    sessions = f"{worst.sessions} session{'s' * (worst.sessions > 1)}"
    pair = (
        f"above {least:.1%} between {worst.engine} and {worst.reference} "
        f"({_where(worst)}, {sessions})"
    )
    if len(known) == 1:
        return f"differences {pair} are detectable"
    half = statistics.median(each for each, _ in known)
    return (
        f"differences above {half:.1%} are detectable in half of the {len(known)} pairs, {pair}; "
        "more sessions narrow it"
    )


def _own_floor(ghosts: Sequence[Ghost]) -> str:
    """Say the same of a single engine: its own noise floor is all that is known."""
    known = [(SEEN * each.half_width, each) for each in ghosts if each.half_width is not None]
    if not known:
        return ""
    least, worst = max(known, key=lambda each: each[0])
    return f"differences above {least:.1%} from {worst.reference} are detectable"


def _channels(health: Sequence[Health]) -> dict[str, float]:
    """Return median and 90th percentile of everything that was recorded."""
    found: dict[str, float] = {}
    for name in CHANNELS:
        values = [value for line in health if (value := getattr(line, name)) is not None]
        if values:
            shares = {f"{name}_p50": 0.5, f"{name}_p90": 0.9}
            for key, share in shares.items():
                found[key] = round(float(np.quantile(values, share)), 4)
    return found


def _timed_share(groups: Sequence[Sequence[CellData]], health: Sequence[Health]) -> float | None:
    """Return the share of the blocks' wall time that lay inside timed work.

    Where each utterance gets a session, opening it belongs to the work, though it is not counted.
    """
    wall_ns = sum(line.wall_ns for line in health)
    if not wall_ns:
        return None
    timed_ns = sum(
        record.processing_ns + record.load_ns * protocols.named(data.cell.protocol).fresh_session
        for group in groups
        for data in group
        for record in data.records
    )
    return timed_ns / wall_ns
