"""Live streams as a protocol: each asks for an embedding of its last seconds, again and again."""

from collections.abc import Sequence
from dataclasses import replace

from rtfbench.results.load import Traffic
from rtfbench.results.protocols import Figure
from rtfbench.results.records import Record
from rtfbench.results.server import FIGURES, SERVER, WAITING_OPTIONS

#: What a record has of its own besides: frames of its windows, and those of them that were known.
FRAMES = "frames"


def _known_share(records: Sequence[Record], _: float) -> float | None:
    """Return which share of the frames was known from the window before."""
    frames, known = (sum(record.own[FRAMES][each] for record in records) for each in (0, 1))
    return known / frames if frames else None


STREAMS = replace(
    SERVER,
    name="streams",
    scenario="multi-stream",
    clock="windows of live streams, each timed from when its last sample was there",
    procedure="rtfbench.measure.open_loop:LiveStreams",
    loads=Traffic.of_streams,
    takes=("streams", "window_s", "hop_s", *WAITING_OPTIONS),
    figures=(
        *FIGURES,
        Figure(
            "known_share",
            "features known",
            "of live streams: share of the frames whose features were known from the window before",
            _known_share,
            detail=True,
        ),
    ),
)
