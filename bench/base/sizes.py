"""Sizes as people write them."""

import re

from bench.base.errors import InputError

BYTES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_size(text: str, option: str) -> int:
    """Return the bytes that `500MB` or `5GB` are; a number alone is bytes.

    Args:
        text: the size.
        option: where it was written, for the message.

    Raises:
        InputError: it is no size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    if not found:
        raise InputError(f"{option} {text}: write a size such as 500MB or 5GB")
    return int(float(found[1]) * BYTES[found[2]])
