"""`rtfbench engines` and `rtfbench models`."""

from typing import TYPE_CHECKING

from rtfbench.commands.app import app, examples

if TYPE_CHECKING:
    from rtfbench.engines.base import EngineBase


@app.command(
    short_help="List engines: versions, settings, or why one is missing.",
    epilog=examples("rtfbench engines"),
)
def engines() -> None:
    """List every installed engine, plug-ins included."""
    from concurrent.futures import ThreadPoolExecutor

    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    from rtfbench.base.core_count import core_count
    from rtfbench.engines import registry
    from rtfbench.engines.protocol import EngineError, EngineSpec
    from rtfbench.models import names
    from rtfbench.models.probe import known
    from rtfbench.report.terminal import PAGE, Output, waiting

    table = Table(
        *("engine", "version", "models", "precisions here", "settings (default first)"),
        box=SIMPLE_HEAD,
    )
    notes: list[str] = []
    table.columns[0].no_wrap, table.columns[-1].overflow = True, "fold"
    with waiting("asking every engine"):
        registry.vet(registry.names())
        found: dict[str, EngineBase] = {}
        broken: dict[str, str] = {}
        for name in registry.names():
            try:
                found[name] = registry.get(name)
            except EngineError as error:
                broken[name] = str(error)
        folders = names.homes_of(found)
        # Importing a runtime takes a second, each in a process of its own.
        with ThreadPoolExecutor(max_workers=core_count()) as pool:
            asked = pool.map(
                known, [names.with_home(EngineSpec(name, {}), folders) for name in found]
            )
            availability = dict(zip(found, asked, strict=True))
    for name in registry.names():
        if name in broken:
            table.add_row(name, "[red]unavailable[/]", "", "", "")
            notes.append(f"{name}: {broken[name]}")
            continue
        engine, told = found[name], availability[name]
        settings = [
            f"{key}={' | '.join(values) or '...'}" for key, values in engine.choices.items()
        ]
        settings += [
            f"{k}={' | '.join(values)} (fewer bits)" for k, values in engine.recipes.items()
        ]
        table.add_row(
            name,
            told.version if told.ok else "[red]unavailable[/]",
            f"{engine.format}, {engine.default_form}",
            ", ".join(each for each in engine.precisions if each not in told.lacks),
            escape("\n".join(settings)),
        )
        said = filter(None, [told.note, told.reason, *told.lacks.values()])
        notes += [each if each.startswith(name) else f"{name}: {each}" for each in said]
    Output(PAGE).print(table)
    for line in (*notes, *registry.passed_over()):
        Output().print(line, markup=False, highlight=False, soft_wrap=True)


@app.command(short_help="List models with Params and FLOPs.", epilog=examples("rtfbench models"))
def models() -> None:
    """List the models: counted Params and FLOPs beside the published figures."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from rtfbench.models.zoo import catalog
    from rtfbench.models.zoo.catalog import COUNTS, NUM_FRAMES
    from rtfbench.report import figures
    from rtfbench.report.terminal import Output

    table = Table(box=SIMPLE_HEAD)
    for heading in ("name", "model", "Params", "FLOPs", f"MACs at {NUM_FRAMES} frames"):
        table.add_column(heading, justify="left" if heading in ("name", "model") else "right")
    notes: list[str] = []
    for name in catalog.names():
        card, counts = catalog.get(name), COUNTS[name]
        table.add_row(
            name,
            card.title,
            _beside_published(figures.params(counts.params), card.published_params, notes),
            _beside_published(figures.flops(counts.published_flops), card.published_flops, notes),
            f"{counts.macs:,}",
        )
    Output().print(table)
    for note in notes:
        Output().print(note, highlight=False)


def _beside_published(counted: str, published: str | None, notes: list[str]) -> str:
    """Return a counted figure; one that differs from the published one gets a footnote."""
    if published in (None, counted):
        return counted
    mark = "*" * (len(notes) + 1)
    notes.append(f"{mark} published as {published}: rounded, where all others are cut off")
    return f"{counted} {mark}"
