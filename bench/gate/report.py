"""What a gate found: a markdown table, a comment for a pull request, JUnit XML."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from bench.gate.verdict import Answer, Ruling, overall
from bench.report import figures
from bench.report.markdown import grid

WORDS: dict[Answer, str] = {
    "pass": "Pass: nothing got slower by more than is allowed.",
    "regression": "Regression: something got slower, and fresh processes confirmed it.",
    "inconclusive": "Inconclusive: the measurement cannot tell.",
}


def markdown(lines: Sequence[Ruling], *, title: str, notes: Sequence[str] = ()) -> str:
    """Return the table with its verdict; fits a job summary and a pull request's comment."""
    texts = [["cell", "", "candidate / baseline", "95 %", "verdict", "why, and what would decide"]]
    texts += [
        [
            line.cell,
            line.criterion,
            figures.times(line.ratio) if line.ratio else figures.MISSING,
            "{:.3f} to {:.3f}".format(*line.interval) if line.interval else figures.MISSING,
            line.answer,
            line.why,
        ]
        for line in lines
    ]
    table = grid(texts, [False, False, True, True, False, False])
    remarks = "".join(f"\n{note}\n" for note in notes)
    return f"### {title}\n\n**{WORDS[overall(lines)]}**\n\n{table}\n{remarks}"


def junit(lines: Sequence[Ruling], *, title: str, seconds: float) -> str:
    """Return JUnit XML: a regression is a failure, inconclusive is skipped."""
    counts = {answer: sum(line.answer == answer for line in lines) for answer in WORDS}
    suite = ET.Element(
        "testsuite",
        name=title,
        tests=str(len(lines)),
        failures=str(counts["regression"]),
        skipped=str(counts["inconclusive"]),
        time=f"{seconds:.1f}",
    )
    for line in lines:
        case = ET.SubElement(suite, "testcase", classname=line.cell, name=line.criterion)
        text = f"{line.ratio or 0:.4f}; {line.why}"
        if line.answer == "regression":
            ET.SubElement(case, "failure", message=text)
        elif line.answer == "inconclusive":
            ET.SubElement(case, "skipped", message=text)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
