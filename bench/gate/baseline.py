"""What to run beside the candidate: a TOML file, or a specification on the command line."""

import re
from pathlib import Path
from typing import Annotated, get_args

from pydantic import Field

from bench.base import toml_files
from bench.base.cache import sha256_of
from bench.base.errors import InputError
from bench.base.values import Value
from bench.models.model_files import is_path
from bench.plan.engine_spec import parse_engine
from bench.plan.sweep import Axes
from bench.results.cells import Protocol
from engines import registry
from engines.protocol import EngineError, Precision

#: A time may grow by this share unproved; an RTF's interval must stay under the other to pass.
MARGIN, MAX_REGRESSION = 0.02, 0.05
_PRECISIONS = "|".join(map(re.escape, get_args(Precision)))
SPEC = re.compile(
    rf"(?P<engine>[\w.-]+(?::(?:{_PRECISIONS})(?=[\[@:]|$))?(?:\[[^\]]*\])?)"
    r"(?:@(?P<version>[\w.+!-]+))?(?::(?P<model>.+))?"
)


class Side(Value):
    """One side of a comparison.

    `packages` are pinned requirements, `revision` is a git revision of this project, `model` a
    model file in place of the cells' model; each None or empty where the side is as here and now.
    """

    engine: str | None = None
    packages: tuple[str, ...] = ()
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
    packages: tuple[str, ...] = ()
    revision: str | None = None
    model_file: Path | None = None
    sha256: str | None = None
    protocols: Annotated[tuple[Protocol, ...], Field(min_length=1)] = ("steady",)
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
    try:
        name = parse_engine(match["engine"]).name
        distribution = registry.get(name).distribution
    except (ValueError, EngineError) as error:
        raise InputError(str(error)) from None
    packages: tuple[str, ...] = ()
    if match["version"]:
        if distribution is None:
            raise InputError(
                f"{text}: which package {name} comes from is not known; pin it in a baseline file "
                '(packages = ["NAME==VERSION"])'
            )
        packages = (f"{distribution}=={match['version']}",)
    model = Path(match["model"]) if match["model"] else None
    return Side(engine=match["engine"], packages=packages, model=model)
