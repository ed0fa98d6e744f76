"""What an engine has to leave as it was: how its process takes signals."""

import subprocess
import sys
from typing import ClassVar

from pydantic import TypeAdapter

from engines.protocol import ModelArtifact

#: Opens and closes two sessions of an engine, and gets a signal.
SIGNALLED = """
import signal, sys
from pydantic import TypeAdapter
from bench.plan.engine_spec import parse_engine
from engines import registry
from engines.protocol import ModelArtifact, SessionOptions

named = parse_engine(sys.argv[1])
engine = registry.on(named.name, named.settings)
artifact = TypeAdapter(ModelArtifact).validate_json(sys.argv[2])
sessions = [engine.open(artifact, SessionOptions()) for _ in range(2)]
while sessions:
    sessions.pop(0).close()
signal.signal(signal.SIGINT, lambda *_: print("taken"))
signal.raise_signal(signal.SIGINT)
"""


class SignalConformance:
    """A part of `EngineConformance`."""

    name: ClassVar[str]

    def test_signals_are_taken_afterwards(self, artifact: ModelArtifact) -> None:
        """A process that had two sessions takes Ctrl-C as its handler says."""
        given = TypeAdapter(ModelArtifact).dump_json(artifact).decode()
        command = [sys.executable, "-c", SIGNALLED, self.name, given]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.returncode, done.stderr[-500:])
        assert done.stdout.endswith("taken\n")
