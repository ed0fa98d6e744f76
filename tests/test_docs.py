"""The documentation: its links, its commands, its files and its figures."""

import pkgutil
import re
import shlex
import tomllib
from pathlib import Path
from typing import get_args

import pytest
import typer

from rtfbench.commands.app import app
from rtfbench.engines import registry
from rtfbench.gate.baseline import Baseline
from rtfbench.measure.plan import Plan
from rtfbench.models import front_ends
from rtfbench.report import explained, figures, hosts, markdown
from rtfbench.results.cells import Status
from rtfbench.results.explanation import Explanation
from rtfbench.results.rows import Summary
from rtfbench.results.store import EXPLANATION, read_explanation
from rtfbench.tune import saved
from rtfbench.tune.answer import Answer
from rtfbench.tune.report import of_tuning

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    page
    for folder in (ROOT, DOCS, ROOT / "reports", *(ROOT / "examples").glob("*/"))
    for page in folder.glob("*.md")
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def name_of(page: Path) -> str:
    """Return a page's path in the project."""
    return str(page.relative_to(ROOT))


#: A module, or what is in one, as texts name it.
NAMED = re.compile(r"(?:`|python -m |`import )(rtfbench(?:\.\w+)*)\b(?=[`\s(])")
#: Names that are no module's: groups of entry points, and a key of a model file's metadata.
NO_MODULES = {"rtfbench.devices", "rtfbench.protocols", "rtfbench.vads", "rtfbench.front_end"}


@pytest.mark.parametrize("room", ["docs", "bench", "engines", "frontends"])
def test_names_in_texts_are_there(room: str) -> None:
    """A module or a name that a page or a docstring tells of can be imported."""
    told: dict[str, Path] = {}
    for path in PAGES if room == "docs" else (ROOT / room).rglob("*.py"):
        text = path.read_text("utf-8")
        assert "import bench" not in text, path
        told |= dict.fromkeys(NAMED.findall(text), path)
    assert told
    for name in told.keys() - NO_MODULES:
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            pytest.fail(f"{told[name]}: there is no {name}")


def blocks(page: Path, language: str) -> list[str]:
    """Return a page's code of one language."""
    return [code for named, code in FENCE.findall(page.read_text("utf-8")) if named == language]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    text = FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


def commands(page: Path) -> list[list[str]]:
    """Return a page's `rtfbench` commands as arguments, without comments and pipes."""
    lines = (line for code in blocks(page, "sh") for line in code.splitlines())
    words = (shlex.split(line, comments=True) for line in lines)
    return [each[1:] for each in words if each and each[0].rsplit("/", 1)[-1] == "rtfbench"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Relative links name files of the project, and anchors headings of them."""
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)}: {link}"
        assert ROOT in target.parents, f"{name_of(page)}: {link} leaves the project"
        assert not anchor or anchor in anchors(target), f"{name_of(page)}: {link}"


def test_the_index_names_every_page() -> None:
    """No page is without a link from `docs/README.md`."""
    linked = set(LINK.findall((DOCS / "README.md").read_text("utf-8")))
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= linked


@pytest.mark.parametrize(
    ("page", "command"),
    [pytest.param(p, c, id=f"{name_of(p)}: {' '.join(c)}") for p in PAGES for c in commands(p)],
)
def test_every_command_is_understood(page: Path, command: list[str]) -> None:
    """Commands have the names and options that there are, and values of the right kind."""
    group = typer.main.get_command(app)
    context = group.make_context("rtfbench", list(command), resilient_parsing=False)
    name, found, rest = group.resolve_command(context, command)  # type: ignore[attr-defined]
    assert found is not None, command
    found.make_context(name, list(rest), parent=context)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_toml_file_is_valid(page: Path) -> None:
    """Plans are plans, baselines are baselines; entry points belong to a project's own file."""
    for code in blocks(page, "toml"):
        content = tomllib.loads(code)
        if "project" in content:
            continue
        if isinstance(content.get("front_end"), dict):
            front_ends.of_table(page, content["front_end"])
            continue
        held = {"packages", "revision", "model_file"} & set(content)
        (Baseline if held else Plan).model_validate(content)


def test_every_status_is_explained() -> None:
    """Troubleshooting has a line for each way in which a cell may end."""
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    assert [each for each in get_args(Status) if f"| `{each}` |" not in text] == []


def test_faults_have_tests() -> None:
    """Every test that `docs/reliability.md` names is there."""
    named = re.findall(r"`(test_\w+)`", (DOCS / "reliability.md").read_text("utf-8"))
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 20
    for name in named:
        assert f"def {name}(" in sources, name


def test_every_quoted_refusal_is_in_the_source() -> None:
    """What troubleshooting quotes of a message is what a user sees."""
    text = (DOCS / "troubleshooting.md").read_text("utf-8")
    table = text.split("## What commands refuse")[1].split("\n## ")[0]
    source = "\n".join(
        re.sub(r'"\n\s*f?"', "", file.read_text("utf-8"))
        for folder in ("bench", "engines", "frontends")
        for file in (ROOT / folder).rglob("*.py")
    )
    source = re.sub(r"\{[^{}]*\}", "...", source)
    quoted = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(quoted) > 10
    parts = [part.strip() for message in quoted for part in message.split("...") if part.strip()]
    assert [part for part in parts if part not in source] == []


def test_engines_and_settings_are_those_there_are() -> None:
    """The table of engines has every one that ships, each setting and each value."""
    text = (DOCS / "engines.md").read_text("utf-8")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for name in declared["entry-points"][registry.GROUP]:
        engine = registry.get(name)
        (line,) = re.findall(rf"^\| `{re.escape(name)}` \|.*$", text, re.MULTILINE)
        assert f"| `.{engine.format}` | {engine.default_form} |" in line
        for settings in (engine.choices, engine.recipes):
            for key, values in settings.items():
                assert f"`{key}`: {', '.join(values)}" in line


def test_every_extra_is_named() -> None:
    """The table of extras has each that a user may install."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (DOCS / "start.md").read_text("utf-8")
    table = "".join(re.findall(r"^\|.*\|.*\|$", text, re.MULTILINE))
    extras = set(declared["optional-dependencies"]) - {"dev"}
    assert {each for each in extras if f"`{each}`" not in table} == set()


def stored(name: str) -> Summary:
    """Return a stored result."""
    return Summary.model_validate_json((ROOT / "reports" / name / "summary.json").read_text())


def test_the_chunk_sizes_table_is_the_stored_one() -> None:
    """What `choosing.md` shows of chunk sizes was measured."""
    rows = stored("zen5/resnet34").cells
    steady = {
        (row.chunk_samples, row.engine): row
        for row in rows
        if row.protocol == "steady" and row.threads == 1
    }
    sizes = sorted({size for size, _ in steady})
    text = (DOCS / "choosing.md").read_text("utf-8")
    for size in sizes:
        ort, mnn = steady[size, "onnxruntime"], steady[size, "mnn"]
        assert ort.padded_share is not None
        line = (
            f"| {size} | {size // 16000} | {figures.rtf(ort.rtf)} | {figures.rtf(mnn.rtf)} | "
            f"{ort.padded_share:.0%} |"
        )
        assert line.replace("%", " %") in text


HOSTS = ("zen5", "zen4-avx512", "zen4-avx2", "zen3", "emerald-rapids")


def test_the_first_table_is_of_the_stored_runs() -> None:
    """README's table has the RTF of every host's stored run, engine by engine and protocol."""
    readme = (ROOT / "README.md").read_text("utf-8")
    found = {
        (row.engine, row.protocol, host): figures.rtf(row.rtf)
        for host in HOSTS
        for row in stored(f"{host}/resnet34").cells
        if row.chunk_samples == 32000
    }
    lines = re.findall(r"^\| (\S+)[ ¹]+\| (published|steady) +\| (.*) \|$", readme, re.MULTILINE)
    assert len(lines) == len(found) / len(HOSTS)
    for engine, protocol, shown in lines:
        expected = [found[engine, protocol, host] for host in HOSTS]
        assert [each.strip() for each in shown.split("|")] == expected


def test_hosts_side_by_side_are_the_stored_runs() -> None:
    """`reports/hosts.md` is what `rtfbench report` says of the stored runs of all hosts."""
    runs = [("resnet34", stored(f"{host}/resnet34")) for host in HOSTS]
    text = (ROOT / "reports" / "hosts.md").read_text("utf-8")
    assert text.strip() == markdown.draw(hosts.of_hosts(hosts.named(runs))).strip()


def test_the_precision_table_is_the_stored_one() -> None:
    """Every figure of the table stands in the stored report."""
    report = (ROOT / "reports" / "zen5" / "precision" / "table.md").read_text("utf-8")
    page = (DOCS / "precision.md").read_text("utf-8").split("## ")[0]
    shown = re.findall(r"\d+\.\d+ \(\d+\.\d+ to \d+\.\d+\)", page.split("\n\n")[2])
    assert len(shown) > 5
    assert [each for each in shown if each not in report] == []
    readme = (ROOT / "README.md").read_text("utf-8")
    (quoted,) = re.findall(r"(\d\.\d\d) times \((\d\.\d\d to \d\.\d\d)\) as fast", readme)
    assert "{} times ({}) as fast".format(*quoted) in report + page


def test_the_explained_tables_are_the_stored_ones() -> None:
    """What `explain.md` shows of kinds, and says of totals, stands in the stored reports."""
    folder = ROOT / "reports" / "zen5" / "explain"
    resnet, ecapa = (
        (folder / model / "explain.md").read_text("utf-8") for model in ("resnet34", "ecapa512")
    )
    text = (DOCS / "explain.md").read_text("utf-8")
    shown = re.findall(r"^\| (\d.*|elementwise.*) \|$", text, re.MULTILINE)
    assert len(shown) == 4
    for line in shown:
        kind, *values = (cell.strip() for cell in line.split("|"))
        (stored_line,) = (row for row in resnet.splitlines() if row.startswith(f"| {kind} "))
        stored_cells = [cell.strip() for cell in stored_line.split("|")]
        assert [value for value in values if value not in stored_cells] == []
    assert "up to 1.26 times as fast as the core's peak" in resnet
    assert "8.07 of the 9.25 ms are in 1-D convolutions, kernel 1" in ecapa


@pytest.mark.parametrize("model", ["resnet34", "ecapa512"])
def test_stored_explanations_say_what_their_figures_say(model: str) -> None:
    """The report beside stored figures is the one that they give today."""
    folder = ROOT / "reports" / "zen5" / "explain" / model
    text = markdown.draw(
        explained.of_explanation(read_explanation(folder / EXPLANATION, Explanation))
    )
    assert text == (folder / "explain.md").read_text("utf-8")


def rows_of(page: str, first: str) -> list[list[str]]:
    """Return the rows of the table in markdown whose first heading it is, headings too."""
    (found,) = re.findall(rf"^\| {first} .*\n(?:\|.*\n)+", page, re.MULTILINE)
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in found.splitlines()]
    return [rows[0], *rows[2:]]


def test_the_example_of_a_tuning_is_the_stored_one() -> None:
    """Every row that the page shows is a row of the stored answer, which its figures give today."""
    folder = ROOT / "reports" / "zen5" / "tune" / "resnet34"
    found = Answer.model_validate_json((folder / "tune.json").read_text("utf-8"))
    assert found.named is not None
    text = (folder / "tune.md").read_text("utf-8")
    commands = saved.commands("best.toml")
    assert text == markdown.draw(of_tuning(found, commands=commands, in_python=""))
    page = (DOCS / "tune.md").read_text("utf-8")
    (head, *stored), (shown_head, *shown) = rows_of(text, "engine"), rows_of(page, "engine")
    places = [head.index(name) for name in shown_head]
    assert len(shown) == 4
    assert {*map(tuple, shown)} <= {tuple(row[at] for at in places) for row in stored}
    assert f"in {found.spent_s:.0f} s of measuring" in page
