"""Where frames lie at the two ends of a waveform, and what is put there.

- `snip`: frames lie wholly inside, as in Kaldi with snip_edges.
- `mirror`: one frame a shift, each around the middle of its shift; beyond the ends the waveform
  goes on mirrored, its outermost sample twice. As in Kaldi without snip_edges.
- `centre`: a transform's middle lies on every multiple of the shift, the first on the first sample;
  beyond the ends are zeros. As in torch.stft with center and pad_mode "constant".
- `centre-within`: the same, without the frame whose middle lies on or behind the waveform's end. As
  NeMo counts frames.
- `centre-mirror`: as `centre`, mirrored beyond the ends without the outermost sample.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np

from rtfbench.frontends.spectra import Float32Array

Edges = Literal["snip", "mirror", "centre", "centre-within", "centre-mirror"]
#: numpy's names for what lies beyond an end.
_BEYOND: dict[str, Literal["symmetric", "constant", "reflect"]] = {
    "mirror": "symmetric",
    "centre": "constant",
    "centre-within": "constant",
    "centre-mirror": "reflect",
}


def padding(
    edges: Edges, num_samples: int, *, frame_length: int, frame_shift: int, fft_length: int
) -> tuple[int, int]:
    """Return how many samples lie before a waveform's first and behind its last one.

    Behind it there may be fewer than none: the last samples are then in no frame.
    """
    if edges == "snip" or num_samples < frame_shift:
        return 0, 0
    if edges == "mirror":
        before = frame_length // 2 - frame_shift // 2
        frames = (num_samples + frame_shift // 2) // frame_shift
    else:
        # The window stands in the middle of a transform that may be longer.
        before = fft_length // 2 - (fft_length - frame_length) // 2
        frames = num_samples // frame_shift + (edges != "centre-within")
    return before, (frames - 1) * frame_shift + frame_length - before - num_samples


def extended(
    blocks: Iterable[Float32Array], edges: Edges, padding: Callable[[int], tuple[int, int]]
) -> Iterator[Float32Array]:
    """Yield a waveform with all that lies beyond its ends.

    Args:
        blocks: float32[N] each.
        edges: what lies there.
        padding: of a number of samples, how many are put before them and behind.

    Yields:
        float32[N] each; frames of these lie wholly inside.
    """
    if edges == "snip":
        yield from blocks
        return
    # Before the first sample stands what comes soon behind it, and behind the last what came
    # just before: both are kept until they are enough.
    before, _ = padding(1 << 30)  # the same for any length
    beyond = _BEYOND[edges]
    kept, begun, count = np.empty(0, np.float32), False, 0
    # The longest stretch behind the last sample is as long as the one before the first, and two
    # shifts; what is held back covers several.
    reserve = 4 * before + 2
    for block in blocks:
        kept, count = np.concatenate([kept, block]), count + len(block)
        if len(kept) <= 2 * reserve:
            continue
        if not begun:
            kept, begun = np.pad(kept, (max(before, 0), 0), beyond)[max(-before, 0) :], True
        yield kept[:-reserve]
        kept = kept[-reserve:]
    if not count:
        return
    if not begun:
        kept = np.pad(kept, (max(before, 0), 0), beyond)[max(-before, 0) :]
    _, behind = padding(count)
    if behind > 0 and begun:
        yield np.pad(kept, (0, behind), beyond)
    elif behind > 0:
        # A waveform that is shorter than what stands beside it is mirrored more than once.
        whole = kept[max(before, 0) :] if before >= 0 else kept
        yield np.pad(whole, (max(before, 0), behind), beyond)
    else:
        yield kept[: len(kept) + behind]


def emphasised(blocks: Iterable[Float32Array], weight: np.float32) -> Iterator[Float32Array]:
    """Yield x[n] - weight * x[n - 1]; the first sample stays."""
    last = np.float32(0)
    for block in blocks:
        if len(block):
            emphasised = block.copy()
            emphasised[1:] -= weight * block[:-1]
            emphasised[0] -= weight * last
            last = block[-1]
            yield emphasised
