"""Limits and defaults of options, and sizes as people write them; light, for the command line.

What lies beyond a limit is a slip of the keyboard, and is refused.
"""

import re

from rtfbench.base.errors import InputError

#: A year, in seconds: no budget and no time limit is longer, infinite ones among them.
LONGEST_S = 365 * 86400.0
#: An hour, in milliseconds: nobody serves who lets callers wait for longer.
MOST_LATENCY_MS = 3_600_000.0
#: A petabyte, in 10^6 bytes: no process is larger.
MOST_MB = 1e9
#: A recording that takes longer than an hour to embed is given up, unless somebody allows more.
RECORDING_TIMEOUT_S = 3600.0
#: More chunks at once are no faster, and take more memory than machines have.
MOST_TOGETHER = 4096
#: More workers for each core only take memory, and a mistyped number would take the machine.
MOST_JOBS_A_CORE = 16
#: Points of EER that fewer bits may lose where nobody says how many. The package's own trials
#: resolve a quarter of a point; below what trials resolve, no row surely keeps its accuracy.
MAX_EER_LOSS = 0.3


BYTES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_size(text: str, option: str) -> int:
    """Return the bytes that `500MB` or `5GB` are, as an option says; a number alone is bytes.

    Raises:
        InputError: it is no size.
    """
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,18})?)\s*([KMGT]?)B?", text.strip().upper())
    if not found:
        raise InputError(f"{option} {text}: write a size such as 500MB or 5GB")
    return int(float(found[1]) * BYTES[found[2]])


#: Two seconds at 16 kHz: what is measured where nothing else is asked for, and told first.
PUBLISHED_CHUNK_SAMPLES = 32000


def read_regression(said: float | str) -> float:
    """Read by which share a time may grow: 0.05, or `5%`.

    Raises:
        InputError: it is no share between 0 and 1.
    """
    text = str(said).strip()
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise InputError(
            f"--max-regression {text!r}: write a share between 0 and 100 %, for example 5% or 0.05"
        )
    return value
