"""Where an engine's output leaves the reference, as a value and in words (pure)."""

from collections.abc import Sequence

from rtfbench.base.values import Value
from rtfbench.engines.protocol import Form
from rtfbench.report.document import Document, Heading, Paragraph, document
from rtfbench.report.figures import counted
from rtfbench.results.cells import MAX_REL_ERR

#: So many operators are named one by one.
MOST_NAMED = 6


class Tensor(Value):
    """A tensor of the source graph, with its shape on the chunk that was computed."""

    name: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {list(self.shape)}"


class Operator(Value):
    """A node of the source graph, and the weights that it takes."""

    kind: str
    name: str
    weights: tuple[str, ...] = ()

    def __str__(self) -> str:
        weights = f" ({self.weights[0]})" if self.weights else ""
        return f"{self.kind} `{self.name}`{weights}"


class CellFinding(Value):
    """What was found of one cell. Errors are the largest difference over the largest value.

    Attributes:
        error: of the embedding, None where nothing could be compared; `reason` of a failure.
        tensor: the first one that is wrong though all that it is computed from is right.
        tensor_error: its error, `tensor_reason` of a failure.
        operators: what computes it, from `given`.
        looked_at: how many tensors were compared, of all `tensors` that could be.
        alone_error: of the operators in a model of their own, None where that tells nothing;
            `alone_reason` of a failure.
        needed: how many operators the smallest model has that is wrong, None without one.
        saved: the folder of that model.
        note: what else has to be known, or why nothing was found.
    """

    engine: str
    form: Form
    version: str = ""
    wrong: bool = False
    error: float | None = None
    reason: str = ""
    tensor: Tensor | None = None
    tensor_error: float | None = None
    tensor_reason: str = ""
    operators: tuple[Operator, ...] = ()
    given: tuple[Tensor, ...] = ()
    looked_at: int = 0
    tensors: int = 0
    alone_error: float | None = None
    alone_reason: str = ""
    needed: int | None = None
    saved: str = ""
    note: str = ""


class Findings(Value):
    """What was found of one model's cells, on a chunk of so many frames."""

    model: str
    num_frames: int
    threads: int
    cpu: str
    rtfbench: str
    cells: tuple[CellFinding, ...]


def of_findings(found: Findings) -> Document:
    """Return the whole report."""
    return document(
        Heading(f"{found.model}: where an output is wrong", 1),
        f"Float32, a chunk of {found.num_frames} frames, {counted(found.threads, 'thread')}; "
        f"{found.cpu}; rtfbench {found.rtfbench}. The reference is onnxruntime on the same graph, "
        "without optimisations.",
        (Paragraph(in_words(each), lead=each.engine) for each in found.cells),
    )


def in_words(finding: CellFinding) -> str:
    """Return what was found of an engine, to be read behind its name."""
    what = f"{finding.version}, {finding.form}".removeprefix(", ")
    if not finding.wrong:
        if finding.error is None:
            return f"{what}: not searched; {finding.note}."
        return (
            f"{what}: right; {_how(finding.error, '')}, limit {MAX_REL_ERR:.0e}: there is nothing "
            "to search."
        )
    sentences = [f"{what}: wrong output, {_how(finding.error, finding.reason)}."]
    if finding.tensor is not None:
        sentences += _place(finding, finding.tensor)
    if finding.needed is not None:
        sentences.append(_alone(finding, finding.needed))
    if finding.note:
        sentences.append(f"{finding.note[0].upper()}{finding.note[1:]}.")
    if finding.saved:
        sentences.append(f"To reproduce it: {finding.saved}.")
    return " ".join(sentences)


def _place(finding: CellFinding, tensor: Tensor) -> list[str]:
    count = len(finding.operators)
    what = (
        "The first operator whose output is wrong is"
        if count == 1
        else (f"The first wrong output is that of {count} operators together:")
    )
    taken = ", ".join(map(str, finding.given)) or "nothing"
    return [
        f"{what} {_names(finding.operators)}: it takes {taken} and gives {tensor}, "
        f"{_how(finding.tensor_error, finding.tensor_reason)}.",
        f"All that it takes is right; {finding.looked_at} of {finding.tensors} tensors were "
        "compared.",
    ]


def _alone(finding: CellFinding, needed: int) -> str:
    """Say whether the operator is wrong alone."""
    if needed == len(finding.operators):
        error = _how(finding.alone_error, finding.alone_reason)
        return f"Alone, on the reference's input, it is wrong too: {error}."
    return (
        f"Alone, on the reference's input, it is right, and so it is wrong in context only: "
        f"with what comes before it, {needed} operators are the smallest model that is wrong."
    )


def _names(operators: Sequence[Operator]) -> str:
    named = ", ".join(map(str, operators[:MOST_NAMED]))
    more = len(operators) - MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named


def _how(error: float | None, reason: str) -> str:
    size = error or 0.0
    return reason or f"largest error {size:{'.2g' if size < 1 else '.3g'}} of the largest value"
