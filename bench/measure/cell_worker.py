"""One cell in its own process: opens the model, proves it right, measures when told to."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rtfbench.base.memory import Memory
from rtfbench.base.numbers import count_denormals
from rtfbench.embed import reference
from rtfbench.embed.audio_input import read_source
from rtfbench.embed.pipeline import DEAF, Embedded, LiveWindow, Pipeline
from rtfbench.embed.scoring import cosine
from rtfbench.engines import registry
from rtfbench.engines.base import EngineBase, SessionBase
from rtfbench.engines.protocol import (
    CAVEAT,
    FEWER_OPERATIONS,
    FIRST_RUN,
    FLOAT32,
    OWN_FRONT_END_COSINE,
    FloatArray,
    SessionOptions,
)
from rtfbench.measure.machine import devices
from rtfbench.measure.machine.energy import Stopwatch
from rtfbench.measure.messages import Hear, Loaded, Measure, Ready, Work, Worked, WorkerSpec
from rtfbench.results.cells import GHOST, Effective, Parity, Status
from rtfbench.results.lines import Outcome
from rtfbench.results.records import Record


class Slowed(SessionBase):
    """Takes (1 + share) times as long as the session inside it, for the same embeddings.

    The extra time is spent computing, in proportion to the call that it follows, so that a
    neighbour on the machine slows both alike.
    """

    def __init__(self, session: SessionBase, share: float) -> None:
        self._session = session
        self._share = share

    @property
    def effective(self) -> Mapping[str, str | int | float]:
        """What the session inside reports, and the share."""
        return {**self._session.reported, "slowdown": self._share}

    def run(self, features_BTM: FloatArray) -> FloatArray:
        """Compute embeddings [B, D], then compute on."""
        began = time.perf_counter()
        embeddings_BD = self._session.run(features_BTM)
        ended = time.perf_counter()
        until = ended + self._share * (ended - began)
        while time.perf_counter() < until:
            pass
        return embeddings_BD

    def close(self) -> None:
        """Close the session inside."""
        self._session.close()


class CellEnd(Exception):
    """The cell ends here, with a status that is not ok."""

    def __init__(self, status: Status, reason: str, parity: Parity | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.parity = parity


class LoadedSession(NamedTuple):
    """A session and how long it took to open, in nanoseconds."""

    session: SessionBase
    load_ns: int


class CellWorker:
    """Everything that a cell needs, loaded before the model is opened."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec
        cell = spec.cell
        self._options = cell.options
        self._device = devices.named(cell.device)
        self._meter = devices.meter_of(cell.device)
        self._pipeline = Pipeline.for_model(spec.artifact, spec.cell.chunk_samples)
        self._places = {source.name: source for source in spec.sources}
        self._waveforms = {
            source.name: read_source(source, self._pipeline.sample_rate_hz)
            for source in spec.sources
        }
        self._reference_CD = reference.load_reference(spec.reference)
        self._model_D = reference.load_model_embeddings(spec.reference)
        self._engine = _engine(spec, self._options)
        self._parities: list[Parity] = []
        self._unchecked: list[tuple[str, Embedded]] = []
        self._embeddings: dict[str, FloatArray] = {}
        self._effective: Effective = {}
        self._kept: LoadedSession | None = None
        #: What the first chunk of the session that is kept took.
        self.first_chunk_ns = 0
        self._proves = spec.session == 0 if spec.proves is None else spec.proves

    def loaded(self) -> Loaded:
        """Say how many chunks each utterance has."""
        count = self._pipeline.policy.num_chunks
        return Loaded(chunks={name: count(len(w.samples)) for name, w in self._waveforms.items()})

    def open(self) -> Ready:
        """Open a session and check its first embedding; in the first session also its threads."""
        before = devices.count_threads()
        self._kept = self.open_session()
        name, waveform = next(iter(self._waveforms.items()))
        (embedded,) = self._embed(self.kept.session, [name])
        self._check(name, embedded)
        if not self._pipeline.listens(self.kept.session, embedded.chunk_embeddings_CD):
            raise CellEnd("wrong_output", DEAF)
        self.first_chunk_ns = embedded.chunk_ns[0]
        self._effective = self.kept.session.reported
        caveat = self._engine.caveat(self._options)
        said = {
            "energy": self._meter.source if self._meter else "",
            FIRST_RUN: self._engine.first_run,
            FEWER_OPERATIONS: self._engine.fewer_operations,
            CAVEAT: caveat,
        }
        self._effective |= {key: text for key, text in said.items() if text}
        found = self._engine.probe()
        notes = [found.note, self._spec.artifact.note, caveat]
        memory, proof_ns = None, 0
        if self._proves:
            proving = time.perf_counter_ns()
            self._prove_precision()
            started = devices.count_threads() - before
            features_BTM = self._pipeline.first_chunk(waveform)
            proof = self._device.prove(
                lambda: self.kept.session.run(features_BTM),
                wanted=self._options.threads,
                started=started,
            )
            self._effective |= proof.effective
            notes += [proof.note, told_denormals(features_BTM, embedded.chunk_embeddings_CD)]
            if self._spec.cell.replica != GHOST:  # which is as large as what it replicates
                memory = self._weigh()
            notes.append(self._tell_front_end())
            proof_ns = time.perf_counter_ns() - proving
        began = time.perf_counter_ns()
        # With its front end: a plan that leaves that out has a small model measured for minutes.
        self.kept.session.run(self._pipeline.first_chunk(waveform))
        return Ready(
            version=found.version,
            build=found.build,
            note="; ".join(filter(None, notes)),
            load_ns=self.kept.load_ns,
            first_chunk_ns=self.first_chunk_ns,
            chunk_ns=time.perf_counter_ns() - began,
            proof_ns=proof_ns,
            peak_rss_bytes=memory and memory.peak_bytes,
            steady_rss_bytes=memory and memory.steady_bytes,
        )

    @property
    def kept(self) -> LoadedSession:
        """The session that was opened, checked and stays."""
        assert self._kept is not None
        return self._kept

    def warm(self, utterance: str = "") -> None:
        """Run an utterance's first chunk untimed, any if none is named: caches and threads wake."""
        first = self._waveforms[utterance or next(iter(self._waveforms))]
        self.kept.session.run(self._pipeline.first_chunk(first))

    def work(self, order: Work) -> Worked:
        """Run a task of a queue; its embeddings are checked when the queue is empty."""
        return self._worked(order, lambda: self._embed(self.kept.session, order.utterances))

    def hear(self, order: Hear) -> Worked:
        """Run windows of live streams, of which what was heard before is known."""
        rate_hz = self._pipeline.sample_rate_hz
        windows = [
            LiveWindow(
                stream,
                f"{place.path} {place.channel}",
                round(place.begin_s * rate_hz),
                self._waveforms[name].samples,
            )
            for name, stream in zip(order.utterances, order.streams, strict=True)
            for place in [self._places[name]]
        ]
        moving, session, batch = self._pipeline.moving, self.kept.session, self._spec.cell.batch
        frames, known = moving.frames, moving.known
        found = self._worked(
            order, lambda: self._pipeline.embed_windows(session, windows, batch=batch)
        )
        return found.model_copy(update={"frames": (moving.frames - frames, moving.known - known)})

    def _worked(self, order: Work | Hear, run: Callable[[], list[Embedded]]) -> Worked:
        waveforms = [self._waveforms[name] for name in order.utterances]
        cpu, began = time.process_time_ns(), time.perf_counter_ns()
        found = run()
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
            load_ns=self.kept.load_ns,
            first_chunk_ns=self.first_chunk_ns,
        )

    def check(self) -> None:
        """Compare what tasks gave with the reference."""
        for name, embedded in self._unchecked:
            self._check(name, embedded)
        self._unchecked.clear()

    def embed_scored(self, utterances: Collection[str]) -> None:
        """Embed recordings of trials; nothing is timed or compared with the reference."""
        for source in self._spec.scored:
            if source.name in utterances:
                waveform = read_source(source, self._pipeline.sample_rate_hz)
                embedded = self._pipeline.embed(self.kept.session, waveform)
                self._embeddings[source.name] = embedded.embedding_D

    def finish(self) -> Outcome:
        """Write the embeddings where they are wanted, and say how the cell ended."""
        self.kept.session.close()
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
            parity=reference.worst(self._parities),
        )

    def _prove_precision(self) -> None:
        """Let the runtime tell what it computes in; a fallback to float32 is no result.

        Raises:
            CellEnd: it computes in something else.
        """
        asked = self._options.precision
        if asked == FLOAT32 or asked.endswith("-weights"):
            return  # float32 is compared value by value; weights of fewer bits are in the file
        found = self.kept.session.operators()
        told = ", ".join(f"{count} in {kind}" for kind, count in found.items()) or "nothing told"
        if 2 * found.get(asked, 0) <= sum(found.values()):
            raise CellEnd("failed", f"asked for {asked}, but of what computes: {told}")
        self._effective["operators"] = told

    def _weigh(self) -> Memory:
        """Run every utterance once, for memory alone: nothing is timed."""
        names, at_once = list(self._waveforms), self._spec.cell.batch
        for first in range(0, len(names), at_once):
            some = names[first : first + at_once]
            self._unchecked += zip(some, self._embed(self.kept.session, some), strict=True)
            self.check()
        return self._device.memory()

    def _tell_front_end(self) -> str:
        """Say what the engine's own front end does to embeddings, nothing where it brings none."""
        if not self._model_D:
            return ""
        least = min(
            cosine(self._embeddings[name], embedding_D)
            for name, embedding_D in self._model_D.items()
            if name in self._embeddings
        )
        self._effective[OWN_FRONT_END_COSINE] = round(least, 6)
        found = reference.worst(self._parities)
        assert found is not None
        return (
            f"brings its own front end: cosine {least:.4f} to the reference at least, and "
            f"{found.cosine:.6f} where the reference is fed the same"
        )

    def _embed(self, session: SessionBase, names: Sequence[str]) -> list[Embedded]:
        """Embed utterances, in batches where the cell has such."""
        waveforms = [self._waveforms[name] for name in names]
        if self._spec.cell.batch == 1:
            return [self._pipeline.embed(session, waveform) for waveform in waveforms]
        found = self._pipeline.embed_together(
            session, [[waveform.samples] for waveform in waveforms], batch=self._spec.cell.batch
        )
        if failed := [each for each in found if isinstance(each, Exception)]:
            raise failed[0]
        return [each for each in found if isinstance(each, Embedded)]

    def open_session(self) -> LoadedSession:
        """Open one more session."""
        before = time.perf_counter_ns()
        session = self._engine.open(self._spec.artifact, self._options)
        load_ns = time.perf_counter_ns() - before
        if self._spec.cell.slowdown:
            session = Slowed(session, self._spec.cell.slowdown)
        return LoadedSession(session, load_ns)

    def timed(
        self, order: Measure, name: str, opened: LoadedSession, first_chunk_ns: int | None = None
    ) -> Record:
        """Measure one utterance of a turn; its embedding is checked after the clock stopped.

        Where nobody says what the session's first chunk took, it is this utterance's.
        """
        waveform, waited = self._waveforms[name], devices.waited_ns()
        watch = Stopwatch(self._meter)
        cpu = time.process_time_ns()
        (embedded,) = self._embed(opened.session, [name])
        cpu_ns = time.process_time_ns() - cpu
        spent, more = watch.spent(), devices.waited_ns()
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
            # A thread that ended takes its count with it.
            waited_ns=None if waited is None or more is None else max(more - waited, 0),
            energy_uj=spent.uj,
            energy_ns=spent.ns,
        )

    def _check(self, name: str, embedded: Embedded) -> None:
        precision = self._options.precision
        found = reference.parity_of(
            embedded.chunk_embeddings_CD, self._reference_CD[name], precision
        )
        self._parities.append(found)
        self._embeddings[name] = embedded.embedding_D
        if not found.ok:
            wrong = f"utterance {name}: {reference.why_wrong(found, precision)}"
            reason = "; ".join(filter(None, [wrong, self._engine.caveat(self._options)]))
            raise CellEnd("wrong_output", reason, reference.worst(self._parities))


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
