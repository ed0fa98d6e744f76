"""`rtfbench explain`: times, many lengths, or the operator whose output is wrong."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer import Option

from rtfbench.base.errors import InputError, complain, say
from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples
from rtfbench.results.protocols import STEADY

if TYPE_CHECKING:
    from rtfbench.report.plots.style import Picture

OK, FOUND, INTERRUPTED = 0, 1, 130
WATERFALL = "waterfall"
NEEDS = "--where-wrong needs the onnx package and onnxruntime ({error}); install them with: "
CURE = "pip install 'rtfbench[onnxruntime]'"
ONE_LENGTH = "--lengths: a static model takes one length; leave out --form, or choose dynamic"


class Explaining(NamedTuple):
    """What all three have: the fields of a plan, folders of libraries, and where results go."""

    flags: Mapping[str, Any]
    libraries: Mapping[str, Path | None]
    out: Path | None
    overwrite: bool


@app.command(
    short_help="Say why one engine is slower than another, operator by operator.",
    epilog=examples(
        "rtfbench explain",
        "rtfbench explain --model ecapa512 --engine onnxruntime --engine mnn --out runs/why",
        'rtfbench explain --engine onnxruntime --engine "onnxruntime[graph_optimization=off]"',
        "rtfbench explain --model my.onnx --engine openvino",
        "rtfbench explain --protocol published --engine mnn --engine onnxruntime",
        "rtfbench explain --where-wrong --model campplus --engine mnn-mini --save-repro pooling",
        "rtfbench explain --lengths --model ecapa512 --engine onnxruntime --engine mnn",
        "rtfbench explain --where-wrong --model my.mnn --reference my.onnx --engine mnn",
    )
    + "\n\nExit status: 0 all well; 1 an engine failed, is wrong (--where-wrong) or leaks "
    "(--lengths); 2 bad input; 130 interrupted.",
)
def explain(
    context: typer.Context,
    model: opt.ModelName = "resnet34",
    front_end: opt.FrontEndName = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    engine: Annotated[
        list[str] | None,
        Option(
            help="Engine (`rtfbench engines`), with settings as name[key=value,...]; the first is "
            "what the others are held against. [default: onnxruntime, mnn]"
        ),
    ] = None,
    device: opt.DeviceName = "cpu",
    threads: opt.Threads = 1,
    chunk_samples: Annotated[
        int | None,
        Option(
            help="Samples a chunk at 16 kHz, -1: whole utterance. "
            "[default: 32000, or what a static model file is fixed to]"
        ),
    ] = None,
    form: Annotated[
        opt.FormChoice | None, Option(help="Model form. [default: what each engine prefers]")
    ] = None,
    protocol: Annotated[
        str,
        Option(
            metavar="NAME",
            help="steady: a chunk of a warmed session; published: the first chunk of a fresh one, "
            "with what the runtime prepares in it.",
        ),
    ] = STEADY.name,
    mnn_home: opt.MnnHome = None,
    mnn_mini_home: opt.MnnMiniHome = None,
    budget: opt.Budget = 30,
    where_wrong: Annotated[
        bool,
        Option(
            "--where-wrong",
            help="Name the first operator whose output is wrong, in place of times.",
        ),
    ] = False,
    lengths: Annotated[
        bool,
        Option(
            "--lengths",
            help="Run dynamic sessions on input of many lengths: time and memory by length, and "
            "whether memory grows over 500 runs.",
        ),
    ] = False,
    reference: Annotated[
        Path | None,
        Option(
            help="With --where-wrong: the ONNX file that --model, a file of yours, was made from."
        ),
    ] = None,
    save_repro: Annotated[
        Path | None,
        Option(
            help="With --where-wrong: folder for the smallest model that is wrong, its input and "
            "a script."
        ),
    ] = None,
    seed: opt.Seed = None,
    out: Annotated[
        Path | None, Option(help="Folder for the results. [default: runs/explain-DATE-TIME]")
    ] = None,
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace an explanation that --out holds.")
    ] = False,
) -> None:
    """Profile engines on the same chunk, in turns, and lay their operators side by side.

    Every operator is mapped to the nodes of the ONNX graph that it computes. Times are those of
    runs without a profiler; what the profiler itself costs is told. With --where-wrong, the
    operator is named whose output is wrong; with --lengths, engines run input of many lengths.
    """
    flags = {
        **opt.plan_fields(context),
        "models": (model,),
        "engines": tuple(engine or ("onnxruntime", "mnn")),
        "devices": (device,),
        "threads": (threads,),
        "chunk_samples": None if chunk_samples is None else (chunk_samples,),
        "forms": None if form is None else (form.value,),
        "protocols": (protocol,),
    }
    if where_wrong and lengths:
        raise typer.BadParameter("choose one of --where-wrong and --lengths")
    if not where_wrong and (reference is not None or save_repro is not None):
        raise typer.BadParameter("--reference and --save-repro need --where-wrong")
    asked = Explaining(flags, {"mnn": mnn_home, "mnn-mini": mnn_mini_home}, out, overwrite)
    if where_wrong:
        raise typer.Exit(_where_wrong(asked, save_repro))
    raise typer.Exit(_lengths(asked) if lengths else _times(asked, budget))


def _times(asked: Explaining, budget_s: float) -> int:
    """Explain engines on a model, print the report, and return the exit status."""
    from rtfbench.commands.progress import progress_on_stderr
    from rtfbench.explain.explanation import explanation_of, folder_for, write
    from rtfbench.explain.subject import subject_of
    from rtfbench.report import explained, markdown, terminal
    from rtfbench.report.page import write_pictures
    from rtfbench.report.plots.explained import waterfall
    from rtfbench.results.store import EXPLANATION

    folder = folder_for(asked.out, EXPLANATION, overwrite=asked.overwrite)
    subject = subject_of(asked.flags, libraries=asked.libraries, phase=say, note=complain)
    with progress_on_stderr() as progress:
        found = explanation_of(subject, budget_s=budget_s, progress=progress)
    told = explained.of_explanation(found)
    terminal.show(told)
    for old in folder.glob(f"{WATERFALL}*"):
        old.unlink()
    write_pictures(folder, _drawn(waterfall(found, each) for each in found.profiled[1:]))
    write(folder, text=("explain.md", markdown.draw(told)), figures=(EXPLANATION, found))
    say(f"results: {folder}")
    return FOUND if any(engine.failed for engine in found.engines) else OK


def _lengths(asked: Explaining) -> int:
    """Run engines on input of many lengths, print the report, and return the exit status."""
    from rtfbench.commands.progress import progress_on_stderr
    from rtfbench.explain.explanation import folder_for, write
    from rtfbench.explain.length_runs import lengths_of
    from rtfbench.explain.subject import subject_of
    from rtfbench.report import lengths as report
    from rtfbench.report import markdown, terminal
    from rtfbench.report.page import write_pictures
    from rtfbench.report.plots.explained import lengths
    from rtfbench.results.store import LENGTHS

    if "static" in (asked.flags.get("forms") or ()):
        raise InputError(ONE_LENGTH)
    folder = folder_for(asked.out, LENGTHS, overwrite=asked.overwrite)
    flags = {**asked.flags, "forms": ("dynamic",), "protocols": (STEADY.name,)}
    subject = subject_of(flags, libraries=asked.libraries, phase=say, note=complain)
    with progress_on_stderr() as progress:
        found = lengths_of(subject, progress=progress)
    told = report.of_lengths(found)
    terminal.show(told)
    write_pictures(folder, _drawn(map(lengths, [found])))
    write(folder, text=("lengths.md", markdown.draw(told)), figures=(LENGTHS, found))
    say(f"results: {folder}")
    if any(each.interrupted for each in found.engines):
        return INTERRUPTED
    return FOUND if any(each.failed or each.leaks for each in found.engines) else OK


def _drawn(pictures: "Iterable[Picture | None]") -> "list[Picture]":
    """Return the pictures that there are; none where matplotlib is not installed."""
    try:
        return [picture for picture in pictures if picture is not None]
    except ImportError as error:
        say(f"no pictures: {error}; install matplotlib with: pip install 'rtfbench[plot]'")
        return []


def _where_wrong(asked: Explaining, save_to: Path | None) -> int:
    """Name the first wrong operator of every engine, and return the exit status.

    `save_to` gets a folder for each engine that is wrong, with a model that shows it.
    """
    from rtfbench.commands.progress import progress_on_stderr
    from rtfbench.explain.explanation import folder_for, write
    from rtfbench.explain.finding import of_findings
    from rtfbench.report import markdown, terminal
    from rtfbench.results.store import WHERE_WRONG

    try:
        import onnxruntime  # noqa: F401

        from rtfbench.explain.suspects import suspects_of
        from rtfbench.explain.where_wrong import search
    except ImportError as error:
        raise InputError(NEEDS.format(error=error) + CURE) from error
    folder = folder_for(asked.out, WHERE_WRONG, overwrite=asked.overwrite)
    _check_free(save_to, overwrite=asked.overwrite)
    suspects = suspects_of(asked.flags, libraries=asked.libraries, phase=say, note=complain)
    with progress_on_stderr() as progress:
        found = search(suspects, progress=progress, save_to=save_to)
    told = of_findings(found)
    terminal.show(told)
    write(folder, text=("where-wrong.md", markdown.draw(told)), figures=(WHERE_WRONG, found))
    say(f"results: {folder}")
    if len(found.cells) < len(suspects):
        say(f"interrupted: {len(found.cells)} of {len(suspects)} searched")
        return INTERRUPTED
    right = all(finding.error is not None and not finding.wrong for finding in found.cells)
    return OK if right else FOUND


def _check_free(save_to: Path | None, *, overwrite: bool) -> None:
    """Refuse a folder that holds something already.

    Raises:
        InputError: it does, or is none.
    """
    if save_to is None or not save_to.exists():
        return
    if not save_to.is_dir():
        raise InputError(f"{save_to}: not a folder; name another --save-repro")
    if any(save_to.iterdir()) and not overwrite:
        raise InputError(f"{save_to}: not empty; name another --save-repro, or --overwrite it")
