"""Ask an engine for its runtime, in a process of its own: a broken runtime may end the process."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache

from pydantic import TypeAdapter

from rtfbench.base.asking import ask, respond
from rtfbench.base.cache import cache_room, fingerprint, intact
from rtfbench.base.child import ChildError
from rtfbench.base.values import Value
from rtfbench.engines import cpu, registry
from rtfbench.engines.protocol import CPU, Availability, EngineError, EngineSpec
from rtfbench.models.artifacts import keep

#: Importing a runtime takes a second; a user's own library is compiled a shim for.
TIMEOUT_S = 300.0
#: Variables of the environment that change what engines lack.
ASKED_OF = ("ONEDNN_MAX_CPU_ISA", "OV_CPU_MAX_ISA", "CXX", "PATH")


class ProbeRequest(Value):
    """An engine with its settings, and where it is to compute."""

    engine: str
    settings: dict[str, str]
    device: str = CPU


def probe(spec: EngineSpec, device: str = CPU) -> Availability:
    """Return what an engine says of itself, or how asking failed; never raises.

    One that is there is not available where the device is not.
    """
    request = ProbeRequest(engine=spec.name, settings=spec.settings, device=device)
    module = "rtfbench.models.probe"
    try:
        return ask(module, request, Availability, timeout_s=TIMEOUT_S, single_threaded=True)
    except ChildError as error:
        return Availability(False, reason=f"asking it failed: {error}")


def known(spec: EngineSpec) -> Availability:
    """Return what an engine said of itself when it was asked last; loading runtimes takes seconds.

    What said that it works is asked again when its package, this code or the CPU is another one;
    what did not, a library of the user's own and a plug-in are asked each time.
    """
    engine = registry.get(spec.name)
    if spec.settings or not type(engine).__module__.startswith("rtfbench."):
        return probe(spec)
    packages = [engine.distribution] if engine.distribution else []
    here = (sys.version, *sorted(cpu.flags()), *(os.environ.get(name, "") for name in ASKED_OF))
    kept = cache_room("descriptions") / f"{spec.name}-{fingerprint(['engines'], packages, *here)}"
    with suppress(OSError, ValueError):
        if intact(kept):
            return TypeAdapter(Availability).validate_json(kept.read_bytes())
    found = probe(spec)
    # A cache that cannot be written to costs time only.
    with suppress(OSError):
        if found.ok:
            keep(kept, TypeAdapter(Availability).dump_json(found))
    return found


@cache
def lacks(engine: str) -> Mapping[str, str]:
    """Return what of an engine this host cannot do; it is asked once a process."""
    return probe(EngineSpec(engine, {})).lacks


@cache
def away(engine: str, device: str) -> str:
    """Return why an engine cannot compute on a device of this host, asked once a process."""
    return probe(EngineSpec(engine, {}), device).reason


def _probe_here(request: ProbeRequest) -> Availability:
    try:
        engine = registry.on(request.engine, request.settings)
        found = engine.probe()
        if found.ok and request.device != CPU and (gone := engine.away(request.device)):
            return Availability(False, reason=gone)
        asks = found.ok and engine.may_lack
        return replace(found, lacks=engine.lacks()) if asks else found
    except EngineError as error:
        return Availability(False, reason=str(error))


if __name__ == "__main__":
    respond(ProbeRequest, _probe_here)
