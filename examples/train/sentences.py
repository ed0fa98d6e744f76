"""Sentences to speak: drawn from a small grammar, so that no two recordings say the same."""

import numpy as np


def _words(text: str) -> list[str]:
    return text.split()


_ADJECTIVES = _words(
    "old quiet bright narrow heavy early green distant careful sudden wooden gentle broken "
    "golden empty curious northern frozen simple crowded"
)
_NOUNS = _words(
    "ferry bridge garden teacher window orchard river captain market engine letter village "
    "station doctor painting harbour kitchen mountain violin shepherd lantern journey number "
    "question island picture factory shadow thunder measure"
)
_VERBS = _words(
    "crosses follows remembers watches carries paints visits measures repairs answers forgets "
    "covers describes reaches surprises borrows"
)
_ENDINGS = (
    "before sunrise",
    "at half past seven",
    "without a word",
    "on the other side",
    "for the third time",
    "under a cloudy sky",
    "with both hands",
    "in the middle of June",
    "as everyone expected",
    "just around the corner",
    "from five to nine",
    "while the choir is singing",
)


def draw_sentence(rng: np.random.Generator) -> str:
    """Return a sentence of about three seconds."""
    first, second = rng.choice(_NOUNS, 2, replace=False)
    return (
        f"The {rng.choice(_ADJECTIVES)} {first} {rng.choice(_VERBS)} "
        f"the {rng.choice(_ADJECTIVES)} {second} {rng.choice(_ENDINGS)}."
    )
