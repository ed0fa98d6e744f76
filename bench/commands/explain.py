"""`rtfbench explain`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.commands.explained_folder import folder_for, write
from bench.commands.progress import complain, progress_on_stderr, say
from bench.explain.explanation import explanation_of
from bench.explain.subject import subject_of
from bench.report import explained
from bench.report.plots import waterfall
from bench.report.plots.style import Picture
from bench.results.explanation import Explanation
from bench.results.store import EXPLANATION

TEXT, PICTURES = "explain.md", "waterfall"
#: Opening engines and finishing their profiles takes about so long in all.
AROUND_S = 20.0
OK, SOME_FAILED = 0, 1


def explain(
    flags: Mapping[str, Any],
    *,
    libraries: Mapping[str, Path | None],
    budget_s: float,
    out: Path | None,
    overwrite: bool,
) -> int:
    """Explain engines on a model, print the report, and return the exit status."""
    folder = folder_for(out, EXPLANATION, overwrite=overwrite)
    subject = subject_of(flags, libraries=libraries, phase=say, note=complain)
    with progress_on_stderr(budget_s + AROUND_S) as progress:
        found = explanation_of(subject, budget_s=budget_s, progress=progress)
    text = explained.render(found)
    print(text, end="")
    _write(folder, found, text)
    say(f"results: {folder}")
    return SOME_FAILED if any(engine.failed for engine in found.engines) else OK


def _write(folder: Path, found: Explanation, text: str) -> None:
    """Write the report, its pictures and the figures behind them."""
    for old in folder.glob(f"{PICTURES}*"):
        old.unlink()
    write(folder, text=(TEXT, text), figures=(EXPLANATION, found), pictures=_pictures(found))


def _pictures(found: Explanation) -> list[Picture]:
    """Return a picture for each engine but the first; none where matplotlib is not installed."""
    try:
        drawn = [waterfall.draw(found, other) for other in found.profiled[1:]]
    except ImportError as error:
        say(f"no pictures: {error}; install matplotlib with: pip install 'rtfbench[plot]'")
        return []
    return [picture for picture in drawn if picture is not None]
