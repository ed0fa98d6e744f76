"""What is raced, on which recordings, and how a configuration is written down."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtfbench.base.errors import InputError
from rtfbench.embed.intervals import Loss
from rtfbench.engines.protocol import EngineSpec
from rtfbench.extract.options import read_config
from rtfbench.frontends.chunking import ChunkPolicy
from rtfbench.measure.plan import expand, load_plan
from rtfbench.results.cells import Cell
from rtfbench.tune import recordings, saved, space
from rtfbench.tune.course import TrialSet, too_much

SECOND = 16000
ONNXRUNTIME = space.choice(EngineSpec("onnxruntime", {}), "dynamic", model="m", chunk_samples=32000)


def cell(**update: object) -> Cell:
    """Return the default on four cores, changed."""
    found = space.untuned("throughput", ONNXRUNTIME, cores=4)
    return found.model_copy(update=update)


def test_lengths_decide_the_chunk_sizes() -> None:
    """Recordings of a second want short chunks, those of 30 seconds have room for long ones."""
    short = space.sizes_for([SECOND] * 5, default=32000)
    long = space.sizes_for([29 * SECOND, 30 * SECOND, 31 * SECOND], default=32000)
    assert 16000 in short
    assert max(long) > max(short)
    assert 32000 not in short + long


def test_all_cores_are_shared_in_few_ways() -> None:
    """Every way keeps all cores at work; static models take no batches."""
    first, second = cell(jobs=1), cell(jobs=1, engine="mnn")
    found = space.shared([first, second], cores=4)
    assert all(each.jobs * each.threads == 4 for each in found)
    assert {(each.jobs, each.threads) for each in found if each.engine == "onnxruntime"} == {
        (4, 1),
        (2, 2),
        (1, 4),
    }
    assert {each.batch for each in found if each.form == "static"} == {1}
    assert {each.batch for each in found} == {1, *space.BATCHES}
    assert len(found) == len({each.model_dump_json() for each in found}) < 15


def test_latency_is_one_process() -> None:
    """One recording at a time is raced with all cores and with fewer."""
    alone = space.alone("latency", ONNXRUNTIME, cores=4)
    found = space.with_threads([alone], cores=4)
    assert {each.jobs for each in found} == {1}
    assert {each.threads for each in found} == {4, 2, 1}


def test_whoever_differs_least_is_nearest() -> None:
    """Fewer bits are graver than another size, that than a batch, and that than an engine."""
    default = cell()
    order = [
        default,
        cell(engine="mnn"),
        cell(batch=4),
        cell(chunk_samples=16000),
        cell(precision="int8"),
    ]
    mixed = [order[place] for place in (3, 0, 4, 2, 1)]
    assert sorted(mixed, key=lambda each: space.distance(each, default)) == order


def test_chosen_recordings_stand_for_all() -> None:
    """A few recordings are spread as all are, and are over soon; there are some however long."""
    rng = np.random.default_rng(0)
    lengths = [int(n) for n in rng.lognormal(np.log(4 * SECOND), 0.8, 5000)]
    some = [lengths[place] for place in recordings.chosen(lengths)]
    assert 5 <= len(some) <= recordings.MOST_RECORDINGS
    assert sum(some) <= recordings.MOST_S * SECOND
    assert np.median(some) == pytest.approx(np.median(lengths), rel=0.2)
    assert len(recordings.chosen([3600 * SECOND] * 9)) == recordings.FEWEST_RECORDINGS
    assert recordings.chosen([SECOND]) == [0]


def test_recordings_of_given_lengths_are_speech(tmp_path: Path) -> None:
    """Lengths alone are enough: recordings are cut from the package's speech, to the sample."""
    listed = tmp_path / "utt2dur"
    listed.write_text("a 1.0\nb 30.25\n\nc 2.5\n")
    found = recordings.from_lengths(listed, tmp_path / "made")
    assert sorted(found.num_samples.values()) == [16000, 40000, 484000]
    assert found.lengths == (16000, 484000, 40000)
    for source in found.sources:
        samples, rate = soundfile.read(source.path)
        assert (len(samples), rate) == (found.num_samples[source.name], SECOND)
        assert np.std(samples) > 0.01


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a one\n", ":1: 'a one': need a recording's length"),
        ("2\n-1\n", ":2: '-1'"),
        ("2\nnan\n", ":2: 'nan'"),
        ("0.001\n", ":1: "),
        ("\n", "holds no length"),
    ],
)
def test_what_is_no_length_is_named(tmp_path: Path, text: str, message: str) -> None:
    """The file and the line are told."""
    path = tmp_path / "lengths.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"lengths.txt.*{message}"):
        recordings.read_lengths(path)


@pytest.mark.parametrize(
    "chosen",
    [
        cell(),
        cell(engine="mnn", settings={"precision": "low"}, jobs=1, threads=4, batch=16),
        cell(model='a "quoted" \\ name.onnx', form="static", chunk_samples=48000),
    ],
)
def test_a_saved_configuration_comes_back(tmp_path: Path, chosen: Cell) -> None:
    """What is written is a plan of that one cell, and the options of an extraction."""
    path = tmp_path / "best.toml"
    path.write_text(saved.as_toml(chosen, packages=("MNN==3.6.1",), remarks=("so and so",)))
    assert expand(load_plan(path, {}), lambda _: "dynamic", cores=64) == (chosen,)
    config = read_config(path)
    assert (config.model, config.engine) == (chosen.model, chosen.engine_spec)
    assert (config.threads, config.jobs, config.batch) == (
        chosen.threads,
        chosen.jobs,
        chosen.batch,
    )
    assert tomllib.loads(path.read_text())["packages"] == ["MNN==3.6.1"]


def test_a_plan_of_several_is_no_configuration(tmp_path: Path) -> None:
    """It is refused with the number that it describes."""
    path = tmp_path / "plan.toml"
    path.write_text('engines = ["mnn", "onnxruntime"]\nprotocols = ["steady"]\n')
    with pytest.raises(InputError, match=r"plan\.toml: describes 2 configurations"):
        read_config(path)


def test_a_loss_is_allowed_when_it_is_surely_small() -> None:
    """One that may be larger is refused too, with what the trials would tell."""
    trials = TrialSet(Path("trials"), (), count=1200, most_loss=0.1)
    assert too_much(Loss(0.0002, -0.0004, 0.001), trials) == ""
    over = too_much(Loss(0.003, 0.002, 0.004), trials)
    assert over == "EER +0.30 points (+0.20 to +0.40), and 0.1 are allowed"
    unknown = too_much(Loss(0.0, -0.002, 0.002), trials)
    assert "not known to be within 0.1, 1200 trials resolve 0.30 points" in unknown


def test_padding_is_what_sizes_are_chosen_by() -> None:
    """The sizes that are raced fill up less than those that are not."""
    lengths = [5 * SECOND] * 3
    raced = space.sizes_for(lengths, default=32000)
    waste = {size: ChunkPolicy(size).padded_samples(5 * SECOND) for size in space.SIZES}
    others = [waste[size] for size in space.SIZES if size not in (*raced, 32000)]
    assert max(waste[size] for size in raced) <= min(others)
