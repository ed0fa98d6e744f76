"""Every installed engine in the suite that a plug-in's author runs.

`RTFBENCH_TEST_ENGINE=NAME` runs it on one engine alone, `"mnn[home=DIR]"` on a library of one's
own: a process can hold one MNN only.
"""

import os
from importlib import metadata

from bench.testing import EngineConformance
from engines import registry
from tests.conftest import PLUGINS

#: It opens no file and answers zeros.
NULL = "null"


def engine_specs() -> list[str]:
    """Return the engines that are tested: the one that is named, else all but the tests' own."""
    named = os.environ.get("RTFBENCH_TEST_ENGINE")
    own = {
        entry.name
        for installed in metadata.distributions(path=[PLUGINS])
        for entry in installed.entry_points
    }
    return [named] if named else [name for name in registry.names() if name not in own]


for _spec in engine_specs():
    _members = {"name": _spec, "computes": _spec != NULL, "__doc__": _spec}
    globals()[f"Test_{_spec}"] = type(f"Test_{_spec}", (EngineConformance,), _members)
