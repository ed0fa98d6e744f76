"""Ask an engine for its runtime, in a process of its own: a broken runtime may end the process.

python -m bench.models.probe NAME[SETTING=VALUE,...]
"""

import os
import subprocess
import sys

from pydantic import TypeAdapter, ValidationError

from bench.base.child import SINGLE_THREADED, how_it_ended
from bench.plan.engine_spec import parse_engine
from engines import registry
from engines.protocol import Availability, EngineError

_AVAILABILITY = TypeAdapter(Availability)


def probe(spec: str) -> Availability:
    """Return what an engine with its settings says of itself, or how asking failed; never raises.

    Args:
        spec: the engine as it is written on the command line.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.models.probe", spec],
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
        found = registry.on(*parse_engine(sys.argv[1])).probe()
    except EngineError as error:
        found = Availability(False, reason=str(error))
    os.write(answer, _AVAILABILITY.dump_json(found))


if __name__ == "__main__":
    main()
