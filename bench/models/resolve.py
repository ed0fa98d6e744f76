"""From the names that a user gave to cells that can be prepared: the one way, for every command."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtfbench.base.asking import ask
from rtfbench.base.cache import check_cache, fingerprint, intact, seal, sha256_of
from rtfbench.base.child import ChildError
from rtfbench.base.errors import InputError, as_input
from rtfbench.base.files import followed
from rtfbench.engines.protocol import ONNX
from rtfbench.frontends.front_end import FrontEnd
from rtfbench.models import artifacts, names, user_models
from rtfbench.models.artifacts import CatalogModel
from rtfbench.models.make_export import ExportAnswer, ExportRequest
from rtfbench.models.model_files import FORMATS, is_path
from rtfbench.models.names import Homes
from rtfbench.models.user_models import AS_IT_SAYS, Reading, UserModel
from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS, Weights
from rtfbench.results.cells import Cell

CONFIG = "config.yaml"
#: Where an experiment or a published package has its weights, the averaged ones first.
CHECKPOINTS = tuple(
    f"{folder}{name}.pt"
    for name in ("avg_model", "final_model", "model")
    for folder in ("", "models/")
)
#: The largest models take minutes.
TIMEOUT_S = 3600.0


def file_in(folder: Path, *, phase: Callable[[str], None]) -> Path:
    """Return the model file that a folder stands for: its only one, or that of an experiment.

    Raises:
        InputError: it holds neither, or several model files, or cannot be exported.
    """
    config = folder / CONFIG
    checkpoint = next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), None)
    if config.is_file() and checkpoint is not None:
        return _exported(folder, config, checkpoint, phase)
    found = sorted(each for each in folder.iterdir() if each.suffix in FORMATS)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.name for each in found)
        raise InputError(f"{folder}: holds {len(found)} model files, name one of: {names}")
    raise InputError(
        f"{folder}: holds no model; it takes one .onnx or .mnn file, or {CONFIG} with a "
        f"checkpoint ({CHECKPOINTS[0]} or {CHECKPOINTS[1]})"
    )


def _exported(folder: Path, config: Path, checkpoint: Path, phase: Callable[[str], None]) -> Path:
    """Return the experiment as ONNX; one of the same content was exported before."""
    name = followed(folder).name
    digests = sha256_of(config), sha256_of(checkpoint)
    key = fingerprint(artifacts.MODELS, artifacts.EXPORT_PACKAGES, *digests)
    path = artifacts.folder_of(name, key) / f"{name}.{ONNX}"
    if intact(path):
        return path
    check_cache()
    phase(f"exporting {folder} (once, then cached)")
    request = ExportRequest(output=path, format=ONNX, config=config, checkpoint=checkpoint)
    with as_input(ChildError, before=f"{folder}: exporting it failed: "):
        answer = ask("rtfbench.models.make_export", request, ExportAnswer, timeout_s=TIMEOUT_S)
    if answer.error:
        raise InputError(answer.error)
    seal(path)
    return path


@dataclass(frozen=True)
class Resolved:
    """Cells whose models and engines exist, and the models among them that are the user's files."""

    cells: tuple[Cell, ...]
    users: Mapping[str, UserModel] = field(default_factory=dict)
    #: Those of models of the catalog.
    weights: Weights = DEFAULT_WEIGHTS

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user is told of how model files are run."""
        return tuple(
            dict.fromkeys(note for user in self.users.values() for note in user.file.notes)
        )

    @property
    def assumed(self) -> frozenset[str]:
        """Those of the notes that tell what nobody said of a file."""
        return frozenset(each for user in self.users.values() for each in user.file.assumed)

    def model(self, name: str) -> CatalogModel | UserModel:
        """Return a model of a cell."""
        return self.users.get(name) or CatalogModel(slug=name, weights=self.weights)

    def front_end(self, model: str) -> FrontEnd:
        """Return what a model is fed."""
        return self.model(model).front_end

    @property
    def audio_front_end(self) -> FrontEnd:
        """Return a front end that says at which rate recordings are read.

        Raises:
            InputError: models need different rates.
        """
        by_rate = {
            self.front_end(cell.model).sample_rate_hz: cell.model for cell in reversed(self.cells)
        }
        if len(by_rate) > 1:
            told = ", ".join(f"{model} {rate_hz} Hz" for rate_hz, model in by_rate.items())
            raise InputError(
                f"models of different sample rates ({told}) are fed different audio and cannot be "
                "compared; run them apart"
            )
        return self.front_end(self.cells[0].model)


@dataclass(frozen=True)
class Asked:
    """What a user said beside the cells, None or False where nothing.

    `reading` is what is said of model files, `reference` the file that one is
    compared with. Where neither sizes nor forms were asked for, a static file dictates its own.
    """

    reading: Reading = AS_IT_SAYS
    reference: Path | None = None
    sizes: bool = False
    forms: bool = False
    weights: Weights = DEFAULT_WEIGHTS


def resolve(
    cells: Sequence[Cell],
    *,
    folders: Homes | None = None,
    asked: Asked | None = None,
    phase: Callable[[str], None] = lambda _: None,
) -> Resolved:
    """Place libraries, check names, load model files, and fit the cells to them.

    Without folders of the user's own libraries, by engine, those of the environment are taken.
    What takes a while is told to `phase`.

    Raises:
        InputError: one line that names what cannot be used, and the cure.
    """
    asked = asked or Asked()
    if folders is None:
        folders = names.homes_of(cell.engine for cell in cells)
    placed = place_libraries(_in_folders(cells, phase), folders)
    models = list(dict.fromkeys(cell.model for cell in placed))
    engines = list({str(cell.engine_spec): cell.engine_spec for cell in placed}.values())
    names.check_names(models, engines)
    users = user_models.load_user_models(models, asked.reading, reference=asked.reference)
    if asked.reading != AS_IT_SAYS and not users:
        raise InputError(
            f"{', '.join(models)}: of the catalog, whose front end, input and output are known; "
            "leave --front-end, --model-input and --model-output out"
        )
    names.check_homes(engines)
    fitting = user_models.fit(placed, users, sizes_given=asked.sizes, forms_given=asked.forms)
    return Resolved(fitting, users, asked.weights)


def _in_folders(cells: Sequence[Cell], phase: Callable[[str], None]) -> list[Cell]:
    """Write the model files into the cells whose models are folders."""
    named = {cell.model for cell in cells if is_path(cell.model) and Path(cell.model).is_dir()}
    files = {each: str(file_in(Path(each), phase=phase)) for each in named}
    return [cell.model_copy(update={"model": files.get(cell.model, cell.model)}) for cell in cells]


def place_libraries(cells: Sequence[Cell], folders: Homes) -> list[Cell]:
    """Write the folders of the engines' libraries into the cells' settings."""
    return [
        cell.model_copy(update={"settings": names.with_home(cell.engine_spec, folders).settings})
        for cell in cells
    ]
