"""Ask an engine for its runtime, in a process of its own: a broken runtime may end the process.

python -m bench.probe NAME
"""

import os
import subprocess
import sys

from pydantic import TypeAdapter, ValidationError

from bench.child import SINGLE_THREADED, how_it_ended
from engines import registry
from engines.protocol import Availability, EngineError

_AVAILABILITY = TypeAdapter(Availability)


def probe(name: str) -> Availability:
    """Return what the engine says of itself, or how asking it failed; never raises."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.probe", name],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **SINGLE_THREADED},
        check=False,
    )
    try:
        return _AVAILABILITY.validate_json(done.stdout)
    except ValidationError:
        return Availability(False, reason=f"asking it failed: {how_it_ended(done.returncode)}")


def main() -> None:
    """Print the availability as JSON; what the runtime prints itself goes to standard error."""
    answer = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        found = registry.get(sys.argv[1]).probe()
    except EngineError as error:
        found = Availability(False, reason=str(error))
    os.write(answer, _AVAILABILITY.dump_json(found))


if __name__ == "__main__":
    main()
