"""What is told of an extraction on a cluster while it goes on."""

from pathlib import Path

from rtfbench.extract.cluster.tasks import ShardDone
from rtfbench.extract.cluster.whole import ExtractionProgress, ShardPlan
from rtfbench.inputs.kaldi import from_scp

NS_PER_S = 10**9


def test_pace_and_end_are_those_of_this_turn(tmp_path: Path) -> None:
    """What was finished before counts as done, and not as fast."""
    scp = tmp_path / "wav.scp"
    scp.write_text("".join(f"u{i} a.wav\n" for i in range(1000)))
    plan = ShardPlan.of(from_scp(scp), tmp_path, 4)
    now_s, shown = [100.0], list[str]()
    course = ExtractionProgress(
        lambda each: shown.append(str(each)), shown.append, clock=lambda: now_s[0]
    )
    course.begin(plan, {})
    now_s[0] = 150.0
    course.done(ShardDone(entries=250, failures=2, embedded=248, audio_ns=1000 * NS_PER_S))
    # The manifest of a shard that a lost worker had finished tells no times.
    course.done(ShardDone(entries=250, failures=0))
    assert shown == [
        "0 of 1000 utterances",
        "250 of 1000 utterances, 4.96 a second, 20.0 x real time, about 2 min left, 2 skipped",
        "500 of 1000 utterances, 4.96 a second, 20.0 x real time, about 50 s left, 2 skipped",
    ]
