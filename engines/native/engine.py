"""An engine of the registry on the library of a user's folder."""

from pathlib import Path

from engines.base import EngineBase
from engines.native import library
from engines.native.session import Kind, NativeMnnSession
from engines.protocol import (
    Availability,
    EngineError,
    ModelArtifact,
    SessionOptions,
    Support,
    chosen,
)


class NativeMnnEngine(EngineBase):
    """What an engine does when its setting `home` names a folder; its name and settings stay."""

    def __init__(self, engine: EngineBase, kind: Kind, home: str) -> None:
        """Take the place of an engine.

        Args:
            engine: says which models and settings are taken.
            kind: which build of MNN the folder's library has to be.
            home: the folder.
        """
        self._engine, self._kind, self._folder = engine, kind, Path(home)
        self.name = engine.name
        self.format = engine.format
        self.default_form = engine.default_form
        self.choices = engine.choices
        self.first_run = engine.first_run
        self.fewer_operations = engine.fewer_operations

    def probe(self) -> Availability:
        """Load the library, its shim compiled if it is not yet."""
        try:
            found = library.load(self._folder)
        except EngineError as error:
            return Availability(False, reason=str(error))
        return Availability(
            True, version=found.version, build=f"{self._kind} library, {found.build}"
        )

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take what the engine takes."""
        return self._engine.supports(artifact, options)

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> NativeMnnSession:
        """Create a session; a dynamic model gets its shape at the first run."""
        support = self.supports(artifact, options)
        if not support.ok:
            raise EngineError(support.reason)
        return NativeMnnSession(
            library.load(self._folder),
            self._kind,
            artifact,
            threads=options.threads,
            precision=chosen(self, options)["precision"],
        )
