"""Everything that reads a file of somebody's: each takes a path, and reads or refuses it."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from rtfbench.base.errors import InputError
from rtfbench.embed.embeddings import read_embeddings
from rtfbench.embed.trials import read_trials
from rtfbench.frontends.audio import AudioError, read_blocks
from rtfbench.inputs.find import Listing
from rtfbench.inputs.json_lines import from_json_lines
from rtfbench.inputs.kaldi import from_scp, from_segments
from rtfbench.inputs.tars import from_tar
from rtfbench.measure.plan import load_plan
from rtfbench.models.model_files import FileRequest
from rtfbench.models.model_reading import read_model_file
from rtfbench.tune.recordings import read_lengths

Reader = Callable[[Path], object]
#: What the segments of a fuzzed file are cut from; it is written beside it.
RECORDINGS = "recordings.scp"


def _all_of(listing: Listing) -> object:
    """Go through everything that a list can be asked for."""
    lengths = listing.lengths() if listing.lengths else ()
    return list(listing.utterances()), list(listing.names()), list(lengths)


def _segments(path: Path) -> object:
    recordings = path.with_name(RECORDINGS)
    recordings.write_text("rec1 a.wav\nrec2 b.wav\n")
    return _all_of(from_segments(path, recordings))


def _audio(path: Path) -> object:
    """Read the file, and the same as a member of a tar file is read."""
    found = list(read_blocks(path, channel=0, resample=True))
    list(read_blocks(path, channel=0, resample=True, file=BytesIO(path.read_bytes()), end_s=0.01))
    return found


#: Name of a file -> its reader; some look at the name's ending.
LISTS: dict[str, Reader] = {
    "wav.scp": lambda path: _all_of(from_scp(path, allow_pipes=True)),
    "segments": _segments,
    "raw.list": lambda path: _all_of(from_json_lines(path)),
    "trials": read_trials,
    "lengths": read_lengths,
    "e.txt": lambda path: list(read_embeddings(path)),
    "e.ark": lambda path: list(read_embeddings(path)),
    "e.npz": lambda path: list(read_embeddings(path)),
    "a.tar": lambda path: _all_of(from_tar(path)),
}
READERS: dict[str, Reader] = {
    "plan.toml": lambda path: load_plan(path, {}),
    **LISTS,
    "recording": _audio,
    "model.onnx": lambda path: read_model_file(FileRequest(path=path)),
}


def refusal(read: Reader, path: Path) -> str:
    """Read a file, and return why it is refused, empty where it is not."""
    try:
        read(path)
    except (InputError, AudioError) as error:
        return str(error)
    return ""


def check(name: str, path: Path) -> None:
    """Read a file; a refusal is one line that names it.

    Raises:
        AssertionError: it is not; any other error is a finding too.
    """
    why = refusal(READERS[name], path)
    assert "\n" not in why, why
    assert not why or path.name in why, why
