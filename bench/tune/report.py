"""A tuning's answer in words: markdown for people, the same on the terminal."""

from collections.abc import Iterable, Iterator

from bench.report import figures
from bench.report.compare import ends
from bench.tune.answer import Answer, Entry, Gain
from bench.tune.space import Goal

GOALS: dict[Goal, str] = {
    "throughput": "most audio a second, on all cores",
    "latency": "one recording at a time, soonest",
    "streams": "most audio a second, within the latency limit",
}
#: Rows that never ran tell no figures.
NONE = "-"


def headline(found: Answer) -> str:
    """Say the answer in a sentence."""
    cores = figures.counted(found.cores, "core")
    if found.named is None:
        return f"{found.title} on {cores}: {_why_none(found)}"
    gained = "that is the default, or nothing told it from that"
    if found.against_default is not None:
        gained = f"{_times(found.against_default)} the default"
    return f"{found.title} on {cores}: {found.named.configuration}; {gained}."


def render(found: Answer, *, commands: Iterable[str], in_python: str) -> str:
    """Return the whole answer as markdown.

    Args:
        found: the answer.
        commands: that use it.
        in_python: lines for the runtime's own API, empty where there are none.
    """
    parts = [f"# {headline(found)}", f"Goal: {found.goal} ({GOALS[found.goal]}). {found.host}."]
    parts += [f"- {sentence}" for sentence in sentences(found)]
    parts += ["## The race", *table(found)]
    written = list(commands)
    if found.named is not None and written:
        parts += ["## Use it", "```sh\n" + "\n".join(written) + "\n```"]
    if found.named is not None and in_python:
        parts += ["The same with the runtime's own API:", f"```python\n{in_python.strip()}\n```"]
    joined = "\n\n".join(parts) + "\n"
    return joined.replace("\n\n- ", "\n- ").replace("|\n\n|", "|\n|")


def sentences(found: Answer) -> Iterator[str]:
    """Yield what is to be known of the answer, each with its figure."""
    named = found.named
    if named is not None:
        yield from _of_named(found, named)
    elif found.needed_s is not None:
        yield f"About --budget {found.needed_s:.0f} would tell; this one was {found.budget_s:.0f}."
    tied = [entry.configuration for entry in found.entries if entry.fate in ("tied", "leads")]
    if named is not None and tied:
        share = figures.percent(found.margin)
        yield (
            f"Tied with it, surely less than {share} faster than the leader: {'; '.join(tied)}. Of "
            "those that make no difference, the one that is nearest to the default is named."
        )
    rests = (
        f"It rests on {figures.counted(found.recordings, 'recording')} of "
        f"{found.recordings_s:.0f} s together"
    )
    beside = f" and {found.trials_s:.0f} s of embedding the trials" if found.trials_s else ""
    yield f"{rests}, and took {found.spent_s:.0f} s of measuring{beside}."
    yield from found.notes


def _of_named(found: Answer, named: Entry) -> Iterator[str]:
    rate = f"{figures.number(named.times_real_time)} times real time"
    if found.goal == "streams":
        rate += f", that is {int(named.times_real_time or 0)} streams of live audio at full load"
    p95 = f"95 of 100 recordings take less than {figures.number(named.p95_ms)} ms each"
    memory = f"its processes hold {figures.number(named.memory_mb)} MB"
    yield f"{named.configuration}: {rate}; {p95}; {memory}."
    if found.against_default is not None:
        yield f"{_times(found.against_default)} the default, {found.against_default.other}."
    if found.against_runner_up is not None:
        yield f"{_times(found.against_runner_up)} the next one, {found.against_runner_up.other}."
    if named.eer_loss is not None and named.eer_loss_points is not None:
        low, high = named.eer_loss
        yield (
            f"Its EER is {named.eer_loss_points:+.2f} points ({low:+.2f} to {high:+.2f}) "
            "against float32 with the default chunk size, on the trials."
        )


def table(found: Answer) -> Iterator[str]:
    """Yield every configuration that was looked at: how it did, and why it is out."""
    yield (
        "| configuration | heat | time against the leader | × real time | p95 ms | MB | sessions "
        "| what became of it |"
    )
    yield "| :--- | :--- | ---: | ---: | ---: | ---: | ---: | :--- |"
    for entry in found.entries:
        interval = f" ({ends(entry.interval)})" if entry.interval else ""
        ratio = f"{entry.ratio:.3f}{interval}" if entry.ratio is not None else NONE
        numbers = (entry.times_real_time, entry.p95_ms, entry.memory_mb)
        written = " | ".join(NONE if n is None else figures.number(n) for n in numbers)
        what = entry.why if entry.fate == "out" else entry.fate
        if entry.eer_loss_points is not None and entry.fate != "named":
            what += f"; EER {entry.eer_loss_points:+.2f} points"
        what = what.replace("|", "\\|")
        yield (
            f"| {entry.configuration} | {entry.heat} | {ratio} | {written} | {entry.sessions} "
            f"| {what} |"
        )


def _times(gain: Gain | None) -> str:
    assert gain is not None
    return f"{figures.factor(gain.factor)} times as fast ({ends(gain.interval)}) as"


def _why_none(found: Answer) -> str:
    left = [entry for entry in found.entries if entry.fate in ("leads", "open", "tied")]
    if not left:
        return "no configuration that was raced keeps all limits"
    if len(left) == 1:
        return f"only {left[0].configuration} is left, and it is not sure yet"
    first = "; ".join(entry.configuration for entry in left[:3])
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    return f"cannot tell which is fastest of {first}{more}"
