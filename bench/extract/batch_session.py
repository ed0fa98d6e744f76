"""A session that embeds several recordings together, chunks of equal length in one run."""

from collections.abc import Sequence

from bench.embed import batches
from bench.embed.pipeline import Embedded
from bench.extract.messages import ExtractionSetup
from bench.extract.session import Computed, Counted, EmbeddingSession
from engines.protocol import EngineError
from frontends.addresses import Place
from frontends.parts import Part


class BatchSession(EmbeddingSession):
    """A session that takes batches; whether its model takes any is asked from size 2 on."""

    def __init__(self, setup: ExtractionSetup, threads: int, batch: int) -> None:
        """Open the session, and try whether a batch gives what its chunks give alone.

        Raises:
            EngineError: the runtime is missing, does not take the model, or takes no batches.
        """
        super().__init__(setup, threads)
        self._batch = batch
        if batch > 1:
            frames, feat_dim = self._pipeline.policy.num_frames, setup.artifact.feat_dim
            why = batches.refusal(self._session, num_frames=frames, feat_dim=feat_dim)
            if why:
                raise EngineError(f"{setup.engine}, --batch {batch}: {why}; leave --batch out")

    def embed_files(
        self, recordings: Sequence[tuple[Place, Part | None]]
    ) -> list[Computed | Exception]:
        """Embed recordings, or parts of files, together; one that comes alone shares no run.

        Returns:
            One a recording, in their order; what `embed_file` raises where there is no embedding.
        """
        many = [self._read(path, part) for path, part in recordings]
        found: Sequence[Embedded | Exception | None] = [None] * len(many)
        if len(many) > 1:
            try:
                found = self._pipeline.embed_together(
                    self._session,
                    many,
                    batch=self._batch,
                    keep=[counted.keep for counted in many],
                )
            except Exception:  # some of them may yet do alone
                many = [self._read(path, part) for path, part in recordings]
        return [self._told(counted, each) for counted, each in zip(many, found, strict=True)]

    def _told(self, counted: Counted, found: Embedded | Exception | None) -> Computed | Exception:
        """Return what became of a recording; one of which nothing is found runs alone."""
        try:
            if found is None:
                return self._embed(counted)
            with self._naming(counted):
                if isinstance(found, Exception):
                    raise found
                return self._computed(counted, found)
        except Exception as error:  # whatever a runtime throws is this recording's alone
            return error
