"""How requests arrive, and how they wait: what a plan says of it, and the load of a cell."""

import hashlib
import itertools
import math
from pathlib import Path
from typing import Annotated

from pydantic import Field

from rtfbench.base.errors import InputError
from rtfbench.base.files import check_readable, read_bytes
from rtfbench.base.limits import LONGEST_S, MOST_LATENCY_MS
from rtfbench.base.values import Value

#: So many requests a second at most.
MOST_RATE_PER_S = 1e6
MostOften = Annotated[float, Field(gt=0, le=MOST_RATE_PER_S)]
#: A live stream asks for so many seconds, so often, where a plan does not say it.
WINDOW_S, HOP_S = 1.5, 0.75
LONGEST_MS = 1e3 * LONGEST_S


class Traffic(Value):
    """What a plan says of requests, where a protocol offers any."""

    #: Requests that arrive a second.
    rates: tuple[MostOften, ...] = ()
    #: Live streams at once.
    streams: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = ()
    #: What a live stream asks for, and every how many seconds: recordings are cut into windows.
    window_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    hop_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    #: Of the gamma distribution of gaps between requests: 1 is a Poisson process, less is burstier.
    gamma_shape: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    #: A file with the second of each request, a line each, whose gaps are taken in place of these.
    trace: Path | None = None
    #: How long a request waits for others of its batch at most.
    batch_delay_ms: Annotated[float, Field(ge=0, le=LONGEST_MS)] = 0.0
    #: How many requests may wait; one that finds no place is rejected. None: any number.
    places: Annotated[int, Field(ge=0)] | None = None
    #: What a request may take from when it is due; one that takes longer is late.
    latency_ms: Annotated[float, Field(gt=0, le=MOST_LATENCY_MS)] | None = None

    @property
    def windows(self) -> tuple[float, float] | None:
        """Seconds of a window and from one to the next, None where recordings stay whole."""
        if not (self.streams or self.window_s or self.hop_s):
            return None
        window_s = self.window_s or WINDOW_S
        return window_s, self.hop_s or window_s * HOP_S / WINDOW_S

    def at_rates(self) -> "tuple[Load, ...]":
        """Return a load for each rate.

        Raises:
            ValueError: none is named.
            InputError: the trace cannot be read.
        """
        found = Trace.read(self.trace) if self.trace else None
        rates = self.rates or ((found.rate_per_s,) if found else ())
        if not rates:
            raise ValueError("say how many requests arrive a second (--rate), or name a --trace")
        return tuple(
            self._load(
                rate_per_s=rate,
                gamma_shape=self.gamma_shape,
                trace=self.trace,
                trace_sha256=found.sha256 if found else "",
            )
            for rate in rates
        )

    def of_streams(self) -> "tuple[Load, ...]":
        """Return a load for each number of live streams.

        Raises:
            ValueError: none is named, or what is said is of requests that come one by one.
        """
        if not self.streams or self.windows is None:
            raise ValueError("say how many live streams there are (--streams)")
        window_s, hop_s = self.windows
        return tuple(
            self._load(rate_per_s=count / hop_s, streams=count, window_s=window_s, hop_s=hop_s)
            for count in self.streams
        )

    def _load(self, **arriving: object) -> "Load":
        waiting = self.model_dump(include={"batch_delay_ms", "places", "latency_ms"})
        return Load.model_validate(waiting | arriving)


class Load(Value):
    """How requests arrive at a cell, and how they wait; see `Traffic`."""

    rate_per_s: MostOften
    gamma_shape: float = 1.0
    trace: Path | None = None
    trace_sha256: str = ""
    streams: int = 0
    window_s: float = 0.0
    hop_s: float = 0.0
    batch_delay_ms: float = 0.0
    places: int | None = None
    latency_ms: float | None = None

    def at(self, rate_per_s: float) -> "Load":
        """Return the same at another rate; of live streams, at as many as are nearest to it."""
        if not self.streams:
            return self.model_copy(update={"rate_per_s": rate_per_s})
        streams = max(round(rate_per_s * self.hop_s), 1)
        return self.model_copy(update={"streams": streams, "rate_per_s": streams / self.hop_s})

    def __str__(self) -> str:
        """Write it in a few words: 4 requests/s, gamma 0.5."""
        if self.streams:
            live = f"{self.streams} live stream{'s' * (self.streams != 1)}"
            parts = [f"{live} of {self.window_s:g} s every {self.hop_s:g} s"]
        else:
            parts = [f"{self.rate_per_s:.4g} requests/s"]
        parts += [f"gamma {self.gamma_shape:g}"] if self.gamma_shape != 1 else []
        parts += [f"as in {self.trace.name}"] if self.trace else []
        parts += [f"batches filled for {self.batch_delay_ms:g} ms"] if self.batch_delay_ms else []
        parts += [f"{self.places} may wait"] if self.places is not None else []
        return ", ".join(parts)


#: Requests that come one by one, at one a second.
POISSON = Load(rate_per_s=1.0)


class Trace(Value):
    """A recorded trace: gaps between its requests in seconds, and their file's SHA-256."""

    gaps_s: tuple[float, ...]
    sha256: str

    @property
    def rate_per_s(self) -> float:
        """How many requests arrive a second, on average."""
        return float(f"{len(self.gaps_s) / sum(self.gaps_s):.6g}")

    @classmethod
    def read(cls, path: Path) -> "Trace":
        """Read the seconds of requests, a line each; what follows `#` is left out.

        Raises:
            InputError: it cannot be read, or is no trace; one line that names the cure.
        """
        try:
            check_readable(path)
            content = read_bytes(path)
            lines = content.decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "no text"
            raise InputError(f"{path}: cannot be read ({why}); name a text file") from error
        times_s: list[float] = []
        for number, line in enumerate(lines, 1):
            if not (text := line.partition("#")[0].strip()):
                continue
            try:
                second = float(text)
            except ValueError:
                second = math.nan
            if not math.isfinite(second) or (times_s and second < times_s[-1]):
                raise InputError(
                    f"{path}:{number}: {text[:40]!r} is no second that follows the one before; "
                    "write the time of each request in seconds, a line each, in ascending order"
                )
            times_s.append(second)
        gaps_s = [later - sooner for sooner, later in itertools.pairwise(times_s)]
        span_s = sum(gaps_s)
        if not 0 < span_s <= LONGEST_S or len(gaps_s) / span_s > MOST_RATE_PER_S:
            raise InputError(
                f"{path}: has {len(times_s)} requests; a trace has two at least, within a year, "
                f"and {MOST_RATE_PER_S:g} a second at most"
            )
        return cls(gaps_s=tuple(gaps_s), sha256=hashlib.sha256(content).hexdigest())
