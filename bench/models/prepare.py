"""Make what is missing of a model, in a process of its own: its files and its reference.

Models of the catalog and files of the user differ in who makes them, and in nothing else.
"""

from pathlib import Path
from typing import Protocol

from bench.base.asking import respond
from bench.base.errors import InputError
from bench.base.values import Value
from bench.embed import reference
from bench.embed.audio_input import read_source
from bench.embed.pipeline import DEAF, Pipeline, check_embedding
from bench.embed.reference import ReferenceRequest
from bench.models import artifacts
from bench.models.artifacts import ArtifactRequest
from bench.models.user_models import UserModel
from bench.zoo.catalog import Weights
from engines.protocol import ConversionError, EngineError, ModelArtifact, Session


class PrepareRequest(Value):
    """Everything that is missing for one model; `user` is None for one of the catalog."""

    model: str
    artifacts: tuple[ArtifactRequest, ...]
    references: tuple[ReferenceRequest, ...]
    user: UserModel | None = None
    weights: Weights = "seeded"


class Failure(Value):
    """Why something was not made: one file, or what the others need too where `file` is None."""

    reason: str
    file: ArtifactRequest | None = None


class PrepareAnswer(Value):
    """What could not be made; the rest is in the cache."""

    failures: tuple[Failure, ...]


class Maker(Protocol):
    """Who makes a model's files."""

    @property
    def folder(self) -> Path:
        """Where its files are kept."""
        ...

    @property
    def key(self) -> str:
        """A name that changes with all that its embeddings depend on."""
        ...

    @property
    def feat_dim(self) -> int:
        """Mel bins a frame that the reference takes."""
        ...

    def make_artifact(self, request: ArtifactRequest) -> ModelArtifact:
        """Make a model file, or find the one that fits.

        Raises:
            ConversionError: it cannot be converted.
        """
        ...

    def open_reference(self) -> Session:
        """Open what embeddings are compared with."""
        ...


def prepare_here(request: PrepareRequest) -> PrepareAnswer:
    """Make all that a request names; one failure does not keep the rest from being made."""
    maker = _maker(request)
    failures: list[Failure] = []
    try:
        for wanted in request.artifacts:
            try:
                artifacts.remember(wanted, maker.make_artifact(wanted), maker.folder)
            except ConversionError as error:
                failures.append(Failure(reason=str(error), file=wanted))
        if request.references:
            session = maker.open_reference()
            for each in request.references:
                _make_reference(session, each, maker)
            session.close()
    except (InputError, EngineError) as error:
        failures.append(Failure(reason=str(error)))
    return PrepareAnswer(failures=tuple(failures))


def _maker(request: PrepareRequest) -> Maker:
    """Return who makes a model's files; only one of the catalog needs torch."""
    if request.user is not None:
        from bench.models.file_maker import FileMaker

        return FileMaker(request.user)
    from bench.models.catalog_maker import CatalogMaker

    return CatalogMaker(request.model, request.weights)


def _make_reference(session: Session, request: ReferenceRequest, maker: Maker) -> None:
    """Compute the embedding of every chunk and store it."""
    pipeline = Pipeline.for_mel_bins(maker.feat_dim, request.chunk_samples)
    chunks_CD = {}
    for source in request.sources:
        embedded = pipeline.embed(session, read_source(source))
        try:
            check_embedding(embedded.embedding_D, embedded.embedding_D.size)
        except EngineError as error:
            raise EngineError(f"the reference of {source.name}: {error}") from error
        chunks_CD[source.name] = embedded.chunk_embeddings_CD
    if not pipeline.listens(session, maker.feat_dim):
        raise EngineError(f"the reference: {DEAF}")
    reference.save_reference(reference.path_of(request, maker.key), chunks_CD)


if __name__ == "__main__":
    respond(PrepareRequest, prepare_here)
