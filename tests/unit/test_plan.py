"""Plans and cells."""

from pathlib import Path

import pytest

from rtfbench.base.errors import InputError
from rtfbench.engines.protocol import Form, Precision, parse_engine, parse_engines
from rtfbench.measure.plan import Plan, axes_of, expand, load_plan
from rtfbench.models.zoo import catalog


def forms(engine: str) -> Form:
    """Give every engine its form, as the registry would."""
    return "static" if engine == "mnn-mini" else "dynamic"


def test_the_default_is_the_published_table() -> None:
    """No file and no flag measure ResNet-34 on three engines, one thread, 32000 samples."""
    cells = expand(load_plan(None, {}), forms)
    assert [(c.model, c.engine, c.form, c.threads, c.chunk_samples) for c in cells[:3]] == [
        ("resnet34", "onnxruntime", "dynamic", 1, 32000),
        ("resnet34", "mnn", "dynamic", 1, 32000),
        ("resnet34", "mnn-mini", "static", 1, 32000),
    ]
    assert [cell.protocol for cell in cells] == ["published"] * 3 + ["steady"] * 3


def test_cells_are_unique_and_grouped() -> None:
    """A cell named twice is measured once; those that are compared stand side by side."""
    plan = Plan(
        engines=parse_engines("mnn", "onnxruntime", "mnn"),
        threads=(1, 2),
        forms=("dynamic", "static"),
    )
    cells = expand(plan, forms)
    assert len(cells) == 2 * 2 * 2 * 2
    groups = [cell.condition for cell in cells]
    assert len(set(groups)) == len([g for i, g in enumerate(groups) if g != groups[i - 1]])


def test_ids_are_stable_and_tell_cells_apart() -> None:
    """An id changes with the cell and with the model file, and with nothing else."""
    cells = expand(Plan(), forms)
    assert len({cell.id("x") for cell in cells}) == len(cells)
    assert cells[0].id("x") == cells[0].id("x") == expand(Plan(), forms)[0].id("x")
    assert cells[0].id("x") != cells[0].id("y")


def test_several_sweeps_share_a_file(tmp_path: Path) -> None:
    """A `[[sweep]]` takes what it does not name from the file; a shared cell is measured once."""
    path = tmp_path / "plan.toml"
    path.write_text(
        'models = ["xvec"]\nengines = ["mnn"]\nbudget_s = 7\n'
        "[[sweep]]\n"
        '[[sweep]]\nchunk_samples = [16000, 32000]\nprotocols = ["steady"]\n'
    )
    plan = load_plan(path, {})
    cells = expand(plan, forms)
    assert plan.budget_s == 7
    assert [(c.model, c.engine, c.protocol, c.chunk_samples) for c in cells] == [
        ("xvec", "mnn", "published", 32000),
        ("xvec", "mnn", "steady", 32000),
        ("xvec", "mnn", "steady", 16000),
    ]
    flags = {"protocols": ["published"], "models": ["resnet34"]}
    overridden = expand(load_plan(path, flags), forms)
    assert {(c.model, c.protocol) for c in overridden} == {("resnet34", "published")}


def test_sweeps_weigh_their_comparisons(tmp_path: Path) -> None:
    """A comparison has the weight of the first sweep that names it, one where none does."""
    path = tmp_path / "plan.toml"
    path.write_text('[[sweep]]\nprotocols = ["published"]\nweight = 3\n[[sweep]]\n')
    plan = load_plan(path, {})
    cells = expand(plan, forms)
    assert [axes_of(plan, cell).weight for cell in cells] == [3, 3, 3, 1, 1, 1]
    elsewhere = cells[0].model_copy(update={"chunk_samples": 99})
    assert axes_of(plan, elsewhere).weight == 1


def test_the_groups_of_overlapping_sweeps_stay_together(tmp_path: Path) -> None:
    """Cells that are compared take turns, even when two sweeps name them."""
    path = tmp_path / "plan.toml"
    path.write_text(
        'protocols = ["steady"]\n'
        '[[sweep]]\nengines = ["mnn"]\nthreads = [1, 2]\n'
        '[[sweep]]\nengines = ["onnxruntime"]\n'
    )
    cells = expand(load_plan(path, {}), forms)
    assert [(c.engine, c.threads) for c in cells] == [("mnn", 1), ("onnxruntime", 1), ("mnn", 2)]


@pytest.mark.parametrize(
    ("text", "name", "settings"),
    [
        ("mnn", "mnn", {}),
        (" mnn[] ", "mnn", {}),
        ("a-b.c[x=1, y=two]", "a-b.c", {"x": "1", "y": "two"}),
    ],
)
def test_engines_with_settings(text: str, name: str, settings: dict[str, str]) -> None:
    """An engine is a name, or a name with settings in brackets."""
    assert parse_engine(text) == (name, settings, None)


@pytest.mark.parametrize(
    "text", ["", "mnn[", "mnn[x]", "mnn[x=]", "mnn[=1]", "mnn[x=1,x=2]", "a b"]
)
def test_engines_that_cannot_be_read(text: str) -> None:
    """A malformed engine is an error that shows the right form."""
    with pytest.raises(ValueError, match=r"name\[key=value"):
        parse_engine(text)


def test_flags_override_the_file(tmp_path: Path) -> None:
    """What the command line does not name comes from the file."""
    path = tmp_path / "plan.toml"
    path.write_text('threads = [2]\nmodels = ["xvec"]\n')
    plan = load_plan(path, {"threads": [1], "models": None})
    assert plan.threads == (1,)
    assert plan.models == ("xvec",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("threads = [", "not TOML"),
        ("colour = 1", "known keys: .*models"),
        ('engins = ["mnn"]', r"engins: no such key; did you mean engines\?$"),
        (r'"co\nlour" = 1', r"'co\\nlour': no such key"),
        ("threads = []", "at least 1 item"),
        ("threads = ['two']", "valid integer"),
        ("protocols = ['fast']", "no protocol 'fast'; known: published, steady, "),
        ("[[sweep]]\nthreads = [0]", r"sweep.0.threads"),
        ("[[sweep]]\ncolour = 1", "known keys: .*models"),
        ("[[sweep]]\nbudget_s = 1", "sweep.0.budget_s"),
        ("sweep = [1]", "sweep.0"),
        ("[[sweep]]\nweight = 0", "sweep.0.weight"),
        ("sweep = 1", "sweep"),
        (
            '[[sweep]]\nprotocols = ["streams"]\nstreams = [2]\nwindow_s = 1.5\n[[sweep]]',
            "different windows",
        ),
    ],
)
def test_bad_plans_are_one_line(tmp_path: Path, content: str, message: str) -> None:
    """A plan that cannot be used is an error with the file's name and the reason."""
    path = tmp_path / "plan.toml"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        load_plan(path, {})
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "meant"),
    [
        ({"rates": [3.0], "protocols": ["steady"]}, "rates.*--protocol server$"),
        ({"jobs": [2]}, "jobs.*--protocol throughput or server or streams$"),
        ({"rates": [3.0], "protocols": ["throughput"]}, "rates.*--protocol server$"),
    ],
)
def test_a_flag_without_effect_is_refused(flags: dict[str, object], meant: str) -> None:
    """What no protocol of the run takes is not left out in silence."""
    with pytest.raises(InputError, match=meant):
        load_plan(None, flags)
    with pytest.raises(InputError, match=meant):
        load_plan(None, {"models": ["xvec"]} | flags)


def test_a_flag_that_one_protocol_of_several_takes_stays() -> None:
    """Jobs are for the queue; cells of the other protocol have one."""
    plan = load_plan(None, {"jobs": [2], "protocols": ["steady", "throughput"]})
    assert {(cell.protocol, cell.jobs) for cell in expand(plan, forms)} == {
        ("steady", 1),
        ("throughput", 2),
    }


@pytest.mark.parametrize(
    "asked",
    [{"protocols": ["server"], "rates": [3.0]}, {"protocols": ["streams"], "streams": [4]}],
)
def test_requests_may_be_windows(asked: dict[str, object]) -> None:
    """Recordings are cut for requests at a rate as they are for live streams."""
    plan = load_plan(None, asked | {"window_s": 2.0, "hop_s": 1.0})
    assert plan.cut == (2.0, 1.0)
    (size,) = {cell.chunk_samples for cell in expand(plan, forms)}
    assert size == 32000


def test_the_zoo_plan_is_the_published_table() -> None:
    """The package's plan `zoo` has every model with a published RTF for chunks of five seconds."""
    plan = load_plan(Path("zoo"), {})
    published = {
        name
        for name in catalog.names()
        if any(rtf.chunk_samples == 80000 for rtf in catalog.get(name).published_rtf)
    }
    models = [model for axes in plan.sweeps for model in axes.models]
    assert len(models) == 10
    assert set(models) == published
    for axes in plan.sweeps:
        assert (axes.chunk_samples, axes.threads) == ((80000,), (1,))
        assert axes.engines == parse_engines("onnxruntime", "mnn", "mnn-mini")
        assert axes.protocols == ("published",)


def test_a_file_hides_a_plan_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the name is meant before the package's plan; an unknown name is an error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo").write_text('models = ["xvec"]')
    assert load_plan(Path("zoo"), {}).models == ("xvec",)
    with pytest.raises(InputError, match="cannot read the plan"):
        load_plan(Path("zooo"), {})


def test_an_engine_names_its_precision() -> None:
    """It stands behind a colon, before settings; the label of a cell is written the same way."""
    assert parse_engine("openvino:int8").precision == "int8"
    spec = parse_engine("onnxruntime:int8[spinning=off]")
    assert spec == ("onnxruntime", {"spinning": "off"}, "int8")
    (cell,) = expand(
        Plan(engines=parse_engines("onnxruntime:int8[spinning=off]"), protocols=("steady",)), forms
    )
    assert cell.engine_label == "onnxruntime:int8[spinning=off]"
    with pytest.raises(ValueError, match=r"precision 'int9' is none of: float32, tf32, bf16"):
        parse_engine("openvino:int9")


def test_each_engine_gets_the_precisions_that_it_has() -> None:
    """Those that it lacks are left out, unless it lacks all or names one itself."""
    known: dict[str, tuple[Precision, ...]] = {
        "a": ("float32", "int8"),
        "b": ("float32",),
        "c": ("bf16",),
    }
    plan = Plan(
        engines=parse_engines("a", "b", "c", "b:int8"),
        precisions=("float32", "int8"),
        protocols=("steady",),
    )
    cells = expand(plan, forms, lambda engine, _: known[engine])
    assert [(cell.engine, cell.precision) for cell in cells] == [
        ("a", "float32"),
        ("a", "int8"),
        ("b", "float32"),
        ("c", "float32"),
        ("c", "int8"),
        ("b", "int8"),
    ]


def test_cells_in_float32_keep_their_names() -> None:
    """A run of before there were precisions can be gone on with."""
    (cell,) = expand(Plan(engines=parse_engines("mnn"), protocols=("steady",)), forms)
    assert cell.id("x") == "dd1b0b86b91a6c0e"
    assert cell.model_copy(update={"precision": "int8"}).id("x") != cell.id("x")
