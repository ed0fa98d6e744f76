"""Whole races on a scripted machine: who is named, who is out, and when nobody can be told."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rtfbench.embed.intervals import Loss
from rtfbench.engines.protocol import EngineSpec, Precision, parse_engines
from rtfbench.measure.context import Patience
from rtfbench.measure.plan import Plan, expand
from rtfbench.models.resolve import Resolved
from rtfbench.models.user_models import Reading
from rtfbench.report import markdown
from rtfbench.results import capacity
from rtfbench.results.cells import Cell
from rtfbench.results.load import Load, Traffic
from rtfbench.results.store import RunFolder
from rtfbench.tune import saved, space
from rtfbench.tune.answer import Answer, answer
from rtfbench.tune.course import RacePlan, TrialSet, Tuning
from rtfbench.tune.racing import NO_TIME, Limits
from rtfbench.tune.recordings import Recordings
from rtfbench.tune.report import draw, of_tuning
from rtfbench.tune.space import Goal, TuneOptions
from tests.unit.measure.scripted import Fault, Script, ScriptedMachine

CHUNKS = {"first": 2, "second": 5, "third": 3}


def noisy(chunk_s: float, *, fault: Fault | None = None, memory_mb: int = 100) -> Script:
    """Return an engine whose processes differ by 0.8 %, and its slots by 1 %."""
    size = memory_mb * 1_000_000
    return Script(chunk_s=chunk_s, luck=0.008, noise=0.01, fault=fault, peak_rss_bytes=size)


#: How long others are busy each time.
BUSY = (("quiet", None), ("disturbed", 2.3))
#: The default is three times as slow as the fastest.
ENGINES = {
    "default": noisy(0.090),
    "fast": noisy(0.030),
    "slower": noisy(0.033),
    "slow": noisy(0.150),
    "mad": Script(fault=Fault("dies", "opening")),
    "wrong": Script(chunk_s=0.001, fault=Fault("is wrong", "measuring")),
}


def each_once(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return cells as they are prepared: those that are asked for twice once."""
    return tuple(cell for number, cell in enumerate(cells) if cell not in cells[:number])


def text_of(found: Answer, *, commands: Sequence[str], in_python: str) -> str:
    """Return an answer as it is written."""
    return markdown.draw(of_tuning(found, commands=commands, in_python=in_python))


def tuned(
    tmp_path: Path,
    scripts: Mapping[str, Script] = ENGINES,
    *,
    goal: Goal = "throughput",
    budget_s: float = 400.0,
    limits: Limits | None = None,
    seed: int = 0,
    refused: Mapping[str, str] | None = None,
    precision: Precision = "float32",
    losses: Mapping[tuple[str, int], float] | None = None,
    busy_s: float | None = None,
    sizes: Sequence[int] = (32000, 16000),
    load: Load | None = None,
) -> Answer:
    """Race scripted engines, the first of them the default.

    All others compute in `precision`. `losses` of EER, in points, are asked for by engine and chunk
    size; without any there are no trials. Others are busy on and off, for `busy_s` each time.
    """
    machine = ScriptedMachine(scripts, chunks=CHUNKS, seed=seed, refused=refused, busy_s=busy_s)
    folder = RunFolder.create(tmp_path / f"run{seed}", overwrite=False, resume=False)
    context = machine.context(folder, patience=Patience(8))
    course = Tuning(
        RacePlan(
            goal=goal,
            choices=[
                space.choice(
                    EngineSpec(name, {}, precision if place else "float32"),
                    "dynamic",
                    model="m",
                    chunk_samples=sizes[0],
                )
                for place, name in enumerate(scripts)
            ],
            sizes=sizes,
            cores=2,
            budget_s=budget_s,
            margin=0.02,
            limits=limits or Limits(),
            trials=None if losses is None else TrialSet(tmp_path, (), count=1000, most_loss=0.1),
            load=load,
        ),
        context,
        lambda cells: context.prepare(Resolved(each_once(cells))),
        Recordings((), {name: 32000 * count for name, count in CHUNKS.items()}, (64000,)),
        losses_of=lambda exact, others, trials, context: {
            job.cell_id: Loss(points, points - 0.0001, points + 0.0001)
            for job in others
            for points in [(losses or {}).get((job.cell.engine, job.cell.chunk_samples), -1) / 100]
            if points >= 0
        },
    )
    course.run()
    found = answer(course, host="scripted")
    assert RunFolder(folder.path).cells(), "the records can be read again"
    return found


@pytest.mark.parametrize("seed", range(8))
def test_the_fastest_is_named(tmp_path: Path, seed: int) -> None:
    """Whatever luck and noise do, the fastest is named, and it is told by how much it gains."""
    found = tuned(tmp_path, seed=seed)
    assert found.decided
    assert found.named is not None
    assert found.named.cell.engine == "fast"
    assert found.against_default is not None
    assert found.against_default.interval[0] < 3.0 < found.against_default.interval[1]
    assert found.spent_s <= 1.1 * found.budget_s


def test_who_is_out_is_told_why(tmp_path: Path) -> None:
    """A slow engine, one that dies and one that is wrong each have their reason."""
    found = tuned(tmp_path)
    out = {entry.cell.engine: entry.why for entry in found.entries if entry.heat == "engines"}
    assert out["slow"].startswith("slower: ")
    assert out["mad"].startswith("failed: worker ended early")
    assert out["wrong"].startswith("wrong output: utterance first")
    speeds = {entry.cell.engine: entry.times_real_time for entry in found.entries}
    assert (speeds["wrong"], speeds["fast"] is None) == (None, False)
    raced = [entry.cell.engine for entry in found.entries if entry.heat == "all cores"]
    assert "slow" not in raced
    assert "mad" not in raced


@pytest.mark.parametrize("seed", range(4))
def test_the_default_size_is_raced_on_where_sizes_are_alike(tmp_path: Path, seed: int) -> None:
    """Another one would change the embeddings, and more than the finalists are as fast."""
    sizes = (32000, 16000, 24000, 48000, 80000, 160000)
    found = tuned(tmp_path, seed=seed, sizes=sizes, budget_s=800)
    assert found.named is not None
    assert found.named.cell.chunk_samples == 32000


@pytest.mark.parametrize("seed", range(4))
def test_who_comes_and_goes_changes_no_name(tmp_path: Path, seed: int) -> None:
    """Turns in which others were busy are taken again, and the others decide."""
    quiet, disturbed = (tuned(tmp_path / name, seed=seed, busy_s=busy_s) for name, busy_s in BUSY)
    assert quiet.named is not None
    assert disturbed.named is not None
    assert disturbed.named.cell == quiet.named.cell


def test_who_stays_busy_costs_no_more_than_the_first_turns(tmp_path: Path) -> None:
    """A disturbance that never ends slows all alike, and is not waited for again and again."""
    found = tuned(tmp_path, busy_s=1e6)
    assert found.named is not None
    assert found.named.cell.engine == "fast"
    assert found.spent_s <= 1.1 * found.budget_s


@pytest.mark.parametrize("busy_s", [None, 2.3, 1e6])
@pytest.mark.parametrize("budget_s", [15.0, 40.0])
def test_a_budget_is_kept(tmp_path: Path, budget_s: float, busy_s: float | None) -> None:
    """Within a tenth, also where others are busy; what starting processes takes is told apart."""
    found = tuned(tmp_path, budget_s=budget_s, busy_s=busy_s)
    assert found.spent_s <= 1.1 * budget_s
    assert found.loading_s > 0
    assert found.safe is not None


def test_of_equals_the_default_is_named(tmp_path: Path) -> None:
    """Where nothing makes a difference, nothing is changed."""
    same = {name: Script(chunk_s=0.03, luck=0.001, noise=0.001) for name in ("mine", "other")}
    found = tuned(tmp_path, same)
    assert found.named is not None
    assert (found.named.cell.engine, found.named.cell.chunk_samples) == ("mine", 32000)
    assert (found.named.cell.jobs, found.named.cell.threads, found.named.cell.batch) == (2, 1, 1)
    assert found.against_default is None
    assert "that is the default" in text_of(found, commands=(), in_python="")


def test_a_default_that_is_in_the_race_is_told_apart(tmp_path: Path) -> None:
    """It is prepared once, with the others; the gain is over it and over no other."""
    found = tuned(tmp_path, {"default": noisy(0.0315), "fast": noisy(0.030)})
    assert found.against_default is not None
    assert found.against_default.other == "default dynamic, 32000 samples, 2 jobs × 1 thread"
    low, high = found.against_default.interval
    assert low < 1.05 < high
    assert found.safe == found.named


def test_the_command_that_would_decide_asks_the_same() -> None:
    """Every option but the budget is the user's own; what is a default is left out."""
    asked = TuneOptions(
        model="my model.onnx",
        goal="latency",
        reading=Reading("nemo", output_name="embs"),
        engines=parse_engines("mnn", "onnxruntime"),
        audio=(Path("a.wav"),),
        resample=True,
        max_rss_mb=500.0,
        seed=3,
        libraries={"mnn": Path("/opt/mnn"), "mnn-mini": None},
    )
    assert saved.again(asked, 600) == (
        "rtfbench tune --model 'my model.onnx' --goal latency --front-end nemo "
        "--model-output embs --engine mnn --engine onnxruntime --audio a.wav --resample "
        "--max-rss 500 --budget 600 --seed 3 --mnn-home /opt/mnn"
    )
    assert saved.again(asked, None) == ""
    kept = saved.again(TuneOptions("xvec"), 60, Path("best.toml"))
    assert kept == "rtfbench tune --model xvec --budget 60 --save best.toml --overwrite"


def test_the_budget_that_would_do_is_more_than_what_was_spent(tmp_path: Path) -> None:
    """One that is over before all had a turn is not doubled, but what their turns took."""
    found = tuned(tmp_path, budget_s=1)
    assert found.named is None
    assert found.spent_s > 1
    assert found.needed_s is not None
    assert found.needed_s > found.spent_s


def test_what_the_budget_had_no_time_for_is_one_line(tmp_path: Path) -> None:
    """It is named, and counted beside what leads; the table has what was measured."""
    found = tuned(tmp_path, budget_s=1)
    missed = [entry.configuration for entry in found.entries if entry.why == NO_TIME]
    assert missed
    text = text_of(found, commands=(), in_python="")
    assert f"Not measured, since the budget was used up: {missed[0]}" in text
    assert f"| {missed[0]}" not in text
    assert f"the budget had no time for {len(missed)} more" in text
    assert "is left, and it is not sure yet" not in text


def test_a_short_budget_names_nobody(tmp_path: Path) -> None:
    """What cannot be told is not told; the budget that would do is, and what is safe until then."""
    near = {
        name: Script(chunk_s=0.03 + 0.0002 * place, luck=0.03, noise=0.03)
        for place, name in enumerate(("one", "two", "three"))
    }
    found = tuned(tmp_path, near, budget_s=12)
    assert found.named is None
    assert found.needed_s is None or found.needed_s > found.budget_s
    assert found.safe is not None
    assert found.safe.fate != "out"
    again = "rtfbench tune --budget 99"
    use = ("rtfbench run best.toml",)
    text = markdown.draw(of_tuning(found, commands=use, in_python="", decide=again))
    assert "cannot tell which is fastest" in text
    assert f"Safe until it is decided: {found.safe.configuration}" in text
    assert again in text
    assert use[0] in text


def test_limits_come_before_speed(tmp_path: Path) -> None:
    """The fastest is out where it takes too long for a recording."""
    found = tuned(tmp_path, limits=Limits(latency_ms=140.0))
    assert found.named is None
    assert all(entry.fate == "out" for entry in found.entries)
    whys = [entry.why for entry in found.entries if entry.heat == "all cores"]
    assert any("p95 of" in why and "over 140" in why for why in whys)
    assert "no configuration that was raced keeps all" in text_of(found, commands=(), in_python="")
    assert found.safe is None
    assert (found.none_left, found.needed_s) == (True, None)


def test_where_no_process_comes_to_be_ready_nobody_is_left(tmp_path: Path) -> None:
    """The reasons are the answer, and no larger budget is advised."""
    found = tuned(tmp_path, {"mad": ENGINES["mad"]})
    assert (found.named, found.none_left, found.needed_s) == (None, True, None)
    text = text_of(found, commands=(), in_python="")
    assert "worker ended early" in text
    assert "|  |" not in text


def test_who_is_too_large_leaves_others_in_the_race(tmp_path: Path) -> None:
    """Its speed puts nobody out: it is out itself before it is held against them."""
    engines = {"default": noisy(0.09), "fast": noisy(0.03, memory_mb=900)}
    found = tuned(tmp_path, engines, limits=Limits(rss_mb=500))
    assert found.named is not None
    assert found.named.cell.engine == "default"
    assert "900 MB, over 500" in {each.why for each in found.entries}


def test_a_loss_is_that_of_the_size_that_is_named(tmp_path: Path) -> None:
    """What loses nothing with the default size may lose too much with the faster one."""
    at_half = {"fast": ENGINES["fast"], "slower": ENGINES["slower"]}
    engines = {"default": ENGINES["default"], **at_half}
    kept = {(name, 32000): 0.05 for name in at_half} | {(name, 16000): 0.07 for name in engines}
    fine = tuned(tmp_path, engines, precision="int8", losses=kept)
    assert fine.named is not None
    assert fine.named.cell.precision == "int8"
    last = [each for each in fine.entries if each.heat == "all cores"]
    losses = {each.cell.chunk_samples: each.eer_loss_points for each in last if each.eer_loss}
    assert losses == {32000: pytest.approx(0.05), 16000: pytest.approx(0.07)}
    assert "Its EER is +0.05 points" in text_of(fine, commands=(), in_python="")

    lossy = {**kept, ("fast", 16000): 0.3, ("slower", 32000): 0.3}
    found = tuned(tmp_path, engines, precision="int8", losses=lossy, seed=1)
    out = {(each.cell.engine, each.cell.chunk_samples): each.why for each in found.entries}
    assert out["fast", 16000].startswith("EER +0.30 points")
    assert out["slower", 32000].startswith("EER +0.30 points")
    assert found.named is not None
    assert (found.named.cell.engine, found.named.cell.chunk_samples) == ("fast", 32000)
    assert found.named.eer_loss_points == pytest.approx(0.05)


def test_a_loss_that_cannot_be_measured_is_too_much(tmp_path: Path) -> None:
    """Who has no embeddings of the trials is out, and whom it had left behind is in again."""
    engines = {"default": ENGINES["default"], "fast": ENGINES["fast"]}
    found = tuned(tmp_path, engines, precision="int8", losses={("default", 16000): 0.0})
    assert found.decided
    assert found.named is not None
    assert found.named.cell.engine == "default"
    assert "its loss of EER could not be measured" in {each.why for each in found.entries}


def test_a_default_that_is_missing_costs_nothing(tmp_path: Path) -> None:
    """Another one is the measure of all, and no gain over the default is told."""
    found = tuned(tmp_path, refused={"default": "is not installed"})
    assert found.named is not None
    assert found.named.cell.engine == "fast"
    assert found.against_default is None


@pytest.mark.parametrize("seed", range(3))
def test_a_measure_of_all_that_dies_is_replaced(tmp_path: Path, seed: int) -> None:
    """When the reference dies between sessions, the race goes on with another."""
    dying = noisy(0.09, fault=Fault("dies", "measuring", session=1))
    found = tuned(tmp_path, ENGINES | {"default": dying}, seed=seed)
    assert found.named is not None
    assert found.named.cell.engine == "fast"


def test_latency_runs_one_process(tmp_path: Path) -> None:
    """One recording at a time: no jobs beside each other in any heat."""
    found = tuned(tmp_path, goal="latency")
    assert found.named is not None
    assert {entry.cell.jobs for entry in found.entries} == {1}
    assert {entry.cell.threads for entry in found.entries} == {1, 2}


def test_the_answer_is_written_and_drawn(tmp_path: Path) -> None:
    """Table, sentences and picture tell of every configuration."""
    found = tuned(tmp_path)
    text = text_of(found, commands=("rtfbench run best.toml",), in_python="import onnxruntime")
    assert text.startswith("# m on 2 cores: fast dynamic")
    raced = [(entry.cell.engine_label, entry.heat) for entry in found.entries if entry.sessions]
    refused = [entry for entry in found.entries if not entry.sessions]
    assert [entry.configuration.split()[0] for entry in refused] == ["mad", "wrong"]
    assert all(f"Not raced: {entry.configuration}: {entry.why}." in text for entry in refused)
    lines = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    head, _, *rows = [line for line in lines if len(line) > 2]
    at = head.index("heat")
    assert raced == [(row[1], row[at]) for row in rows]
    assert "```sh\nrtfbench run best.toml\n```" in text
    picture = draw(found)
    assert picture is not None
    assert picture.png.startswith(b"\x89PNG")
    assert b"fast dynamic" not in picture.png  # drawn, not text
    assert Answer.model_validate_json(found.model_dump_json()) == found


def test_an_answer_without_a_measured_row_is_drawn(tmp_path: Path) -> None:
    """Where nothing was measured, what was refused is named all the same."""
    found = tuned(tmp_path)
    refused = tuple(entry for entry in found.entries if not entry.sessions)
    text = text_of(
        found.model_copy(update={"entries": refused, "named": None, "safe": None}),
        commands=(), in_python="",
    )  # fmt: skip
    assert all(f"Not raced: {entry.configuration}" in text for entry in refused)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay shorter queues, and less often: what is sure is a little less."""
    monkeypatch.setattr(capacity, "LONG", (1000, 160))


def arriving(latency_ms: float) -> Load:
    """Return how requests arrive in the first session: more than any scripted engine serves."""
    return Load(rate_per_s=1e5 / latency_ms, latency_ms=latency_ms)


@pytest.mark.usefixtures("few_draws")
def test_who_holds_most_requests_is_named(tmp_path: Path) -> None:
    """Requests arrive at the finalists; as many as they hold is told."""
    engines = {name: ENGINES[name] for name in ("default", "fast", "wrong")}
    found = tuned(
        tmp_path, engines, goal="server", load=arriving(1000), sizes=(32000,), budget_s=2000
    )
    assert found.named is not None
    assert (found.named.cell.engine, found.named.cell.jobs) == ("fast", 2)
    assert found.named.cell.batch == 1
    assert found.named.held is not None
    # A request takes 0.1 s on average, and so two processes serve 20 a second at most.
    assert 14 < found.named.held < 20
    interval = found.named.held_interval
    assert interval is not None
    assert interval[0] < found.named.held < interval[1]
    one = next(each for each in found.entries if (each.cell.jobs, each.cell.threads) == (1, 2))
    assert one.fate == "out"
    assert one.ratio is not None
    assert one.ratio > 1.8
    default = next(
        each for each in found.entries if each.heat == "all cores" and each.cell.engine == "default"
    )
    assert "left out after one session: the leader holds" in default.why
    text = text_of(found, commands=(), in_python="")
    assert "requests/s, 99 of 100 within 1000 ms" in text
    assert draw(found) is not None
    assert Answer.model_validate_json(found.model_dump_json()) == found


@pytest.mark.usefixtures("few_draws")
def test_a_latency_that_nothing_keeps_leaves_nobody(tmp_path: Path) -> None:
    """Serving alone takes longer: every finalist is out, with the share that does."""
    found = tuned(
        tmp_path,
        {"fast": ENGINES["fast"]},
        goal="server",
        load=arriving(70),
        sizes=(32000,),
        budget_s=400,
    )
    assert found.named is None
    assert found.safe is None
    whys = [each.why for each in found.entries if each.cell.jobs == 2]
    assert whys
    assert all(why.startswith("no rate keeps the limit: ") for why in whys)


def test_a_load_is_written_as_a_plan_says_it() -> None:
    """What is saved asks for the rate that is held, or for as many live streams."""
    cell = Cell(
        model="m",
        engine="onnxruntime",
        form="dynamic",
        threads=1,
        chunk_samples=24000,
        protocol="throughput",
        jobs=2,
    )
    (load,) = Traffic(streams=(10,), latency_ms=300).of_streams()
    live = space.arriving(cell, load)
    assert live.load is not None
    assert live.load.streams == 20
    text = saved.as_toml(live, packages=(), remarks=())
    plan = Plan.model_validate(tomllib.loads(text))
    (again,) = expand(plan, lambda _: "dynamic")
    assert again == live
    held = space.arriving(cell, Load(rate_per_s=8.5, gamma_shape=0.5, latency_ms=300))
    plan = Plan.model_validate(tomllib.loads(saved.as_toml(held, packages=(), remarks=())))
    (again,) = expand(plan, lambda _: "dynamic")
    assert again == held
