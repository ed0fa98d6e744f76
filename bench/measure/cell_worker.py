"""One cell in its own process: opens the model, proves it right, measures when told to."""

import time
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bench.base.memory import Memory, memory_of
from bench.base.numbers import count_denormals
from bench.embed import parity, reference
from bench.embed.audio_input import read_source
from bench.embed.pipeline import DEAF, Embedded, Pipeline
from bench.machine import threads
from bench.measure.messages import (
    Loaded,
    Measure,
    Ready,
    Work,
    Worked,
    WorkerSpec,
)
from bench.measure.slowed import Slowed
from bench.results.cells import GHOST, Effective, Parity, Status
from bench.results.lines import Outcome, Record
from engines import registry
from engines.base import EngineBase, computed_in, reported
from engines.protocol import (
    CAVEAT,
    FEWER_OPERATIONS,
    FIRST_RUN,
    FLOAT32,
    FloatArray,
    Session,
    SessionOptions,
)
from frontends.audio import Waveform


class CellEnd(Exception):
    """The cell ends here, with a status that is not ok."""

    def __init__(self, status: Status, reason: str, parity: Parity | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.parity = parity


class LoadedSession(NamedTuple):
    """A session and how long it took to open, in nanoseconds."""

    session: Session
    load_ns: int


class CellWorker:
    """Everything that a cell needs, loaded before the model is opened."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        self._options = SessionOptions(spec.cell.threads, spec.cell.settings, spec.cell.precision)
        self._pipeline = Pipeline.for_model(spec.artifact, spec.cell.chunk_samples)
        self._waveforms = {source.name: read_source(source) for source in spec.sources}
        self._reference_CD = reference.load_reference(spec.reference)
        self._engine = _engine(spec, self._options)
        self._parities: list[Parity] = []
        self._unchecked: list[tuple[str, Embedded]] = []
        self._embeddings: dict[str, FloatArray] = {}
        self._effective: Effective = {}
        self._kept: LoadedSession | None = None
        self._first_chunk_ns = 0
        self._proves = spec.session == 0 if spec.proves is None else spec.proves

    def loaded(self) -> Loaded:
        """Say how many chunks each utterance has."""
        count = self._pipeline.policy.num_chunks
        return Loaded(chunks={name: count(len(w.samples)) for name, w in self._waveforms.items()})

    def open(self) -> Ready:
        """Open a session and check its first embedding; in the first session also its threads.

        Under the steady protocol the session that is rehearsed here is the one that is timed.
        """
        before = threads.count_threads()
        self._kept = self._open()
        name, waveform = next(iter(self._waveforms.items()))
        (embedded,) = self._embed(self._kept.session, [name])
        self._check(name, embedded)
        if not self._pipeline.listens(self._kept.session, self._spec.artifact.feat_dim):
            raise CellEnd("wrong_output", DEAF)
        self._first_chunk_ns = embedded.chunk_ns[0]
        self._effective = reported(self._kept.session)
        caveat = self._engine.caveat(self._options)
        said = {
            FIRST_RUN: self._engine.first_run,
            FEWER_OPERATIONS: self._engine.fewer_operations,
            CAVEAT: caveat,
        }
        self._effective |= {key: text for key, text in said.items() if text}
        found = self._engine.probe()
        notes = [found.note, self._spec.artifact.note, caveat]
        memory = None
        if self._proves:
            self._prove_precision()
            started = threads.count_threads() - before
            notes.append(self._prove_threads(started))
            features_BTM = self._pipeline.first_chunk(waveform)
            notes.append(told_denormals(features_BTM, embedded.chunk_embeddings_CD))
            if self._spec.cell.replica != GHOST:  # which is as large as what it replicates
                memory = self._weigh()
        began = time.perf_counter_ns()
        # With its front end: a plan that leaves that out has a small model measured for minutes.
        self._kept.session.run(self._pipeline.first_chunk(waveform))
        return Ready(
            version=found.version,
            build=found.build,
            note="; ".join(filter(None, notes)),
            load_ns=self._kept.load_ns,
            first_chunk_ns=self._first_chunk_ns,
            chunk_ns=time.perf_counter_ns() - began,
            peak_rss_bytes=memory and memory.peak_bytes,
            steady_rss_bytes=memory and memory.steady_bytes,
        )

    def measure(self, order: Measure) -> Iterator[Record]:
        """Run utterances, after one untimed chunk that wakes caches and thread pools."""
        assert self._kept is not None
        first = self._waveforms[order.utterances[0]]
        self._kept.session.run(self._pipeline.first_chunk(first))
        for name in order.utterances:
            waveform = self._waveforms[name]
            if self._spec.cell.protocol == "steady":
                yield self._timed(order, name, waveform, self._kept, self._first_chunk_ns)
            else:
                opened = self._open()
                try:
                    yield self._timed(order, name, waveform, opened, None)
                finally:
                    opened.session.close()

    def warm(self) -> None:
        """Run one untimed chunk, which wakes caches and thread pools."""
        assert self._kept is not None
        first = next(iter(self._waveforms.values()))
        self._kept.session.run(self._pipeline.first_chunk(first))

    def work(self, order: Work) -> Worked:
        """Run a task of a queue; its embeddings are checked when the queue is empty."""
        assert self._kept is not None
        waveforms = [self._waveforms[name] for name in order.utterances]
        cpu, began = time.process_time_ns(), time.perf_counter_ns()
        found = self._embed(self._kept.session, order.utterances)
        processing_ns = time.perf_counter_ns() - began
        cpu_ns = time.process_time_ns() - cpu
        self._unchecked += zip(order.utterances, found, strict=True)
        padded_ns = self._pipeline.policy.padded_audio_ns
        return Worked(
            audio_ns=sum(waveform.duration_ns for waveform in waveforms),
            padded_audio_ns=sum(padded_ns(len(waveform.samples)) for waveform in waveforms),
            frontend_ns=sum(each.frontend_ns for each in found),
            chunk_ns=tuple(ns for each in found for ns in each.chunk_ns),
            processing_ns=processing_ns,
            cpu_ns=cpu_ns,
            load_ns=self._kept.load_ns,
            first_chunk_ns=self._first_chunk_ns,
        )

    def check(self) -> None:
        """Compare what tasks gave with the reference."""
        while self._unchecked:
            self._check(*self._unchecked.pop())

    def embed_scored(self, utterances: Collection[str]) -> None:
        """Embed recordings of trials; nothing is timed or compared with the reference."""
        assert self._kept is not None
        for source in self._spec.scored:
            if source.name in utterances:
                embedded = self._pipeline.embed(self._kept.session, read_source(source))
                self._embeddings[source.name] = embedded.embedding_D

    def finish(self) -> Outcome:
        """Write the embeddings where they are wanted, and say how the cell ended."""
        assert self._kept is not None
        self._kept.session.close()
        if self._spec.embeddings is not None:
            np.savez(
                self._spec.embeddings,
                names=np.array(list(self._embeddings)),
                embeddings=np.stack(list(self._embeddings.values())),
            )
        return Outcome(
            cell_id=self._spec.cell_id,
            status="ok",
            effective=self._effective,
            parity=parity.worst(self._parities),
        )

    def _prove_threads(self, started: int) -> str:
        """Observe the threads at work; return a footnote where some stayed idle."""
        assert self._kept is not None
        session = self._kept.session
        features_BTM = self._pipeline.first_chunk(next(iter(self._waveforms.values())))
        busy = threads.prove(
            lambda: session.run(features_BTM), threads=self._options.threads, started=started
        )
        self._effective |= {
            "cpu_per_wall": round(busy.cores, 3),
            "threads_at_work": busy.threads,
        }
        return threads.idle_note(busy, threads=self._options.threads)

    def _prove_precision(self) -> None:
        """Let the runtime tell what it computes in; a fallback to float32 is no result.

        Raises:
            CellEnd: it computes in something else.
        """
        assert self._kept is not None
        asked = self._options.precision
        if asked == FLOAT32 or asked.endswith("-weights"):
            return  # float32 is compared value by value; weights of fewer bits are in the file
        found = computed_in(self._kept.session)
        told = ", ".join(f"{count} in {kind}" for kind, count in found.items()) or "nothing told"
        if 2 * found.get(asked, 0) <= sum(found.values()):
            raise CellEnd("failed", f"asked for {asked}, but of what computes: {told}")
        self._effective["operators"] = told

    def _weigh(self) -> Memory:
        """Run every utterance once, for memory alone: nothing is timed."""
        assert self._kept is not None
        names = list(self._waveforms)
        at_once = self._spec.cell.batch
        for first in range(0, len(names), at_once):
            some = names[first : first + at_once]
            for name, embedded in zip(some, self._embed(self._kept.session, some), strict=True):
                self._check(name, embedded)
        return memory_of()

    def _embed(self, session: Session, names: Sequence[str]) -> list[Embedded]:
        """Embed utterances, in batches where the cell has such."""
        waveforms = [self._waveforms[name] for name in names]
        if self._spec.cell.batch == 1:
            return [self._pipeline.embed(session, waveform) for waveform in waveforms]
        found = self._pipeline.embed_together(
            session, [[waveform.samples] for waveform in waveforms], batch=self._spec.cell.batch
        )
        for each in found:
            if isinstance(each, Exception):
                raise each
        return [each for each in found if isinstance(each, Embedded)]

    def _open(self) -> LoadedSession:
        before = time.perf_counter_ns()
        session = self._engine.open(self._spec.artifact, self._options)
        load_ns = time.perf_counter_ns() - before
        if self._spec.cell.slowdown:
            session = Slowed(session, self._spec.cell.slowdown)
        return LoadedSession(session, load_ns)

    def _timed(
        self,
        order: Measure,
        name: str,
        waveform: Waveform,
        opened: LoadedSession,
        first_chunk_ns: int | None,
    ) -> Record:
        """Measure one utterance; its embedding is checked after the clock stopped."""
        cpu = time.process_time_ns()
        (embedded,) = self._embed(opened.session, [name])
        cpu_ns = time.process_time_ns() - cpu
        self._check(name, embedded)
        return Record(
            cell_id=self._spec.cell_id,
            session=self._spec.session,
            block=order.block,
            position=order.position,
            utterance=name,
            audio_ns=waveform.duration_ns,
            padded_audio_ns=self._pipeline.policy.padded_audio_ns(len(waveform.samples)),
            load_ns=opened.load_ns,
            first_chunk_ns=embedded.chunk_ns[0] if first_chunk_ns is None else first_chunk_ns,
            frontend_ns=embedded.frontend_ns,
            engine_ns=sum(embedded.chunk_ns),
            processing_ns=embedded.processing_ns,
            chunk_ns=embedded.chunk_ns,
            cpu_ns=cpu_ns,
            copy_ns=embedded.copy_ns,
        )

    def _check(self, name: str, embedded: Embedded) -> None:
        precision = self._options.precision
        found = parity.parity_of(embedded.chunk_embeddings_CD, self._reference_CD[name], precision)
        self._parities.append(found)
        self._embeddings[name] = embedded.embedding_D
        if not found.ok:
            reason = f"utterance {name}: {parity.why_wrong(found, precision)}"
            caveat = self._engine.caveat(self._options)
            raise CellEnd(
                "wrong_output",
                "; ".join(filter(None, [reason, caveat])),
                parity.worst(self._parities),
            )


def told_denormals(features_BTM: FloatArray, embeddings_CD: FloatArray) -> str:
    """Say how many values that go in and come out are denormal; nothing where none is."""
    counts = {"features": features_BTM, "values of the embeddings": embeddings_CD}
    found = [
        f"{count} of {values.size} {name}"
        for name, values in counts.items()
        for count in [count_denormals(values)]
        if count
    ]
    return f"denormal, which slows cores: {' and '.join(found)}" if found else ""


def _engine(spec: WorkerSpec, options: SessionOptions) -> EngineBase:
    """Return the cell's engine when it is there and takes the model."""
    engine = registry.on(spec.cell.engine, options.settings)
    found = engine.probe()
    if not found.ok:
        raise CellEnd("unavailable", found.reason)
    support = engine.supports(spec.artifact, options)
    if not support.ok:
        raise CellEnd("unsupported", support.reason)
    return engine
