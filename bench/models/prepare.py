"""Make what is missing of a model, in a process of its own: its files and its reference.

Models of the catalog and files of the user differ in what makes them, and in nothing else.
"""

from typing import TYPE_CHECKING

from rtfbench.base.asking import respond
from rtfbench.base.errors import InputError
from rtfbench.base.values import Value
from rtfbench.embed import reference
from rtfbench.embed.audio_input import read_source
from rtfbench.embed.pipeline import DEAF, BehindFrontEnd, Pipeline, check_embedding, read_front_end
from rtfbench.embed.reference import ReferenceRequest
from rtfbench.engines.base import SessionBase
from rtfbench.engines.protocol import ConversionError, EngineError
from rtfbench.models import artifacts
from rtfbench.models.artifacts import ArtifactRequest, CatalogModel
from rtfbench.models.conversion import as_fed
from rtfbench.models.user_models import UserModel

if TYPE_CHECKING:
    from rtfbench.models.catalog_maker import CatalogMaker
    from rtfbench.models.file_maker import FileMaker


class PrepareRequest(Value):
    """Everything that is missing for one model."""

    model: CatalogModel | UserModel
    artifacts: tuple[ArtifactRequest, ...]
    references: tuple[ReferenceRequest, ...]


class Failure(Value):
    """Why something was not made: one file, or what the others need too where `file` is None."""

    reason: str
    file: ArtifactRequest | None = None


class PrepareAnswer(Value):
    """What could not be made; the rest is in the cache."""

    failures: tuple[Failure, ...]


def prepare_here(request: PrepareRequest) -> PrepareAnswer:
    """Make all that a request names; one failure does not keep the rest from being made."""
    model, maker = request.model, _maker(request.model)
    failures: list[Failure] = []
    try:
        for wanted in request.artifacts:
            try:
                made = as_fed(maker.make_artifact(wanted), model.front_end)
                artifacts.remember(wanted, made, model.folder)
            except ConversionError as error:
                failures.append(Failure(reason=str(error), file=wanted))
        if request.references:
            session = maker.open_reference()
            for each in request.references:
                _make_reference(session, each, model)
            session.close()
    except (InputError, EngineError) as error:
        failures.append(Failure(reason=str(error)))
    return PrepareAnswer(failures=tuple(failures))


def _maker(model: CatalogModel | UserModel) -> "CatalogMaker | FileMaker":
    """Return what makes a model's files; only one of the catalog needs torch."""
    if isinstance(model, UserModel):
        from rtfbench.models.file_maker import FileMaker

        return FileMaker(model)
    from rtfbench.models.catalog_maker import CatalogMaker

    return CatalogMaker(model)


def _make_reference(
    session: SessionBase, request: ReferenceRequest, model: CatalogModel | UserModel
) -> None:
    """Compute the embedding of every chunk and store it.

    Of an engine that brings its front end that is the model's behind this front end, and beside it
    stands the embedding of every utterance behind the model's own.
    """
    pipeline = Pipeline(request.chunk_samples, model.front_end)
    own = read_front_end(request.front_end, model.front_end.feat_dim) if request.front_end else None
    model_D, chunks_CD = {}, {}
    for source in request.sources:
        waveform = read_source(source, pipeline.sample_rate_hz)
        embedded = pipeline.embed(session, waveform)
        if own is not None:
            model_D[source.name] = embedded.embedding_D
            behind = Pipeline(request.chunk_samples, own.as_samples)
            embedded = behind.embed(BehindFrontEnd(session, own), waveform)
        try:
            check_embedding(embedded.embedding_D, embedded.embedding_D.size)
        except EngineError as error:
            raise EngineError(f"the reference of {source.name}: {error}") from error
        chunks_CD[source.name] = embedded.chunk_embeddings_CD
    if not pipeline.listens(session):
        raise EngineError(f"the reference: {DEAF}")
    reference.save_reference(reference.path_of(request, model.key), chunks_CD, model_D)


if __name__ == "__main__":
    respond(PrepareRequest, prepare_here)
