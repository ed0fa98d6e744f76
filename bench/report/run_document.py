"""A result as a document: the answer, one table of the run, the published document's own, the rest.

The rest is folded: it is in `table.md` and on the page, and on a terminal where it is asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.base.values import grouped
from rtfbench.engines.protocol import FLOAT32
from rtfbench.report import document as doc
from rtfbench.report import figures, libraries
from rtfbench.report.about import about, conditions, counts_line, reasons
from rtfbench.report.answer import answer, meant, ranking
from rtfbench.report.columns import columns
from rtfbench.report.compare import side, to_reference, versions
from rtfbench.report.engine_findings import EXPLAINED, FASTEST, Matrix, matrices
from rtfbench.report.findings import findings
from rtfbench.report.views import MARKDOWN, Footnotes, PlacedColumn
from rtfbench.results import protocols
from rtfbench.results.rows import PROVISIONAL_SESSIONS, CellSummary, Summary

#: Columns that leave a narrow screen together: a chunk's time misleads without the first one's.
GIVE_WAY = ({"ci"}, {"first", "chunk_ms"}, {"form"})
PROVISIONAL = f"* provisional: of {PROVISIONAL_SESSIONS} sessions or fewer."


def of_run(summary: Summary) -> doc.Document:
    """Return the whole report."""
    stored, summary = summary, libraries.named(summary)
    footnotes = Footnotes(summary.cells)
    # At once: a note stands below the first table whose rows need it.
    first = tuple(published(summary, footnotes))
    return doc.document(
        of_answer(stored),
        the_run(summary),
        first,
        doc.More("Everything else that was measured", tuple(_rest(summary, footnotes))),
    )


def of_answer(summary: Summary) -> doc.Bullets:
    """Return the answer, its first line ranking out."""
    first, *others = map(doc.Paragraph, answer(summary))
    return doc.Bullets((replace(first, style="strong"), *others))


def the_run(summary: Summary) -> Iterator[doc.Block]:
    """Yield the table of the run: a row a model, engine, protocol and chunk size."""
    rows = in_order(summary.cells)
    if not rows:
        return
    placed = columns("run", summary, rows)
    keys = [each.key for each in placed]
    winners = fastest_rows(summary)
    styles: list[doc.Style] = [
        "bad" if row.status != "ok" else "good" if id(row) in winners else "" for row in rows
    ]
    yield doc.Heading("The run")
    found = [to_reference(summary, row) for row in rows]
    starred = any(each is not None and each.provisional for each in found)
    yield doc.Paragraph(caption(summary, rows) + f" {PROVISIONAL}" * starred, "dim")
    yield replace(
        rows_table(placed, rows),
        styles=tuple(styles),
        give_way=doc.places(keys, GIVE_WAY),
    )
    yield from doc.bullets(reasons(rows), "bad")


def in_order(rows: Sequence[CellSummary]) -> list[CellSummary]:
    """Return rows by model, protocol, chunk size and engine; the run's order but for the sizes."""
    models = list(dict.fromkeys(row.model for row in rows))
    protocols = list(dict.fromkeys(row.protocol for row in rows))
    sides = list(dict.fromkeys(map(side, rows)))
    return sorted(
        rows,
        key=lambda row: (
            models.index(row.model),
            protocols.index(row.protocol),
            row.chunk_samples,
            (row.threads, row.jobs, row.batch, row.rate_per_s),
            sides.index(side(row)),
        ),
    )


def fastest_rows(summary: Summary) -> set[int]:
    """Return the identities of the rows that are surely faster than all others beside them."""
    groups = grouped((row.condition, row) for row in summary.cells)
    found = (ranking(summary, rows) for rows in groups.values())
    return {id(each.best) for each in found if each is not None and each.alone}


def caption(summary: Summary, rows: Sequence[CellSummary]) -> str:
    """Say what all rows share, and what the ratio is."""
    first = rows[0]

    def same(field: str) -> bool:
        return all(getattr(row, field) == getattr(first, field) for row in rows)

    told = [first.title] if same("title") else []
    told += [meant(first.protocol)] if same("protocol") else []
    told += [first.form] if same("form") else []
    if same("chunk_samples"):
        chunk = figures.chunk(first.chunk_samples)
        told += [chunk if first.chunk_samples < 0 else f"{chunk} a chunk"]
    told += [figures.counted(first.threads, "thread")] if same("threads") else []
    told += [figures.counted(first.jobs, "job")] if same("jobs") and first.jobs > 1 else []
    told += [f"batches of {first.batch}"] if same("batch") and first.batch > 1 else []
    told += [str(first.load)] if same("load") and first.load else []
    known = versions(rows)
    told += [", ".join(known)] if known else []
    text = f"All rows: {'; '.join(told)}." if told else ""
    if summary.ratios:
        text += " Ratios: times as long as the reference, measured in turns with it."
    return text.strip()


def published(summary: Summary, footnotes: Footnotes) -> Iterator[doc.Block]:
    """Yield the table of the published document: Params, FLOPs, RTF."""
    rows = [
        row
        for row in summary.cells
        if row.precision == FLOAT32 and not protocols.named(row.protocol).queued
    ]
    for field, wanted in (
        ("protocol", "published"),
        ("chunk_samples", PUBLISHED_CHUNK_SAMPLES),
        ("threads", 1),
        ("jobs", 1),
        ("batch", 1),
    ):
        values = [getattr(row, field) for row in rows]
        kept = wanted if wanted in values else next(iter(values), wanted)
        rows = [row for row in rows if getattr(row, field) == kept]
    if not rows:
        return
    yield doc.Heading("As in WeSpeaker's published table")
    told = f"{meant(rows[0].protocol).capitalize()}. {conditions(summary.environment, rows)}"
    yield doc.Paragraph(told, "dim")
    yield rows_table(columns("published", summary, rows), rows)
    yield from (doc.Paragraph(line, "dim") for line in footnotes.lines(rows))


def _rest(summary: Summary, footnotes: Footnotes) -> Iterator[doc.Block]:
    told = doc.bullets(each.text for each in findings(summary))
    if told or summary.noise is not None:
        yield doc.Heading("Findings")
    if summary.noise is not None:
        yield doc.Paragraph(f"Noise: {summary.noise.sentence}")
    yield from told
    for matrix in matrices(summary):
        yield from _matrix(matrix)
    for rows in grouped(((row.protocol, row.setting), row) for row in summary.cells).values():
        yield from _section(rows, summary, footnotes)
    yield from verification(summary)
    yield doc.Heading("About this run")
    yield from doc.bullets([*counts_line(summary), *libraries.described(summary), *about(summary)])


def _matrix(matrix: Matrix) -> Iterator[doc.Block]:
    yield doc.Heading(matrix.title)
    yield doc.Paragraph(EXPLAINED)
    found = doc.table(["Model", *matrix.engines], matrix.models, "l" + "r" * len(matrix.engines))
    yield replace(found, strong=FASTEST)


def _section(
    rows: Sequence[CellSummary], summary: Summary, footnotes: Footnotes
) -> Iterator[doc.Block]:
    """Yield the tables of rows that share protocol and setting."""
    fewer_bits = any(row.precision != FLOAT32 for row in rows)
    title = protocols.named(rows[0].protocol).title
    yield doc.Heading(title[0].upper() + title[1:])
    yield doc.Paragraph(conditions(summary.environment, rows))
    for view in MARKDOWN:
        if view != "accuracy" or fewer_bits:
            yield rows_table(columns(view, summary, rows), rows)
    yield from map(doc.Paragraph, footnotes.lines(rows))


def verification(summary: Summary) -> Iterator[doc.Block]:
    """Yield the error rates of a run that was given trials."""
    rows = [row for row in summary.cells if row.eer is not None]
    if rows:
        yield doc.Heading("Speaker verification on the run's trials")
        yield doc.Paragraph(
            "EER of the embeddings that each cell computed, and its difference, in percentage "
            "points, to the first cell of the same model."
        )
        yield rows_table(columns("verification", summary, rows), rows)


def rows_table(placed: Sequence[PlacedColumn], rows: Sequence[CellSummary]) -> doc.Table:
    """Return the rows of a result in the columns of a view."""
    return doc.table(
        [column.heading for column in placed],
        ([column.text(row) for column in placed] for row in rows),
        [column.numeric for column in placed],
    )
