"""The Python interface: its names are light, its page and its notebook run as they stand."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from typing import Literal, get_type_hints

import numpy as np
import pytest

import rtfbench
from rtfbench.api.result import Result
from rtfbench.api.running import PlanOptions, _as_lists
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.measure.plan import Plan, load_plan
from tests.unit.report.results import row, summary

ROOT = Path(rtfbench.__file__).parent.parent
TEXT = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
NOTEBOOK = ROOT / "examples" / "first_look.ipynb"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, write_tiny_onnx: Callable[..., Path]) -> Path:
    """Return a folder with the files that the page and the notebook start from."""
    import soundfile

    folder = tmp_path_factory.mktemp("api")
    write_tiny_onnx(folder / "model.onnx")
    speech = sorted(DEFAULT_SPEECH.glob("*.flac"))[:2]
    for name, path in zip(("a.wav", "b.wav"), speech, strict=True):
        soundfile.write(folder / name, *soundfile.read(path, dtype="int16"))
    return folder


def run_script(text: str, place: Path) -> str:
    """Run a program in a process of its own and return what it printed."""
    script = place / "script.py"
    script.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        cwd=place,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_loads_no_runtime() -> None:
    """`import rtfbench` loads none of its modules, and its public names are there all the same."""
    code = (
        "import sys, rtfbench\n"
        "print([n for n in sys.modules if n.startswith('rtfbench.')], dir(rtfbench))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded, names = done.stdout.split("]", 1)
    assert loaded == "["
    assert all(f"'{name}'" in names for name in rtfbench.__all__)


@pytest.mark.measures
def test_importing_is_as_light_as_a_module_of_the_library() -> None:
    """`import rtfbench` adds less to an interpreter's start than `import typing` and `json` do."""

    def seconds(code: str) -> float:
        program = (
            f"import time; began = time.perf_counter(); {code}; print(time.perf_counter() - began)"
        )
        command = [sys.executable, "-c", program]
        runs = [
            subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
            for _ in range(5)
        ]
        return min(float(run.stdout) for run in runs)

    assert seconds("import rtfbench") < seconds("import typing, json, dataclasses")


def test_the_stub_has_the_public_names() -> None:
    """What is promised, what is loaded and what types are known of are the same names."""
    stub = ast.parse((ROOT / "bench" / "__init__.pyi").read_text(encoding="utf-8"))
    typed = {
        alias.asname
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == set(rtfbench.__all__)
    assert all(getattr(rtfbench, name).__doc__ for name in rtfbench.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rtfbench.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_the_page_names_what_is_public() -> None:
    """The table of the page lists every public name."""
    assert set(re.findall(r"^\| `rtfbench\.(\w+)", TEXT, re.MULTILINE)) == set(rtfbench.__all__)


def test_options_are_the_plans() -> None:
    """Whatever a plan file may say of a run, `rtfbench.run` takes, under the same name."""
    assert set(get_type_hints(PlanOptions)) == set(Plan.model_fields) - {"sweep"}


def test_the_pages_examples_run(place: Path) -> None:
    """The examples run in their order, as one program."""
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    printed = run_script("\n".join(blocks), place)
    assert "onnxruntime ok" in printed
    assert "no picture is called 'no such picture'" in printed


def test_the_notebook_runs(place: Path) -> None:
    """Its cells run in their order, and each last expression can be shown."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = "".join(
        f"exec(compile(ast.parse({text!r}), 'cell', 'exec'))\n" + shown(text)
        for cell in cells
        if cell["cell_type"] == "code"
        for text in ["".join(cell["source"])]
    )
    printed = run_script(f"import ast\n{code}", place)
    assert "<table " in printed
    assert "(16,)" in printed


def shown(text: str) -> str:
    """Return code that shows a cell's last expression as a notebook would."""
    last = ast.parse(text).body[-1]
    if not isinstance(last, ast.Expr):
        return ""
    return (
        f"value = {ast.unparse(last)}\n"
        "print(next((getattr(value, name)() for name in ('_repr_html_', '_repr_png_') "
        "if hasattr(value, name)), value))\n"
    )


def test_arrays_and_files_give_one_embedding(place: Path) -> None:
    """A file, its int16 samples and its floats are the same recording; a closed one says so."""
    import soundfile

    with rtfbench.Embedder(place / "model.onnx") as embedder:
        of_file = embedder.embed(place / "a.wav")
        for dtype in ("int16", "float32", "float64"):
            samples, _ = soundfile.read(place / "a.wav", dtype=dtype)
            np.testing.assert_array_equal(embedder.embed(samples), of_file)
    with pytest.raises(rtfbench.InputError, match="closed"):
        embedder.embed(place / "a.wav")


@pytest.mark.parametrize("engine", ["onnxruntime", "mnn"])
def test_threads_that_share_an_embedder(place: Path, engine: str) -> None:
    """Each gets its own recording's embedding; a fork of the process is told to open its own."""
    rng = np.random.default_rng(0)
    arrays = [(3000 * rng.standard_normal(16000 * (1 + i % 3))).astype(np.int16) for i in range(24)]
    with rtfbench.Embedder(place / "model.onnx", engine=engine) as embedder:
        alone = [embedder.embed(each) for each in arrays]
        with ThreadPoolExecutor(8) as threads:
            shared = list(threads.map(embedder.embed, arrays * 4))
        for got, want in zip(shared, alone * 4, strict=True):
            np.testing.assert_array_equal(got, want)
        child = os.fork()
        if not child:
            try:
                embedder.embed(arrays[0])
            except rtfbench.InputError as error:
                os._exit("open one in each" in str(error))
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        ("missing.wav", "does not exist"),
        (np.zeros((2, 16000), np.float32), r"shape \[2, 16000\]; give one channel"),
        (np.zeros(0, np.float32), "give one channel"),
        (np.zeros(16000, np.int32), "int32; give int16"),
        (np.full(16000, 3000.0), "must lie between -1 and 1"),
        (np.full(16000, np.nan), "NaN"),
        (np.zeros(10, np.int16), "too short for one frame"),
    ],
)
def test_bad_audio_is_one_line(place: Path, audio: object, said: str) -> None:
    """What cannot be embedded is refused with its reason."""
    with (
        rtfbench.Embedder(place / "model.onnx") as embedder,
        pytest.raises(rtfbench.InputError, match=said),
    ):
        embedder.embed(audio)  # type: ignore[arg-type]


def test_bad_input_is_one_line(place: Path, tmp_path: Path) -> None:
    """Models, options and folders that cannot be used end in the command line's own sentences."""
    for wrong, said in (
        (lambda: rtfbench.Embedder(place / "model.onnx", engine="mmn"), "mmn"),
        (lambda: rtfbench.load_run(tmp_path), "no records.jsonl"),
        (lambda: rtfbench.run(models="resnet43"), "resnet34"),
        (lambda: rtfbench.run(threads=0), "threads"),
        (lambda: rtfbench.run(models=["resnet34"], chunk_samples=1), "chunk_samples"),
        (lambda: rtfbench.run(speed="fast"), "speed"),  # type: ignore[call-arg]
    ):
        with pytest.raises(rtfbench.InputError, match=said) as error:
            wrong()
        assert "\n" not in str(error.value)


def test_an_interrupted_run_is_a_result(place: Path, tmp_path: Path) -> None:
    """Ctrl-C while it measures leaves a partial result, and going on completes it."""

    def interrupt(text: str, done: float) -> None:
        if "session 1" in text:
            raise KeyboardInterrupt

    def run(**more: object) -> rtfbench.Result:
        return rtfbench.run(
            models=place / "model.onnx",
            engines="onnxruntime",
            protocols="steady",
            budget_s=0.1,
            sessions=1,
            ghost=False,
            out=tmp_path / "run",
            **more,  # type: ignore[arg-type]
        )

    with pytest.warns(UserWarning, match=r"missing\.wav"):
        partial = run(progress=interrupt, audio=[place / "a.wav", place / "missing.wav"])
    assert partial.interrupted
    assert not partial.ok
    assert [cell.status for cell in partial.cells] == ["failed"]
    complete = run(resume=True, audio=place / "a.wav")
    assert complete.ok
    assert not complete.interrupted


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_data_frame_has_a_row_a_cell(library: Literal["pandas", "polars"]) -> None:
    """Both libraries get the same columns; a cell that has no RTF has a null in its place."""
    result = rtfbench.load_run(ROOT / "reports" / "zen5" / "resnet34")
    frame = result.to_dataframe(library)
    assert type(frame).__module__.startswith(library)
    assert len(frame) == len(result.cells)
    assert list(frame["engine"]) == [cell.engine for cell in result.cells]
    assert list(frame["rtf"]) == [cell.rtf for cell in result.cells]
    assert {"rtf_low", "rtf_high", "max_rel_err", "engine_label"} <= set(frame.columns)


def test_one_value_stands_for_a_list() -> None:
    """Every field of a plan that has several takes one, of each type that it may have."""
    given = _as_lists(
        {"models": Path("a.onnx"), "engines": "mnn", "threads": 2, "protocols": "server"}
        | {"rates": 2.5, "budget_s": 9.5}  # type: ignore[arg-type]
    )
    plan = load_plan(None, given)
    assert (plan.models, plan.threads, plan.rates, plan.budget_s) == (
        ("a.onnx",),
        (2,),
        (2.5,),
        9.5,
    )


def test_a_data_frame_holds_single_values(tmp_path: Path) -> None:
    """What has an interval, a loss of EER or of minDCF, is three columns, and nothing is nested."""
    losses = {"eer_loss": (0.01, 0.0, 0.02), "min_dcf_loss": (0.1, 0.05, 0.2)}
    result = Result(tmp_path, summary(row(settings={"a": "b"}, **losses)))
    (flat,) = result.to_dataframe("pandas").to_dict("records")
    nested = {name for name, value in flat.items() if isinstance(value, tuple | dict | list)}
    assert nested == set()
    for name, values in losses.items():
        assert (flat[name], flat[f"{name}_low"], flat[f"{name}_high"]) == values


def test_a_notebook_shows_tables_and_what_they_say() -> None:
    """The answer first, then the table of the run; findings and the rest are folded."""
    result = rtfbench.load_run(ROOT / "reports" / "zen5" / "resnet34")
    page = result._repr_html_()
    answer, rest = page.replace("<code>", "`").replace("</code>", "`").split("<table", 1)
    assert [escape(line) in answer for line in result.summary.answer] == [True] * 6
    assert rest.split("</table>")[0].count("<tr") == 1 + len(result.cells)
    assert page.count("¹ mnn-mini: ") == 1
    assert all(escape(finding.text) in page for finding in result.findings)


def test_pictures_have_names() -> None:
    """Each picture is found by its name; a run of the reports has several."""
    result = rtfbench.load_run(ROOT / "reports" / "zen5" / "resnet34")
    assert result.plot("where-the-time-goes").name == "where-the-time-goes"
    assert result.plot().png.startswith(b"\x89PNG")


def test_two_runs_are_compared_by_their_ratios() -> None:
    """A finished run against itself is no regression, and the verdict tells so in every form."""
    run = ROOT / "reports" / "zen5" / "resnet34"
    verdict = rtfbench.compare(run, run)
    assert verdict.answer != "regression"
    assert verdict.to_dict()["answer"] == verdict.answer
    assert "Absolute times are not compared" in verdict.to_markdown()
    assert verdict.seed is None


def test_what_a_comparison_allows_is_a_share_or_a_percentage() -> None:
    """0.08 and `8%` are the same limit, and what is neither is refused."""
    run = ROOT / "reports" / "zen5" / "resnet34"
    share, text = (rtfbench.compare(run, run, max_regression=each) for each in (0.08, "8%"))
    assert share.to_dict() == text.to_dict()
    assert share.rulings[0].limit == 0.08
    with pytest.raises(rtfbench.InputError, match="write a share between 0 and 100 %"):
        rtfbench.compare(run, run, max_regression="8")
