"""What labelled trials amount to, as functions of scores and labels."""

import numpy.typing as npt

from rtfbench.embed.scoring import P_TARGET, Detection


def eer(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the equal error rate."""
    found = Detection(scores, labels).figures()
    assert found is not None
    return found[0]


def min_dcf(scores: npt.ArrayLike, labels: npt.ArrayLike, *, p_target: float = P_TARGET) -> float:
    """Return the least normalised detection cost."""
    found = Detection(scores, labels).figures(p_target=p_target)
    assert found is not None
    return found[1]
