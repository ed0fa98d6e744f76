"""Rates with their exact intervals."""

from scipy.special import betaincinv


def rate(hits: int, trials: int) -> str:
    """Write a rate with its exact interval: `57 of 60: 95.0 % (86.1 to 99.0)`."""
    low, high = binomial_interval(hits, trials)
    return f"{hits} of {trials}: {hits / trials:.1%} ({100 * low:.1f} to {100 * high:.1f})"


def binomial_interval(hits: int, trials: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a rate.

    Source: Clopper and Pearson, The Use of Confidence or Fiducial Limits, Biometrika 26, 1934.
    """
    low = float(betaincinv(hits, trials - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 0.975)) if hits < trials else 1.0
    return low, high
