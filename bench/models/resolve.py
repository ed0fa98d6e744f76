"""From the names that a user gave to cells that can be prepared: the one way, for every command."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.models import homes, model_folders, names, user_models
from bench.models.homes import Homes
from bench.models.model_files import is_path
from bench.models.user_models import UserModel
from bench.plan.engine_spec import parse_engine
from bench.results.cells import Cell
from bench.zoo.catalog import Weights


@dataclass(frozen=True)
class Resolved:
    """Cells whose models and engines exist, and the models among them that are the user's files."""

    cells: tuple[Cell, ...]
    users: Mapping[str, UserModel] = field(default_factory=dict)
    #: Those of models of the catalog.
    weights: Weights = "seeded"


@dataclass(frozen=True)
class Asked:
    """What a user said beside the cells, None or False where nothing.

    `input_name` and `output_name` are those of a model file, `reference` the file that it is
    compared with. Where neither sizes nor forms were asked for, a static file dictates its own.
    """

    input_name: str | None = None
    output_name: str | None = None
    reference: Path | None = None
    sizes: bool = False
    forms: bool = False
    weights: Weights = "seeded"


def resolve(
    cells: Sequence[Cell],
    *,
    folders: Homes | None = None,
    asked: Asked | None = None,
    phase: Callable[[str], None] = lambda _: None,
) -> Resolved:
    """Place libraries, check names, load model files, and fit the cells to them.

    Args:
        cells: as they were asked for.
        folders: of the user's own libraries, by engine; None takes those of the environment.
        asked: what else was.
        phase: is told what takes a while.

    Raises:
        InputError: one line that names what cannot be used, and the cure.
    """
    asked = asked or Asked()
    if folders is None:
        folders = homes.named(cell.engine_label for cell in cells)
    placed = place_libraries(_in_folders(cells, phase), folders)
    models = list(dict.fromkeys(cell.model for cell in placed))
    engines = list(dict.fromkeys(cell.engine_label for cell in placed))
    names.check_names(models, engines)
    users = user_models.load_user_models(
        models,
        input_name=asked.input_name,
        output_name=asked.output_name,
        reference=asked.reference,
    )
    homes.check_homes(engines)
    fitting = user_models.fit(placed, users, sizes_given=asked.sizes, forms_given=asked.forms)
    return Resolved(fitting, users, asked.weights)


def _in_folders(cells: Sequence[Cell], phase: Callable[[str], None]) -> list[Cell]:
    """Write the model files into the cells whose models are folders."""
    named = {cell.model for cell in cells if is_path(cell.model) and Path(cell.model).is_dir()}
    files = {each: str(model_folders.file_in(Path(each), phase=phase)) for each in named}
    return [cell.model_copy(update={"model": files.get(cell.model, cell.model)}) for cell in cells]


def place_libraries(cells: Sequence[Cell], folders: Homes) -> list[Cell]:
    """Write the folders of the engines' libraries into the cells' settings."""
    specs = (parse_engine(homes.place(cell.engine_label, folders)) for cell in cells)
    return [
        cell.model_copy(update={"settings": spec.settings})
        for cell, spec in zip(cells, specs, strict=True)
    ]
