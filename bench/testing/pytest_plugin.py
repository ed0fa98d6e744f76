"""A pytest plugin: the fixture `rtfbench_gate`, by which a test asserts "not slower than".

Both sides are measured in the same blocks, as `rtfbench gate` does. A regression fails the test,
and what cannot be told skips it. The candidate's times are stored by pytest-benchmark
(`--benchmark-autosave`, `--benchmark-json`), with ratio, interval and answer as its extra info.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from rtfbench.base.limits import PUBLISHED_CHUNK_SAMPLES, read_regression

if TYPE_CHECKING:  # every pytest run loads this module: nothing heavy before it is used
    from rtfbench.gate.held import Comparison
    from rtfbench.gate.measure import Held

FIXTURE = "rtfbench_gate"


class Benchmark(Protocol):
    """What is used of pytest-benchmark's fixture."""

    extra_info: dict[str, Any]
    disabled: bool

    def pedantic(self, target: Callable[[], None], *, rounds: int) -> None:
        """Time a function so many times."""
        ...


class Replay:
    """A clock for pytest-benchmark that goes by what was measured before, in worker processes."""

    __name__ = "measured in worker processes"

    def __init__(self) -> None:
        self._now_s = 0.0
        self._durations_s: Iterator[float] = iter(())

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self._now_s

    def play(self, benchmark: Benchmark, durations_s: Sequence[float]) -> None:
        """Have each duration stored as a round."""
        self._durations_s = iter(durations_s)
        benchmark.pedantic(self._step, rounds=len(durations_s))

    def _step(self) -> None:
        self._now_s += next(self._durations_s)


class Gate:
    """What the fixture gives to a test."""

    def __init__(self, benchmark: Benchmark, clock: Replay) -> None:
        self._benchmark = benchmark
        self._clock = clock

    def not_slower(
        self,
        candidate: str,
        *,
        than: str,
        model: str = "resnet34",
        front_end: str | None = None,
        threads: int = 1,
        chunk_samples: int = PUBLISHED_CHUNK_SAMPLES,
        max_regression: float | str = 0.05,
        budget_s: float = 60.0,
    ) -> None:
        """Fail where a candidate is slower than a base; skip where the machine cannot tell.

        Args:
            candidate: `engine`, `engine@version` or `engine:model file`, as `rtfbench compare`.
            than: the base, written alike.
            model: name or file, where the sides name none.
            front_end: what model files are fed: a preset's name, or a file in TOML.
            threads: intra-op threads.
            chunk_samples: samples a chunk at 16 kHz.
            max_regression: share under which the RTF's interval must stay, 0.05 or "5%".
            budget_s: seconds of measuring.
        """
        __tracebackhide__ = True

        def asked() -> Comparison:
            from rtfbench.gate.baseline import GateOptions
            from rtfbench.gate.held import Comparison
            from rtfbench.models.user_models import Reading

            options = GateOptions(
                model=model,
                reading=Reading(front_end),
                threads=threads,
                chunk_samples=chunk_samples,
                max_regression=read_regression(max_regression),
                budget_s=budget_s,
            )
            return Comparison.of_specs(than, candidate, options)

        self._hold(asked)

    def holds(
        self,
        baseline: str | Path,
        *,
        max_regression: float | str | None = None,
        budget_s: float = 300.0,
    ) -> None:
        """Fail where what is installed is slower than a baseline file says it may be.

        Args:
            baseline: the TOML file, as `rtfbench gate --baseline`.
            max_regression: replaces the file's own.
            budget_s: seconds of measuring, for all its cells together.
        """
        __tracebackhide__ = True

        def asked() -> Comparison:
            from rtfbench.gate.baseline import GateOptions, load_baseline
            from rtfbench.gate.held import Comparison

            limit = None if max_regression is None else read_regression(max_regression)
            options = GateOptions(max_regression=limit, budget_s=budget_s)
            return Comparison.with_baseline(load_baseline(Path(baseline)), options)

        self._hold(asked)

    def _hold(self, ask: Callable[[], Comparison]) -> None:
        from rtfbench.base.errors import InputError
        from rtfbench.gate.report import of_gate, reason
        from rtfbench.gate.verdict import overall
        from rtfbench.report.markdown import draw

        __tracebackhide__ = True  # pytest names the line of the test
        refused = ""
        try:
            found = ask().run()
        except InputError as error:
            refused = str(error)
        if refused:  # out of the handler, or pytest would show the error's whole chain
            self._store_nothing()
            pytest.fail(refused, pytrace=False)
        if found.interrupted:
            raise KeyboardInterrupt  # the tests behind this one are not wanted either
        self._store(found)
        # What the command calls --budget is an argument here.
        table = draw(of_gate(replace(found, notes=()))).replace("--budget", "budget_s")
        match overall(found.rulings):
            case "regression":
                pytest.fail(table, pytrace=False)
            case "inconclusive":
                print(table)
                pytest.skip(reason(found.rulings).replace("--budget", "budget_s"))
            case "pass":
                print(table)

    def _store(self, found: Held) -> None:
        """Store the first cell's times, and of every cell what was found."""
        self._benchmark.extra_info["rtfbench"] = [
            {
                "cell": each.cell,
                "criterion": each.criterion,
                "answer": each.answer,
                "ratio": each.ratio,
                "ci95": each.interval,
                "limit": each.limit,
                "sessions": each.sessions,
                "why": each.why,
            }
            for each in found.rulings
        ]
        # Of a chunk in each record, front end and harness included.
        records = found.candidates[0].records
        durations_s = [each.processing_ns / 1e9 / len(each.chunk_ns) for each in records]
        if durations_s:
            self._clock.play(self._benchmark, durations_s)
        else:
            self._store_nothing()

    def _store_nothing(self) -> None:
        """Use pytest-benchmark's fixture all the same: it warns where a test does not."""
        self._benchmark.disabled = True
        self._benchmark.pedantic(lambda: None, rounds=1)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give pytest-benchmark the replaying clock, before its fixture is made."""
    if FIXTURE in getattr(item, "fixturenames", ()):
        given = item.get_closest_marker("benchmark")
        options: dict[str, Any] = dict(given.kwargs) if given else {}
        item.add_marker(pytest.mark.benchmark(**{**options, "timer": Replay()}), append=False)


@pytest.fixture
def rtfbench_gate(request: pytest.FixtureRequest, benchmark: Benchmark) -> Gate:
    """Assert that a candidate is not slower than a baseline: `.not_slower(...)`, `.holds(...)`."""
    marker = request.node.get_closest_marker("benchmark")
    return Gate(benchmark, marker.kwargs["timer"])
