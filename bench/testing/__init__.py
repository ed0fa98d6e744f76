"""What a plug-in's author tests an engine with, and the gate as a pytest fixture.

    from rtfbench.testing import EngineConformance

    class TestMine(EngineConformance):
        name = "mine"

Then run pytest. The models are small and made here; nothing is downloaded.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtfbench.testing.conformance import EngineConformance

__all__ = ["EngineConformance"]


def __getattr__(name: str) -> object:
    # Pytest loads the fixture with every run of a user's tests, and the suite is none of them.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rtfbench.testing import conformance

    return getattr(conformance, name)
