"""The whole way from a subject to its explanation."""

from bench.embed.audio_input import read_source
from bench.embed.pipeline import Pipeline
from bench.explain.derive import costs, groups
from bench.explain.measure import measure
from bench.explain.read_graph import GraphRequest, graph_of
from bench.explain.subject import Subject
from bench.machine import environment
from bench.machine.peak import ceiling
from bench.measure.context import Progress
from bench.results.explanation import Explanation
from bench.results.stats import median


def explanation_of(subject: Subject, *, budget_s: float, progress: Progress) -> Explanation:
    """Measure and derive.

    Args:
        subject: what is explained.
        budget_s: seconds of measuring.
        progress: is told what goes on.

    Raises:
        InputError: the model's graph cannot be read.
    """
    cell = subject.cells[0].cell
    source = subject.source_of(cell)
    pipeline = Pipeline.for_model(source, cell.chunk_samples)
    waveform = read_source(subject.speech)
    num_frames = pipeline.first_chunk(waveform).shape[1]
    progress.phase("reading the model's graph")
    graphs = {
        form: graph_of(
            GraphRequest(path=each.path, num_frames=num_frames, input_name=each.input_name)
        )
        for form, each in subject.sources.items()
    }
    host = environment.describe_host(
        audio=[subject.speech.name], audio_s=waveform.duration_ns / 1e9, weights=""
    )
    measured = measure(
        subject, budget_s=budget_s, seed=subject.seed, progress=progress, ceiling=ceiling()
    )
    found = costs(measured.engines, graphs)
    return Explanation(
        model=subject.cells[0].title,
        threads=cell.threads,
        chunk_samples=cell.chunk_samples,
        num_frames=num_frames,
        protocol=cell.protocol,
        cpu=host.cpu_kind,
        rtfbench=host.rtfbench,
        seed=subject.seed,
        macs=graphs[cell.form].macs,
        peak_gflops=median(measured.peak_gflops),
        engines=tuple(each.engine for each in found),
        kinds=groups(found, lambda each: each.kind),
        blocks=groups(found, lambda each: each.block),
    )
