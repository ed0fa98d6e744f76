"""Ask an engine for its runtime, in a process of its own: a broken runtime may end the process."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from bench.base.asking import ask, respond
from bench.base.child import ChildError
from bench.base.values import Value
from bench.plan.engine_spec import parse_engine
from engines import registry
from engines.protocol import Availability, EngineError

#: Importing a runtime takes a second; a user's own library is compiled a shim for.
TIMEOUT_S = 300.0


class ProbeRequest(Value):
    """An engine with its settings, as it is written on the command line."""

    spec: str


def probe(spec: str) -> Availability:
    """Return what an engine with its settings says of itself, or how asking failed; never raises.

    Args:
        spec: the engine as it is written on the command line.
    """
    request = ProbeRequest(spec=spec)
    try:
        return ask(
            "bench.models.probe", request, Availability, timeout_s=TIMEOUT_S, single_threaded=True
        )
    except ChildError as error:
        return Availability(False, reason=f"asking it failed: {error}")


@cache
def lacks(engine: str) -> Mapping[str, str]:
    """Return what of an engine this host cannot do; it is asked once a process.

    Args:
        engine: its name.
    """
    return probe(engine).lacks


def _probe_here(request: ProbeRequest) -> Availability:
    try:
        spec = parse_engine(request.spec)
        engine = registry.on(spec.name, spec.settings)
        found = engine.probe()
        return replace(found, lacks=engine.lacks()) if found.ok else found
    except EngineError as error:
        return Availability(False, reason=str(error))


if __name__ == "__main__":
    respond(ProbeRequest, _probe_here)
