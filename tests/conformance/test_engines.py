"""Every installed engine in the suite that a plug-in's author runs.

`RTFBENCH_TEST_ENGINE=NAME` runs it on one engine alone, `"mnn[home=DIR]"` on a library of one's
own: a process can hold one MNN only.
"""

import os
from importlib import metadata
from importlib.util import find_spec

import pytest

from rtfbench.engines import registry
from rtfbench.testing import EngineConformance
from tests.conftest import PLUGINS

#: Engines whose runtimes are no part of `make install`, each with its package.
APART = {"iree": "iree", "litert": "ai_edge_litert", "executorch": "executorch"}
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


#: Of features by another library, whose logarithms are right to 1e-4.
OWN_FRONT_END = 1e-3

for _spec in engine_specs():
    _members = {"name": _spec, "computes": _spec != NULL, "__doc__": _spec}
    if _spec == "sherpa-onnx":
        _members["tolerance"] = OWN_FRONT_END
    _suite: type = type(f"Test_{_spec}", (EngineConformance,), _members)
    _missing = _spec in APART and find_spec(APART[_spec]) is None
    _skips = pytest.mark.skipif(_missing, reason=f"pip install 'rtfbench[{_spec}]'")
    globals()[f"Test_{_spec}"] = _skips(_suite)
