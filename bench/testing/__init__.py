"""What a plug-in's author tests an engine with.

    from bench.testing import EngineConformance

    class TestMine(EngineConformance):
        name = "mine"

Then run pytest. The models are small and made here; nothing is downloaded.
"""

from bench.testing.conformance import EngineConformance

__all__ = ["EngineConformance"]
