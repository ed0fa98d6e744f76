"""What a host is sent of a comparison: the plan with its files by hash, and this package."""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from rtfbench.base.cache import sha256_of
from rtfbench.base.errors import InputError
from rtfbench.base.files import check_readable, reading_from
from rtfbench.base.packages import NAME, PACKAGE, ROOT
from rtfbench.frontends.front_end import PRESETS
from rtfbench.measure.plan import Axes, Plan
from rtfbench.measure.trial_check import HELDOUT_NAME
from rtfbench.models.front_ends import BESIDE, CONFIG
from rtfbench.models.model_files import is_path

#: Trials that the package brings.
PACKAGED = Path(HELDOUT_NAME)
#: Engines whose extra has another name.
EXTRAS = {"mnn-mini": "mnn", "torch": "zoo"}


def files_of(plan: Plan) -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """Yield what a plan names, each with its files: those in a folder, those beside a model.

    Beside a model is what says what it is fed, and its large tensors.
    """
    models = [Path(m) for axes in plan.sweeps for m in axes.models if is_path(m)]
    front_end = [] if plan.front_end in (None, *PRESETS) else [Path(plan.front_end or "")]
    traces = [axes.trace for axes in (plan, *plan.sweep)]
    trials = None if plan.trials == PACKAGED else plan.trials
    others = [*front_end, *plan.audio, *plan.trial_audio, trials, plan.reference, *traces]
    for path in dict.fromkeys(each for each in (*models, *others) if each is not None):
        if path.is_dir():
            yield path, tuple(each for each in sorted(path.rglob("*")) if each.is_file())
        else:
            told = [path.with_name(name) for name in (BESIDE, CONFIG)] if path in models else []
            beside = (*(each for each in told if each.is_file()), *_tensors(path))
            yield path, (path, *beside)


def _tensors(path: Path) -> Iterable[Path]:
    """Return the files that hold an ONNX file's large tensors."""
    if path.suffix != ".onnx":
        return ()
    try:
        from rtfbench.models.onnx_graph import data_files

        return data_files(path)
    except Exception:  # without onnx, or damaged: whoever runs it says so
        return ()


def renamed(plan: Plan, names: dict[Path, str]) -> Plan:
    """Return the same plan with other names for what it names; what has none keeps its own."""

    def path(given: Path) -> Path:
        return Path(names.get(given, str(given)))

    def axes(given: Axes) -> dict[str, Any]:
        models = tuple(names.get(Path(m), m) if is_path(m) else m for m in given.models)
        return {"models": models, "trace": given.trace and path(given.trace)}

    changed = axes(plan) | {
        "sweep": tuple(each.model_copy(update=axes(each)) for each in plan.sweep),
        "audio": tuple(map(path, plan.audio)),
        "trials": plan.trials and path(plan.trials),
        "trial_audio": tuple(map(path, plan.trial_audio)),
        "reference": plan.reference and path(plan.reference),
        "front_end": plan.front_end and names.get(Path(plan.front_end), plan.front_end),
    }
    return plan.model_copy(update={k: v for k, v in changed.items() if v != getattr(plan, k)})


@dataclass(frozen=True)
class Carried:
    """A comparison as it travels.

    Attributes:
        id: the same for the same plan and files, whoever asks.
        files: where each belongs in the run's folder -> where it is here.
        sha256s: of the files here.
        code: the archive of this package.
        requirements: what pip installs where no Python is named.
    """

    id: str
    files: dict[str, Path]
    sha256s: dict[Path, str]
    code: Path
    requirements: tuple[str, ...]


def carried(plan: Plan, scratch: Path) -> Carried:
    """Return what hosts are sent; plan and archive are written to a folder of ours.

    Raises:
        InputError: a file cannot be read.
    """
    names, files = {}, {}
    folders: dict[Path, int] = {}
    for named, inside in files_of(plan):
        whole = named.absolute()
        number = folders.setdefault(whole.parent, len(folders))
        # A run starts in the first folder, and names what is in it as short as can be.
        place = f"../input-{number}/" if number else ""
        names[named] = f"{place}{whole.name}"
        for each in inside:
            inner = each.absolute().relative_to(whole.parent)
            files[f"{place[3:] or 'input/'}{inner}"] = each
    toml = scratch / "plan.toml"
    try:
        with reading_from():
            toml.write_text(as_toml(renamed(plan, names)), encoding="utf-8")
            for path in files.values():
                check_readable(path)
            sha256s = {path: sha256_of(path) for path in (*files.values(), toml)}
    except UnicodeEncodeError as error:
        raise InputError(f"{error.object!r}: is no UTF-8; rename it") from None
    files["plan.toml"] = toml
    known = "\n".join(f"{name} {sha256s[path]}" for name, path in sorted(files.items()))
    code = archive(scratch / f"{NAME}.whl")
    sha256s[code] = sha256_of(code)
    return Carried(
        id=hashlib.sha256(known.encode()).hexdigest()[:16],
        files=files,
        sha256s=sha256s,
        code=code,
        requirements=requirements(plan),
    )


def as_toml(plan: Plan) -> str:
    """Return a plan's file; what was left to its default is left so."""
    content = plan.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    tables = content.pop("sweep", [])
    lines = [_line(*each) for each in content.items()]
    for table in tables:
        lines += ["", "[[sweep]]", *(_line(*each) for each in table.items())]
    return "\n".join(lines) + "\n"


def _line(key: str, value: object) -> str:
    # Strings, numbers and lists of JSON are those of TOML, but for this character.
    return f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")


def archive(path: Path) -> Path:
    """Write this package as an archive that Python imports once it is unpacked; return it.

    The same code gives the same bytes: a host is sent it once.
    """
    found = {f"{NAME}/{each.relative_to(PACKAGE)}": each for each in _sources(PACKAGE)}
    for room in ("engines", "frontends"):
        if PACKAGE.name != NAME:  # a checkout has them beside it
            found |= {f"{NAME}/{each.relative_to(ROOT)}": each for each in _sources(ROOT / room)}
    told = distribution(NAME)
    info = f"{NAME}-{told.version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        for name, source in sorted(found.items()):
            # Weights and speech are as small as they get.
            how = zipfile.ZIP_DEFLATED if source.suffix == ".py" else zipfile.ZIP_STORED
            file.writestr(zipfile.ZipInfo(name), source.read_bytes(), how)
        # Python finds a checkout's own metadata first where it is started there; it says the same.
        metadata = told.read_text("METADATA") or told.read_text("PKG-INFO") or ""
        file.writestr(zipfile.ZipInfo(f"{info}/METADATA"), metadata)
        entries = told.read_text("entry_points.txt") or ""
        file.writestr(zipfile.ZipInfo(f"{info}/entry_points.txt"), entries)
    return path


def _sources(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def requirements(plan: Plan) -> tuple[str, ...]:
    """Return what a run of a plan needs, in the versions that are installed here."""
    extras = {"", "onnxruntime"}
    for axes in plan.sweeps:
        extras |= {EXTRAS.get(each.name, each.name) for each in axes.engines}
        if any(not is_path(m) or Path(m).is_dir() for m in axes.models):
            extras.add("zoo")
        if "int8" in (*axes.precisions, *(each.precision for each in axes.engines)):
            extras.add("nncf")
    if plan.resample:
        extras.add("resample")
    found = {}
    for text in distribution(NAME).requires or ():
        wanted = Requirement(text)
        if any(wanted.marker is None or wanted.marker.evaluate({"extra": e}) for e in extras):
            found[wanted.name] = _pinned(wanted)
    return tuple(found[name] for name in sorted(found))


def _pinned(wanted: Requirement) -> str:
    try:
        # A build of this machine's, +cpu for instance, is no part of a version elsewhere.
        return f"{wanted.name}=={version(wanted.name).partition('+')[0]}"
    except PackageNotFoundError:
        return f"{wanted.name}{wanted.specifier}"
