"""What the run of a file shows of its inner tensors, where the runtime tells."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.base.scratch import process_folder
from bench.explain.cuts import Suspect, to_convert
from bench.explain.divergence import Seen, compare
from bench.explain.part_run import PartRequest, run_part
from bench.explain.parts import Array


def compare_shown(suspect: Suspect) -> dict[str, Seen] | None:
    """Compare the inner tensors of a file that was converted elsewhere.

    A runtime may call by the name of one tensor what is another: what it has fused bears the name
    of the first and is the last. What each is, a file that is made of the graph now tells.

    Returns:
        What was compared, by its name in the graph; None where the runtime shows nothing.
    """
    shown, right = _shown(suspect, anew=False), _shown(suspect, anew=True)
    if shown is None or right is None:
        return None
    graph = suspect.graph
    wanted = {each for name in right for each in graph.followers(name)}
    expected = suspect.references([name for name in graph.tensors if name in wanted])
    found: dict[str, Seen] = {}
    for name in right.keys() & shown.keys():
        seen = {each: compare(right[name], expected[each]) for each in graph.followers(name)}
        meant = min(seen, key=lambda each: seen[each].error or 0.0)
        if not seen[meant].wrong:
            found[meant] = compare(shown[name], expected[meant])
    return found


def _shown(suspect: Suspect, *, anew: bool) -> dict[str, Array] | None:
    """Run a file, or one that is made of the graph now, and return its inner tensors."""
    graph = suspect.graph
    with TemporaryDirectory(dir=process_folder()) as name:
        folder = Path(name)
        features, found = folder / "features.npy", folder / "found.npz"
        np.save(features, suspect.features_BTM)
        artifact, source = suspect.artifact, None
        if anew:
            artifact, source = to_convert(suspect, graph.model, graph.output_name, folder)
        answer = run_part(
            PartRequest(
                cell=suspect.cell,
                artifact=artifact,
                features=features,
                found=found,
                source=source,
                inner=graph.tensors,
            )
        )
        if answer.error or not answer.shows:
            return None
        with np.load(found, allow_pickle=False) as stored:
            return {str(each): stored[f"arr_{i}"] for i, each in enumerate(stored["names"])}
