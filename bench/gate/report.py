"""What a gate found: a markdown table, a comment for a pull request, JUnit XML, JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from xml.etree import ElementTree as ET

from bench.gate.verdict import Answer, Ruling, overall
from bench.report import figures
from bench.report.grid import grid

WORDS: dict[Answer, str] = {
    "pass": "Pass: nothing got slower by more than is allowed.",
    "regression": "Regression: something got slower.",
    "inconclusive": "Inconclusive: the measurement cannot tell.",
}


def markdown(rulings: Sequence[Ruling], *, title: str, notes: Sequence[str] = ()) -> str:
    """Return the table with its verdict; fits a job summary and a pull request's comment."""
    texts = [
        [
            "cell",
            "",
            "candidate / baseline",
            "95 %",
            "limit",
            "verdict",
            "why, and what would decide",
        ]
    ]
    texts += [
        [
            each.cell,
            each.criterion,
            figures.times(each.ratio) if each.ratio else figures.MISSING,
            "{:.3f} to {:.3f}".format(*each.interval) if each.interval else figures.MISSING,
            f"+{figures.percent(each.limit)}" if each.limit else figures.MISSING,
            each.answer,
            each.why,
        ]
        for each in rulings
    ]
    table = grid(texts, [False, False, True, True, True, False, False])
    remarks = "".join(f"\n{note}\n" for note in notes)
    return f"### {title}\n\n**{WORDS[overall(rulings)]}**\n\n{table}\n{remarks}"


def other_host(differing: Sequence[tuple[str, str, str]]) -> str:
    """Say why runs of two hosts are not compared: what tells these from each other.

    Args:
        differing: what it is, of the baseline and of the candidate.
    """
    table = grid([["", "there", "here"], *map(list, differing)], [False] * 3)
    return (
        "Other host: no ratio is judged, because another processor turns which engine is faster. "
        "Measure both sides on one machine, or look at both with `rtfbench report`.\n\n" + table
    )


def reason(rulings: Sequence[Ruling]) -> str:
    """Return why the answer is not a pass: of the first cell that is not, in one line."""
    answer = overall(rulings)
    found = next((each for each in rulings if each.answer == answer and each.why), None)
    return f"{found.cell}: {found.criterion}: {found.why}" if found else WORDS[answer]


def as_json(
    rulings: Sequence[Ruling], *, title: str, seconds: float, seed: int | None = None
) -> str:
    """Return everything for machines; limits are shares, intervals those of the ratio."""
    content = {
        "title": title,
        "answer": overall(rulings),
        "seconds": round(seconds, 1),
        "seed": seed,
        "rulings": [asdict(each) for each in rulings],
    }
    return json.dumps(content, indent=2) + "\n"


def junit(rulings: Sequence[Ruling], *, title: str, seconds: float) -> str:
    """Return JUnit XML: a regression is a failure, inconclusive is skipped."""
    counts = {answer: sum(each.answer == answer for each in rulings) for answer in WORDS}
    suite = ET.Element(
        "testsuite",
        name=title,
        tests=str(len(rulings)),
        failures=str(counts["regression"]),
        skipped=str(counts["inconclusive"]),
        time=f"{seconds:.1f}",
    )
    for each in rulings:
        case = ET.SubElement(suite, "testcase", classname=each.cell, name=each.criterion)
        text = f"{each.ratio or 0:.4f}; {each.why}"
        if each.answer == "regression":
            ET.SubElement(case, "failure", message=text)
        elif each.answer == "inconclusive":
            ET.SubElement(case, "skipped", message=text)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
