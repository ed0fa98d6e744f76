"""What a comparison is asked for, and what to run beside the candidate.

That is a TOML file, or a specification on the command line.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

from pydantic import AfterValidator, Field

from rtfbench.base import toml_files
from rtfbench.base.cache import sha256_of
from rtfbench.base.errors import InputError, as_input
from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES
from rtfbench.base.memory import MemoryLimit
from rtfbench.engines import registry
from rtfbench.engines.protocol import CPU, EngineError, EngineSpec, Precision, parse_engine
from rtfbench.gate.verdict import Also
from rtfbench.measure.plan import Axes
from rtfbench.models.model_files import is_path
from rtfbench.models.user_models import AS_IT_SAYS, Reading
from rtfbench.results.cells import ProtocolName
from rtfbench.results.protocols import STEADY

#: A time may grow by this share unproved; an RTF's interval must stay under the other to pass.
MARGIN, MAX_REGRESSION = 0.02, 0.05


@dataclass(frozen=True)
class GateOptions:
    """What is measured where the sides do not say it, how much slower may pass, and for how long.

    A baseline names its own model, threads and chunk size. An RTF's interval must stay under
    `max_regression` to pass; None takes the baseline's own, or the default. Measuring may take
    `budget_s`, the start of its processes included. The seed of the order of turns is drawn where
    none is given: a fixed one would favour the same side always. The RTF decides, and what `also`
    names.
    """

    model: str = "resnet34"
    device: str = CPU
    threads: int = 1
    chunk_samples: int = PUBLISHED_CHUNK_SAMPLES
    max_regression: float | None = None
    budget_s: float = 60.0
    seed: int | None = None
    max_rss_mb: float | None = None
    also: Collection[Also] = ()
    #: What is said of model files; of a baseline's, the baseline says it.
    reading: Reading = AS_IT_SAYS

    def __post_init__(self) -> None:
        for name in self.also:
            if name not in get_args(Also):
                raise InputError(f"also: {name!r} is none of {', '.join(get_args(Also))}")

    def limit(self, own: float = MAX_REGRESSION) -> float:
        """Return `max_regression`, a baseline's own where none is asked for."""
        return own if self.max_regression is None else self.max_regression

    @property
    def memory(self) -> MemoryLimit:
        """What a process may take; one that takes more ends its side."""
        return MemoryLimit.of_megabytes(self.max_rss_mb)


PINNED = re.compile(r"[A-Za-z0-9][\w.-]*==[\w.+!-]+", re.ASCII)
_PRECISIONS = "|".join(map(re.escape, get_args(Precision)))
SPEC = re.compile(
    rf"(?P<engine>[\w.-]+(?::(?:{_PRECISIONS})(?=[\[@:]|$))?(?:\[[^\]]*\])?)"
    r"(?:@(?P<version>[A-Za-z0-9_.+!-]+))?(?::(?P<model>.+))?"
)


def _pinned(requirement: str) -> str:
    """Return a requirement that pins one version, as pip can take it for nothing else.

    Raises:
        ValueError: it is an option, a file, an address, or a range of versions.
    """
    if PINNED.fullmatch(requirement) is None:
        raise ValueError(f"{requirement!r} pins no package; write NAME==VERSION")
    return requirement


Pinned = Annotated[str, AfterValidator(_pinned)]


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    `packages` are pinned requirements, `revision` is a git revision of this project, `model` a
    model file in place of the cells' model; each None or empty where the side is as here and now.
    """

    engine: EngineSpec | None = None
    packages: tuple[Pinned, ...] = ()
    revision: str | None = None
    model: Path | None = None

    @property
    def label(self) -> str:
        """What a reader calls it."""
        parts = [self.engine, *self.packages, self.revision, self.model and self.model.name]
        return " ".join(str(part) for part in parts if part) or "as installed"


class Baseline(Axes):
    """The cells that are gated, and what they are held against."""

    title: str = ""
    packages: tuple[Pinned, ...] = ()
    revision: str | None = None
    model_file: Path | None = None
    sha256: str | None = None
    protocols: Annotated[tuple[ProtocolName, ...], Field(min_length=1)] = (STEADY.name,)
    #: What model files are fed, and what their input and output are called.
    front_end: str | None = None
    model_input: str | None = None
    model_output: str | None = None
    margin: Annotated[float, Field(ge=0, lt=1)] = MARGIN
    max_regression: Annotated[float, Field(gt=0, lt=1)] = MAX_REGRESSION

    @property
    def side(self) -> Side:
        """The baseline's side."""
        return Side(packages=self.packages, revision=self.revision, model=self.model_file)


def load_baseline(path: Path) -> Baseline:
    """Read a baseline file; model files in it are named from its own folder.

    Raises:
        InputError: unreadable, an unknown key, or a model file with another hash.
    """
    baseline = toml_files.validate(Baseline, toml_files.read_toml(path, "baseline"), path)
    if not (baseline.packages or baseline.revision or baseline.model_file):
        raise InputError(
            f"{path}: names nothing to hold against; give packages, revision or model_file"
        )
    if baseline.model_file is not None:
        file = path.parent / baseline.model_file
        if not file.is_file():
            raise InputError(f"{path}: model_file {file} does not exist")
        found = sha256_of(file)
        if baseline.sha256 is not None and found != baseline.sha256:
            raise InputError(
                f"{path}: {file} has the SHA-256 {found}, not {baseline.sha256}; it is another file"
            )
        baseline = baseline.model_copy(update={"model_file": file})
    models = (str(path.parent / each) if is_path(each) else each for each in baseline.models)
    return baseline.model_copy(update={"models": tuple(models)})


def parse_side(text: str) -> Side:
    """Read `mnn`, `mnn@3.6.0`, `mnn[precision=low]`, `openvino:int8` or `mnn:model.mnn`.

    Raises:
        InputError: with an example of what is right.
    """
    match = SPEC.fullmatch(text.strip())
    if match is None:
        raise InputError(
            f"{text!r}: write engine, engine@version or engine:model file, for example mnn@3.6.0"
        )
    with as_input(ValueError, EngineError):
        engine = parse_engine(match["engine"])
        distribution = registry.get(engine.name).distribution
    packages: tuple[str, ...] = ()
    if match["version"]:
        if distribution is None:
            raise InputError(
                f"{text}: which package {engine.name} comes from is not known; pin it in a "
                'baseline file (packages = ["NAME==VERSION"])'
            )
        packages = (f"{distribution}=={match['version']}",)
    model = Path(match["model"]) if match["model"] else None
    return Side(engine=engine, packages=packages, model=model)
