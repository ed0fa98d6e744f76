"""Draws of arrivals for replays of a queue, the same whatever the rate (pure)."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rtfbench.results.load import Load, Trace

Floats = npt.NDArray[np.float64]


class ArrivalsAgain:
    """Many draws of how requests arrive under a load; rates stretch them."""

    def __init__(self, load: Load, rng: np.random.Generator, shape: tuple[int, int]) -> None:
        """Draw.

        Args:
            load: whose requests arrive; its rate is not used.
            rng: whose numbers are drawn.
            shape: how many draws, and requests in each.
        """
        self._load, self._shape = load, shape
        self._seed = int(rng.integers(2**32))
        self._gaps = None if load.streams else self._drawn(rng)

    def _drawn(self, rng: np.random.Generator) -> Floats:
        """Return gaps at one request a second."""
        draws, count = self._shape
        if self._load.trace is None:
            shape = self._load.gamma_shape
            return np.asarray(rng.gamma(shape, 1 / shape, (draws, count)), np.float64)
        found = Trace.read(self._load.trace)
        gaps = np.array(found.gaps_s) * found.rate_per_s
        first = rng.integers(len(gaps), size=(draws, 1))
        return np.asarray(gaps[(first + np.arange(count)) % len(gaps)], np.float64)

    def at(self, rate_per_s: float, draws: int, count: int) -> Iterator[tuple[float, Floats]]:
        """Yield gaps in seconds, [draws, count], with their weights.

        Of a number of streams that is none there are those of the next ones below and above.
        """
        if self._gaps is not None:
            yield 1.0, self._gaps[:draws, :count] / rate_per_s
            return
        streams = max(rate_per_s * self._load.hop_s, 1.0)
        below = int(streams)
        for number, weight in ((below, 1 - (streams - below)), (below + 1, streams - below)):
            if weight > 0:
                yield weight, self._of_streams(number, draws, count)

    def _of_streams(self, number: int, draws: int, count: int) -> Floats:
        # A row of its own for each draw, so that one stream more leaves the others as they are.
        began = np.stack(
            [
                np.sort(np.random.default_rng((self._seed, draw)).random(number))
                for draw in range(draws)
            ]
        )
        turns, stream = np.divmod(np.arange(count), number)
        due_s = (began[:, stream] + turns) * self._load.hop_s
        return np.diff(due_s, axis=1, prepend=0.0)
