"""The whole way from a subject to its explanation."""

from pathlib import Path
from tempfile import TemporaryFile

from rtfbench.base.cache import write_whole
from rtfbench.base.errors import InputError
from rtfbench.base.files import writing_to
from rtfbench.base.pace import Progress
from rtfbench.base.values import Value
from rtfbench.embed.audio_input import read_source
from rtfbench.embed.pipeline import Pipeline
from rtfbench.explain.derive import costs, groups
from rtfbench.explain.measure import measure
from rtfbench.explain.read_graph import GraphRequest, graph_of
from rtfbench.explain.subject import Subject
from rtfbench.measure.machine import environment
from rtfbench.measure.whole_run import default_folder
from rtfbench.results.explanation import Explanation
from rtfbench.results.stats import median


def folder_for(out: Path | None, result: str, *, overwrite: bool) -> Path:
    """Return the folder that is asked for, or one of the date, found to be writable.

    What takes minutes should not end at a folder that could have been looked at before. One with a
    result has the file `result`.

    Raises:
        InputError: it is no folder, cannot be written to, or holds a result.
    """
    folder = out or default_folder("explain-")
    is_there = folder.exists()
    if is_there and not folder.is_dir():
        raise InputError(f"{folder}: not a folder; name another --out")
    if (folder / result).exists() and not overwrite:
        raise InputError(f"{folder}: holds a result; name another --out, or --overwrite it")
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
        if not is_there:
            folder.rmdir()  # what is refused later leaves no folder behind
    return folder


def write(folder: Path, *, text: tuple[str, str], figures: tuple[str, Value]) -> None:
    """Write a result, each file as a whole; it was printed before, because this may fail.

    `text` is the report's name and content, `figures` those of what is behind it; where that is,
    all is.
    """
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (text, (figures[0], figures[1].model_dump_json(indent=2) + "\n")):
            write_whole(folder / name, content)


def explanation_of(subject: Subject, *, budget_s: float, progress: Progress) -> Explanation:
    """Measure for so many seconds, and derive.

    Raises:
        InputError: the model's graph cannot be read.
    """
    cell = subject.cells[0].cell
    pipeline = Pipeline.for_model(subject.sources[cell.form], cell.chunk_samples)
    waveform = read_source(subject.speech, pipeline.sample_rate_hz)
    num_frames = pipeline.first_chunk(waveform).shape[1]
    progress.phase("reading the model's graph")
    graphs = {
        form: graph_of(
            GraphRequest(path=each.path, num_frames=num_frames, input_name=each.input_name)
        )
        for form, each in subject.sources.items()
    }
    host = environment.describe_host()
    engines, peak_gflops = measure(subject, budget_s=budget_s, progress=progress)
    found = costs(engines, graphs)
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
        peak_gflops=median(peak_gflops),
        engines=tuple(each.engine for each in found),
        kinds=groups(found, lambda each: each.kind),
        blocks=groups(found, lambda each: each.block),
    )
