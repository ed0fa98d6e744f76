"""Hundreds of results made at random: every sentence and title is held against the numbers."""

import re
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pytest

from rtfbench.report import page, plots
from rtfbench.report.compare import lead, listed, paired_ratio, rows_of
from rtfbench.report.engine_findings import matrices
from rtfbench.report.findings import findings
from rtfbench.results.cells import Condition, ProtocolName
from rtfbench.results.rows import CellSummary, EngineForm, Ratio, Summary
from tests.unit.report.results import UTTERANCES, failed, ratio, row, summary

ENGINES = ("onnxruntime", "mnn", "mnn-mini", "other")
SIZES = (16000, 32000, 80000)
NUMBER = r"([\d.]+)"
INTERVAL = rf"\({NUMBER} to {NUMBER}\)"
TAKES = re.compile(rf"([\w-]+) takes {NUMBER} times as long as ([\w-]+) {INTERVAL}")
APART = re.compile(
    rf"([\w-]+) and ([\w-]+) cannot be told apart: {NUMBER} times as long {INTERVAL}"
)
PUBLISHED = re.compile(
    rf"under the published protocol ([\w-]+) takes {NUMBER} times as long {INTERVAL} as ([\w-]+); "
    r"in steady state (.*)"
)
#: Two digits after the point are written.
WRITTEN = 0.0051


@cache
def made(seed: int) -> Summary:
    """Return a result: engines of random speed, sessions and coverage, some rows missing."""
    rng = np.random.default_rng(seed)
    engines = ENGINES[: rng.integers(1, len(ENGINES) + 1)]
    models = [f"model{n}" for n in range(rng.choice([1, 2, 5]))]
    protocols: Sequence[ProtocolName] = (("steady",), ("published", "steady"))[rng.integers(2)]
    sizes = SIZES[: rng.integers(1, 4)]
    cells: list[CellSummary] = []
    ratios: list[Ratio] = []
    for protocol in protocols:
        for model in models:
            for size in sizes:
                for cell, found in _group(rng, protocol, model, size, engines):
                    cells.append(cell)
                    ratios += [found] if found else []
    return summary(*cells, ratios=tuple(ratios))


def _group(
    rng: np.random.Generator, protocol: ProtocolName, model: str, size: int, engines: Sequence[str]
) -> Iterator[tuple[CellSummary, Ratio | None]]:
    """Yield the rows of a condition, each with its ratio to the first."""
    where = {"protocol": protocol, "model": model, "chunk_samples": size}
    sessions = int(rng.choice([1, 2, 6]))
    speeds = np.exp(rng.normal(0, rng.choice([0.004, 0.05, 0.5]), len(engines)))
    half = float(rng.choice([0.005, 0.05, 0.3]))
    covered = int(rng.choice([1, len(UTTERANCES)], p=[0.2, 0.8]))
    for index, (engine, speed) in enumerate(zip(engines, speeds, strict=True)):
        if index and rng.random() < 0.1:
            yield failed(engine=engine, title=model, **where), None
            continue
        rtf = 0.02 * float(speed)
        cell = row(
            engine=engine, title=model, rtf=rtf, rtf_ci95=(rtf / (1 + half), rtf * (1 + half)),
            rtf_padded=rtf * 0.8, sessions=sessions, utterances=covered,
            chunk_ms=40.0, first_chunk_ms=float(rng.choice([41.0, 300.0])),
            effective={"first_run": "weight preparation"}, **where,
        )  # fmt: skip
        value = float(speed / speeds[0])
        if not index or rng.random() < 0.1:
            yield cell, None
            continue
        ci95 = (value / (1 + half), value * (1 + half)) if rng.random() < 0.9 else None
        yield cell, ratio(engine=engine, ratio=value, ci95=ci95, sessions=sessions, **where)


def pair(result: Summary, where: Condition, left: str, right: str) -> tuple[float, float, float]:
    """Return ratio and interval of two engines."""
    sides = [EngineForm(name, "dynamic") for name in (left, right)]
    found = paired_ratio(result, where, *sides)
    assert found is not None
    assert found.ci95 is not None
    return found.ratio, *found.ci95


def condition_of(result: Summary, text: str) -> Condition:
    """Return what a sentence speaks of, by its beginning."""
    found = re.match(r"([\w-]+), (?:(steady|published), )?(-?\d+) samples, (\d+) thread", text)
    assert found, text
    return Condition(
        model=found[1], protocol="published" if found[2] == "published" else "steady",
        chunk_samples=int(found[3]), threads=int(found[4]),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(200))
def test_every_sentence_is_what_the_numbers_say(seed: int) -> None:
    """Who takes longer does; a tie is one; the other way round is; what is left out is said."""
    result = made(seed)
    for finding in findings(result):
        text = finding.text
        assert "×" not in text, text
        if finding.kind == "engine" and "models," not in text:
            _check_engines(result, text)
        elif finding.kind == "protocol":
            _check_protocols(result, text)
        elif finding.kind == "coverage":
            assert " of 2 utterances were measured" in text
    partial = {cell.utterances for cell in result.cells if cell.rtf} - {len(UTTERANCES)}
    assert bool(partial) == any(each.kind == "coverage" for each in findings(result))


def _check_engines(result: Summary, text: str) -> None:
    where = condition_of(result, text)
    for left, factor, right, low, high in TAKES.findall(text):
        value, *ends = pair(result, where, left, right)
        assert value > 1
        assert ends[0] > 1
        for written, known in ((factor, value), (low, ends[0]), (high, ends[1])):
            assert float(written) == pytest.approx(known, abs=WRITTEN, rel=WRITTEN)
    for left, right, factor, low, high in APART.findall(text):
        value, *ends = pair(result, where, left, right)
        assert ends[0] <= 1 <= ends[1] or abs(value - 1) < 0.021
        for written, known in ((factor, value), (low, ends[0]), (high, ends[1])):
            assert float(written) == pytest.approx(known, abs=WRITTEN, rel=WRITTEN)


def _check_protocols(result: Summary, text: str) -> None:
    steady = condition_of(result, text)
    published = steady.model_copy(update={"protocol": "published"})
    found = PUBLISHED.search(text)
    assert found, text
    left, factor, low, high, right, rest = found.groups()
    value, *ends = pair(result, published, left, right)
    assert value > 1
    assert ends[0] > 1
    for written, known in ((factor, value), (low, ends[0]), (high, ends[1])):
        assert float(written) == pytest.approx(known, abs=WRITTEN, rel=WRITTEN)
    after, *after_ends = pair(result, steady, left, right)
    assert after < value
    if rest.startswith("it is the other way round"):
        assert after_ends[1] < 1
        assert rest.startswith(f"it is the other way round: {right} takes")
    elif rest.startswith("they cannot be told apart"):
        assert after_ends[0] <= 1 <= after_ends[1] or abs(after - 1) < 0.021
    else:
        assert after_ends[0] > 1
    explained = re.search(r"explain (\d+) %", text)
    if explained:
        assert int(explained[1]) <= 110


@pytest.mark.parametrize("seed", range(200))
def test_who_leads_is_ahead_of_all_others(seed: int) -> None:
    """Rows that tie lead together; every other engine takes longer than each of them, surely."""
    result = made(seed)
    for where in dict.fromkeys(cell.condition for cell in result.cells):
        found = lead(result, where)
        if found is None:
            continue
        rows = {cell.engine: cell for cell in rows_of(result, where)}
        group = {each.engine for each in found.group}
        assert min(rows, key=lambda name: rows[name].rtf or 0.0) in group
        for name in rows.keys() - group:
            for member in group:
                value, low, _ = pair(result, where, name, member)
                assert low > 1
                assert found.by[0] <= value <= found.by[1]
        assert bool(found.behind) == bool(rows.keys() - group)


@pytest.mark.parametrize("seed", range(0, 300, 30))
def test_titles_name_who_leads(seed: int) -> None:
    """A picture of one model names the group that wins; two lines at most."""
    result = made(seed)
    for picture in plots.draw(result):
        assert len(picture.title) < 150, picture.title
        assert "slower" not in picture.title
        if not picture.name.startswith("rtf-by-model"):
            continue
        size = re.search(r"(\d+) samples", picture.caption)
        models = {cell.model for cell in result.cells}
        if size is None or len(models) > 1:
            continue
        where = Condition(
            model=models.pop(), threads=1, chunk_samples=int(size[1]), protocol="steady"
        )  # fmt: skip
        found = lead(result, where)
        if found is None:
            assert "times as fast" not in picture.title
        elif found.behind:
            names = listed([each.engine for each in found.group])
            assert re.search(rf": {names} (is|are) [\d.]+", picture.title), picture.title
        else:
            assert "no engine can be told from the others" in picture.title


def test_many_models_are_one_matrix_and_one_sentence() -> None:
    """Of five models, the fastest of each is marked, and no model has a sentence of its own."""
    many = [seed for seed in range(300) if len({c.model for c in made(seed).cells}) == 5]
    told = 0
    for seed in many[:60]:
        result = made(seed)
        engine = [each.text for each in findings(result) if each.kind == "engine"]
        assert len(engine) <= len({(c.protocol, c.threads) for c in result.cells})
        told += len(engine)
        for title, engines, models in matrices(result):
            protocol: ProtocolName = "published" if "published" in title else "steady"
            size = int(re.findall(r"(\d+) samples", title)[0])
            for model, *texts in models:
                assert len(texts) == len(engines)
                where = Condition(
                    model=model, threads=1, chunk_samples=size, protocol=protocol
                )  # fmt: skip
                found = lead(result, where)
                expected = len(found.group) if found and found.behind else 0
                assert texts.count("fastest") == expected
    assert told


def test_the_page_shows_the_matrix() -> None:
    """Each model of a matrix is a line of the page's, with the fastest marked."""
    result = next(r for r in map(made, range(300)) if len({c.model for c in r.cells}) == 5)
    written = page.render(result, [])
    found = list(matrices(result))
    assert found
    for matrix in found:
        assert f">{matrix.title}</h2>" in written
    named = sum(line.count("fastest") for matrix in found for line in matrix.models)
    assert written.count('<td class="numeric fastest">fastest</td>') == named
