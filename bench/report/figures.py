"""Figures as text, in the format of the published tables."""

from rtfbench.base.values import Interval

#: Digits that the published tables give of an RTF.
RTF_DIGITS = 4
MISSING = "-"
#: A budget that was exceeded by more than this is told.
MUCH_LONGER = 1.1
#: Nearer to 1 than this, a hundredth is a large part of what a ratio says.
NEAR = 1.1


def rtf(value: float | None) -> str:
    """Write an RTF with four significant digits: 0.1377, 0.05262."""
    return MISSING if value is None else significant(value, RTF_DIGITS)


def significant(value: float, digits: int) -> str:
    """Write a number with this many significant digits and no exponent: 0.0500, 12.3, 1230."""
    if value == 0:
        return "0"
    exponent = int(f"{value:e}".partition("e")[2])
    # Rounding may carry into the next power of ten, hence the second look.
    rounded = round(value, digits - 1 - exponent)
    exponent = int(f"{rounded:e}".partition("e")[2])
    return f"{rounded:.{max(digits - 1 - exponent, 0)}f}"


def plus_minus(interval: Interval | None) -> str:
    """Write half an interval's width as a share of its middle: ±1.3 %."""
    if interval is None:
        return MISSING
    low, high = interval
    return f"±{100 * (high - low) / (high + low):.1f} %"


def ratio(value: float | None, interval: Interval | None) -> str:
    """Write a ratio with its interval: 2.83 (2.80 to 2.86)."""
    if value is None:
        return MISSING
    if interval is None:
        return f"{value:.2f}"
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def number(value: float | None, digits: int = 3) -> str:
    """Write a measured number with a few significant digits."""
    return MISSING if value is None else significant(value, digits)


def times(ratio: float | None) -> str:
    """Write a ratio as a factor of its own: 0.53×, 2.60×, 12.3×."""
    return MISSING if ratio is None else f"{factor(ratio)}×"


def factor(ratio: float) -> str:
    """Write a ratio that words follow: 0.53, 1.046, 2.60, 12.3 (times as long)."""
    return factors(ratio)[0]


def factors(*ratios: float) -> list[str]:
    """Write ratios that stand together with as many decimals as the one nearest to 1 needs.

    To a hundredth, within a tenth of 1 to a thousandth, and with three digits from ten on.
    """
    decimals = 3 if any(1 / NEAR < ratio < NEAR for ratio in ratios) else 2
    return [f"{ratio:.{decimals}f}" if ratio < 9.995 else significant(ratio, 3) for ratio in ratios]


def error(value: float) -> str:
    """Write a relative error as a power of ten: 1e-3."""
    digits, _, exponent = f"{value:.0e}".partition("e")
    return f"{digits}e{int(exponent)}"


def percent(share: float | None) -> str:
    """Write a share in whole percent: 97 %."""
    return MISSING if share is None else f"{round(100 * share)} %"


def duration(seconds: float) -> str:
    """Write how long something takes about: 85 s, 14 min, 3.2 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def chunk(samples: int) -> str:
    """Write a chunk size."""
    return "whole utterances" if samples < 0 else f"{samples} samples"


def setting(
    chunk_samples: int, threads: int, jobs: int = 1, batch: int = 1, load: object = None
) -> str:
    """Write under which setting something was measured: 32000 samples, 1 thread."""
    parts = [chunk(chunk_samples)]
    parts += [f"batches of {batch}"] if batch > 1 else []
    parts += [str(load)] if load else []
    each = counted(threads, "thread")
    return ", ".join([*parts, f"{jobs} jobs of {each}" if jobs > 1 else each])


def counted(count: int, what: str) -> str:
    """Write a count with its noun: 1 utterance, 2 utterances."""
    return f"{count} {what}{'s' * (count != 1)}"


def spent(seconds: float, budget_s: float | None, why: str) -> str:
    """Write what measuring took; where that is much more than the budget, of which one, and why."""
    much = budget_s is not None and seconds > MUCH_LONGER * budget_s
    return f"{seconds:.0f} s" + (f" of --budget {budget_s:g}{why}" if much else "")


def params(count: int | None) -> str:
    """Write a parameter count as the published tables do: 6634336 -> 6.63 M."""
    return MISSING if count is None else f"{_cut_off(count, 10**6)} M"


def flops(count: int | None) -> str:
    """Write operations as the published tables do: 4559902720 -> 4.55 G."""
    return MISSING if count is None else f"{_cut_off(count, 10**9)} G"


def _cut_off(count: int, unit: int) -> str:
    # In integers: the published figures are cut off after two decimals, a float would round.
    hundredths = count * 100 // unit
    return f"{hundredths // 100}.{hundredths % 100:02d}"
