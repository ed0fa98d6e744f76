"""What a gate found: a document, also a pull request's comment; JUnit XML, JSON."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from rtfbench.base.values import Value
from rtfbench.gate.measure import Held
from rtfbench.gate.verdict import Answer, Ruling, overall
from rtfbench.report import figures
from rtfbench.report.compare import ends
from rtfbench.report.document import Block, Document, Heading, Paragraph, document, table

WORDS: dict[Answer, str] = {
    "pass": "Pass: head is not slower by more than is allowed.",
    "regression": "Regression: head is slower.",
    "inconclusive": "Inconclusive: the measurement cannot tell.",
}
OF_TWO_HOSTS = "Not comparable: the runs are of two hosts, and no --budget changes that."


def of_gate(held: Held) -> Document:
    """Return the table with its verdict; fits a job summary and a pull request's comment."""
    heads = ["cell", "", "head / base", "95 %"]
    judged = [*heads, "limit", "verdict", "why, and what would decide"]
    counted = [each for each in held.rulings if each.counts]
    told = [_line(each)[: len(heads)] for each in held.rulings if not each.counts and each.ratio]
    return document(
        Heading(held.title, 3),
        Paragraph(OF_TWO_HOSTS if held.other_host else WORDS[overall(counted)], "strong"),
        table(judged, map(_line, counted), "llrrrll"),
        "Measured too; each decides where `--also` names it:" if told else None,
        table(heads, told, "llrr") if told else None,
        *held.notes,
    )


def _line(each: Ruling) -> list[str]:
    return [
        each.cell,
        each.criterion,
        figures.times(each.ratio) if each.ratio else figures.MISSING,
        ends(each.interval) if each.interval else figures.MISSING,
        f"+{figures.percent(each.limit)}" if each.limit else figures.MISSING,
        each.answer,
        each.why,
    ]


def other_host(differing: Sequence[tuple[str, str, str]]) -> list[Block | str]:
    """Say why runs of two hosts are not compared: what tells these from each other, and how."""
    return [
        "Other host: no ratio is judged, because another processor turns which engine is faster. "
        "Measure both sides on one machine, or look at both with `rtfbench report`.",
        table(["", "base", "head"], differing, "lll"),
    ]


def reason(rulings: Sequence[Ruling]) -> str:
    """Return why the answer is not a pass: of the first cell that is not, in one line."""
    answer = overall(rulings)
    counted = (each for each in rulings if each.counts)
    found = next((each for each in counted if each.answer == answer and each.why), None)
    return f"{found.cell}: {found.criterion}: {found.why}" if found else WORDS[answer]


class GateResult(Value):
    """What `--json` prints; `seconds` is 0 and `seed` None where finished runs were compared."""

    title: str
    answer: Answer
    seconds: float
    seed: int | None
    rulings: tuple[Ruling, ...]


def as_json(held: Held) -> str:
    """Return everything for machines; limits are shares, intervals those of the ratio."""
    found = GateResult(
        title=held.title,
        answer=overall(held.rulings),
        seconds=round(held.seconds, 1),
        seed=held.seed,
        rulings=tuple(held.rulings),
    )
    return found.model_dump_json(indent=2) + "\n"


def junit(held: Held) -> str:
    """Return JUnit XML of what counts: a regression is a failure, inconclusive is skipped."""
    rulings = [each for each in held.rulings if each.counts]
    counts = {answer: sum(each.answer == answer for each in rulings) for answer in WORDS}
    suite = ET.Element(
        "testsuite",
        name=held.title,
        tests=str(len(rulings)),
        failures=str(counts["regression"]),
        skipped=str(counts["inconclusive"]),
        time=f"{held.seconds:.1f}",
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
