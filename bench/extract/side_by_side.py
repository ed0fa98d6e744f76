r"""An extraction and any other command, run in turns: which takes longer, and by how much.

    python -m rtfbench.extract.side_by_side --against "extract_emb_main --wav_scp wav.scp ..." \
        -- --wav-scp wav.scp --model model.mnn --threads 1

What follows `--` are the options of `rtfbench extract`. In the other command, {result} stands for a
file that it may write its embeddings to, as text; they are then compared with ours. The command is
run without a shell. Each round runs both twice, in the order A B B A, so that a drift cancels.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory

from rtfbench.base.child import last_said
from rtfbench.base.errors import InputError, complain, say
from rtfbench.base.packages import run_module
from rtfbench.embed.embeddings import read_embeddings
from rtfbench.embed.scoring import cosine
from rtfbench.report import figures
from rtfbench.report.compare import ends
from rtfbench.report.markdown import grid
from rtfbench.results.estimate import ratio_estimate
from rtfbench.results.stats import median

#: Fewer rounds give no interval of signed ranks.
ROUNDS = 6
#: How the field's programs tell their RTF; the last one told is that of all recordings.
RTF = re.compile(r"RTF[^0-9\n]{0,20}([0-9]+\.[0-9]+(?:e-?[0-9]+)?)")
RESULT = "{result}"


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds on the wall and of processors, and the RTF that it told."""

    wall_s: float
    cpu_s: float
    rtf: float | None


def rtf_told(text: str) -> float | None:
    """Return the last RTF that a program told, None where it told none."""
    found = RTF.findall(text)
    return float(found[-1]) if found else None


def run(command: Sequence[str], timeout_s: float) -> Run:
    """Run a command to its end.

    Raises:
        InputError: it cannot be started, fails, or takes longer than its time.
    """
    before, began_s = os.times(), time.perf_counter()
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except OSError as error:
        raise InputError(f"{command[0]}: cannot be started ({error.strerror})") from error
    except subprocess.TimeoutExpired:
        raise InputError(f"{command[0]}: took more than {timeout_s:g} s; see --timeout") from None
    wall_s, after = time.perf_counter() - began_s, os.times()
    if done.returncode != 0:
        said = last_said(done.stderr) or last_said(done.stdout)
        raise InputError(f"{command[0]}: exit status {done.returncode}; it said: {said}")
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    return Run(wall_s, cpu_s, rtf_told(done.stdout + done.stderr))


def table(ours: Sequence[Run], theirs: Sequence[Run]) -> str:
    """Return what came out as markdown, times of ours over theirs; of each two runs a round."""
    kinds: dict[str, Callable[[Run], float | None]] = {
        "wall, s": lambda each: each.wall_s,
        "CPU, s": lambda each: each.cpu_s,
        "RTF told": lambda each: each.rtf,
    }
    lines = [["", "rtfbench", "the other", "rtfbench / the other"]]
    for kind, of in kinds.items():
        left, right = [*map(of, ours)], [*map(of, theirs)]
        values = [
            figures.number(median([each for each in side if each is not None]))
            for side in (left, right)
        ]
        lines.append([kind, *values, _ratio(left, right)])
    return grid(lines, [False, True, True, True])


def _ratio(ours: Sequence[float | None], theirs: Sequence[float | None]) -> str:
    """Write the ratio of a kind of time over all rounds."""
    pairs = [
        (log(a) - log(b))
        for a, b in zip(ours, theirs, strict=True)
        if a is not None and b and a > 0
    ]
    if len(pairs) < len(ours):
        return "-"
    rounds = [[(pairs[i] + pairs[i + 1]) / 2] for i in range(0, len(pairs), 2)]
    found = ratio_estimate(rounds)
    return f"{found.ratio:.3f} ({ends(found.interval)})" if found and found.interval else "-"


def agreement(ours: Path, theirs: Path) -> str:
    """Say how alike both sides' embeddings are."""
    mine, other = dict(read_embeddings(ours)), dict(read_embeddings(theirs))
    shared = sorted(mine.keys() & other.keys())
    if not shared:
        return "no recording is in both results"
    least = min(cosine(mine[name], other[name]) for name in shared)
    counted = figures.counted(len(shared), "recording")
    return f"{counted} in both results of {len(mine)} and {len(other)}: least cosine {least:.6f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run rounds and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m rtfbench.extract.side_by_side",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--against", required=True, metavar="CMD", help="the other command")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of two runs each [6]")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds of a run [3600]")
    parser.add_argument("options", nargs="+", help="of rtfbench extract, after --")
    asked = parser.parse_args(argv)
    try:
        print(_side_by_side(asked.against, asked.options, asked.rounds, asked.timeout))
    except (InputError, ValueError) as error:
        complain(str(error))
        return 2
    return 0


def _side_by_side(against: str, options: Sequence[str], rounds: int, timeout_s: float) -> str:
    other = shlex.split(against)
    if not other or rounds < 1:
        raise InputError("--against needs a command, and --rounds 1 or more")
    with TemporaryDirectory(prefix="rtfbench-") as name:
        mine, theirs = Path(name) / "ours.txt", Path(name) / "theirs.txt"
        extract = [*run_module("rtfbench.commands"), "extract", *options]
        extract += ["--result", str(mine), "--overwrite"]
        told = [part.replace(RESULT, str(theirs)) for part in other]
        left: list[Run] = []
        right: list[Run] = []
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            first, second = (left, extract), (right, told)
            for kept, command in (first, second, second, first):
                kept.append(run(command, timeout_s))
        lines = [table(left, right)]
        if theirs.exists():
            lines.append(agreement(mine, theirs))
    return "\n\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
