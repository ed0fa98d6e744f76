"""The contract of MNN's minimal library (built with MNN_BUILD_MINI): fixed shapes only.

The minimal library leaves out shape inference and geometry. Given a dynamic model it reports no
error, runs in no time and writes no output, so a dynamic model is refused here. No package has
that library: the setting `home` names the folder of one. Without it, this engine opens a static
model in a session of the wheel's full library that is never resized, and says so in its note.
"""

from collections.abc import Mapping
from dataclasses import replace

from rtfbench.engines.base import EngineBase, SessionBase, chosen
from rtfbench.engines.mnn import WHEEL, MnnFileEngine, MnnSession, probe_wheel
from rtfbench.engines.native.engine import NativeMnnEngine
from rtfbench.engines.protocol import (
    HOME,
    Availability,
    EngineError,
    Form,
    Library,
    ModelArtifact,
    SessionOptions,
    Support,
)

NOTE = (
    "mnn-mini: a static model in a fixed-shape session of the wheel's full library; "
    "MNN's minimal library itself is in no package, --mnn-mini-home names one"
)


class MnnMiniEngine(MnnFileEngine):
    """Static MNN models, never resized.

    Settings: `precision`, and `home`, the folder of a minimal library.
    """

    name = "mnn-mini"
    default_form: Form = "static"
    stands_in = True
    library: Library | None = Library("RTFBENCH_MNN_MINI_HOME", "--mnn-mini-home", own=WHEEL)

    def probe(self) -> Availability:
        """Import MNN; the note says which library stands in."""
        found = probe_wheel()
        return replace(found, note=NOTE) if found.ok else found

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take static MNN models only."""
        if artifact.form != "static":
            return Support(
                False,
                "mnn-mini needs a static model; export it with --num-frames, "
                "or choose --form static",
            )
        return super().supports(artifact, options)

    def on(self, settings: Mapping[str, str]) -> EngineBase:
        """Return the engine on the minimal library that the setting `home` names."""
        home = settings.get(HOME)
        return NativeMnnEngine(self, "minimal", home) if home else self

    def open(self, artifact: ModelArtifact, options: SessionOptions) -> SessionBase:
        """Create a session of fixed shape."""
        support = self.supports(artifact, options)
        if not support.ok:
            raise EngineError(support.reason)
        settings = chosen(self, options)
        if settings[HOME]:
            return self.on(settings).open(artifact, options)
        return MnnSession(artifact, options.threads, settings["precision"])
