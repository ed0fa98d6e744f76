"""`rtfbench engines` and `rtfbench models`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from bench.base.core_count import core_count
from bench.base.errors import InputError
from bench.base.published import PUBLISHED_CHUNK_SAMPLES
from bench.models import homes
from bench.models.probe import probe
from bench.report import figures
from bench.report.terminal import Output, waiting
from bench.zoo import catalog
from engines import registry
from engines.base import EngineBase
from engines.protocol import EngineError
from frontends.chunking import ChunkPolicy

#: What the published MNN table's chunk comes to.
CHUNK_FRAMES = ChunkPolicy(PUBLISHED_CHUNK_SAMPLES).fbank.num_frames(PUBLISHED_CHUNK_SAMPLES)


def engines() -> int:
    """Print every installed engine with its version, or why it cannot be used."""
    table = Table(
        *("engine", "version", "models", "precisions here", "settings (default first)", "note"),
        box=SIMPLE_HEAD,
    )
    table.columns[0].no_wrap = True
    with waiting("asking every engine"):
        folders = homes.named(registry.names())
        names = registry.names()
        # Importing a runtime takes a second, each in a process of its own.
        with ThreadPoolExecutor(max_workers=core_count()) as pool:
            asked = pool.map(probe, [homes.place(name, folders) for name in names])
            availability = dict(zip(names, asked, strict=True))
    for name, found in availability.items():
        try:
            engine = registry.get(name)
        except EngineError as error:
            table.add_row(name, "[red]unavailable[/]", "", "", "", escape(str(error)))
            continue
        table.add_row(
            name,
            found.version if found.ok else "[red]unavailable[/]",
            f"{engine.format}, {engine.default_form}",
            ", ".join(each for each in engine.precisions if each not in found.lacks),
            "\n".join(_settings(engine)),
            escape("\n".join(filter(None, [found.note, found.reason, *found.lacks.values()]))),
        )
    Output().print(table)
    return 0


def _settings(engine: EngineBase) -> Iterator[str]:
    """Yield a line for each setting with its values, those of files in fewer bits last."""
    for key, values in engine.choices.items():
        yield f"{key}={'|'.join(values) or '...'}"
    for key, values in engine.recipes.items():
        yield f"{key}={'|'.join(values)} (fewer bits)"


def models() -> int:
    """Print every model of the catalog with its counts beside the published ones."""
    try:
        with waiting("loading torch"):
            from bench.zoo import build, counter
    except ImportError as error:
        raise InputError(
            f"counting needs torch ({error}); install it with: pip install 'rtfbench[zoo]'"
        ) from error
    table = Table(box=SIMPLE_HEAD)
    for heading in ("name", "model", "Params", "FLOPs", f"MACs at {CHUNK_FRAMES} frames"):
        table.add_column(heading, justify="left" if heading in ("name", "model") else "right")
    notes: list[str] = []
    for name in catalog.names():
        card = catalog.get(name)
        with waiting(f"counting {name}"):
            counts = counter.count(build(name), CHUNK_FRAMES, card.feat_dim)
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
    return 0


def _beside_published(counted: str, published: str | None, notes: list[str]) -> str:
    """Return a counted figure; one that differs from the published one gets a footnote."""
    if published in (None, counted):
        return counted
    mark = "*" * (len(notes) + 1)
    notes.append(f"{mark} published as {published}: rounded, where all others are cut off")
    return f"{counted} {mark}"
