"""`rtfbench bisect`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from rtfbench.base.errors import InputError, complain, say
from rtfbench.base.limits import read_regression
from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples

if TYPE_CHECKING:
    from rtfbench.gate.bisection import Bisected, Versions

#: Seconds in which both neighbours are profiled.
EXPLAINED_S = 30.0
FOUND, NONE, CANNOT_BE_TOLD = 1, 0, 3


@app.command(
    short_help="Find the first version of a runtime that is slower, or wrong.",
    epilog=examples(
        "rtfbench bisect onnxruntime 1.20..1.32 --model model.onnx",
        "rtfbench bisect mnn 3.0..3.6 --model resnet34 --max-regression 10%",
        "rtfbench bisect onnxruntime --versions 1.24.4,1.25.0,1.26.0 --model ecapa512",
    )
    + "\n\nExit status: 0 no version is slower, 1 one was found, 2 bad input, 3 cannot be told.",
)
def bisect(
    engine: Annotated[str, Argument(help="Engine, with settings as name[key=value,...].")],
    span: Annotated[
        str | None, Argument(metavar="[FIRST..LAST]", help="Of those that pip's index has.")
    ] = None,
    versions: Annotated[
        str | None, Option(help="The versions instead, separated by commas.")
    ] = None,
    model: Annotated[str, Option(help="Model name or file.")] = "resnet34",
    device: opt.DeviceName = "cpu",
    front_end: opt.FrontEndName = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    threads: opt.Threads = 1,
    chunk_samples: Annotated[int, Option(help="Samples a chunk at 16 kHz.")] = 32000,
    max_regression: Annotated[str, Option(help="What counts as slower.")] = "5%",
    budget: Annotated[
        float, Option(min=5, help="Seconds a comparison; one that cannot tell gets twice.")
    ] = 60,
    max_rss: opt.MaxRss = None,
    explained: Annotated[
        bool, Option("--explain/--no-explain", help="Say which operators of the version differ.")
    ] = True,
    save_repro: Annotated[
        Path | None,
        Option(help="Folder for the smallest ONNX model that is slower, its input and a script."),
    ] = None,
) -> None:
    """Halve the versions by the gate's own comparison, each held against the oldest.

    Each version gets an environment of its own from pip's index, wheels only, which is kept in the
    cache. The neighbours that are left are held against each other once more, and explained.
    """
    from rtfbench.commands.progress import progress_on_stderr
    from rtfbench.gate import bisection
    from rtfbench.gate.baseline import GateOptions
    from rtfbench.gate.bisection import Halving, Versions, answer, distribution_of, most_comparisons
    from rtfbench.gate.bisection import bisect as halved
    from rtfbench.models.names import named_engine
    from rtfbench.models.user_models import Reading

    if save_repro is not None and save_repro.exists():
        raise InputError(f"{save_repro}: is there already; name another --save-repro")
    if (span is None) == (versions is None):
        raise InputError("name one of FIRST..LAST and --versions")
    spec = named_engine(engine)
    options = GateOptions(
        model=model,
        device=device,
        reading=Reading(front_end, model_input, model_output),
        threads=threads,
        chunk_samples=chunk_samples,
        max_regression=read_regression(max_regression),
        budget_s=budget,
        max_rss_mb=max_rss,
    )
    if versions is not None:
        chosen = bisection.listed(versions)
    else:
        assert span is not None
        chosen = bisection.between(span, bisection.released(distribution_of(spec)))
    most = most_comparisons(len(chosen))
    say(f"{len(chosen)} versions, {chosen[0]} to {chosen[-1]}: at most {most} comparisons")
    asked = Versions(spec, chosen, options, progress_on_stderr)

    def judge(base: str, candidate: str) -> Halving:
        found = asked.hold(base, candidate)
        print(f"{candidate} against {base}: {found.answer} ({found.why})", flush=True)
        return found

    found = halved(chosen, judge)
    print(answer(asked, found))
    if found.outcome == "found" and (explained or save_repro):
        _explain(asked, found, save_repro)
    raise typer.Exit({"found": FOUND, "none": NONE}.get(found.outcome, CANNOT_BE_TOLD))


def _explain(asked: "Versions", found: "Bisected", save_repro: Path | None) -> None:
    """Lay the operators of both neighbours side by side, and write what shows the difference."""
    from rtfbench.commands.progress import progress_on_stderr
    from rtfbench.explain.explanation import explanation_of
    from rtfbench.explain.subject import RuntimeVersion
    from rtfbench.explain.versions import save_slower, slowest, subject_of_versions
    from rtfbench.report import explained, terminal
    from rtfbench.results.protocols import STEADY

    assert found.last_good is not None
    assert found.first_bad is not None
    older, newer = (
        RuntimeVersion(asked.at(each), asked.python_of(each, say))
        for each in (found.last_good, found.first_bad)
    )
    options = asked.options
    flags: dict[str, Any] = {
        "models": (options.model,),
        "engines": (str(asked.engine),),
        "devices": (options.device,),
        "threads": (options.threads,),
        "chunk_samples": (options.chunk_samples,),
        "protocols": (STEADY.name,),
        "front_end": options.reading.front_end,
        "model_input": options.reading.input_name,
        "model_output": options.reading.output_name,
    }
    try:
        subject = subject_of_versions(flags, (older, newer), phase=say)
        with progress_on_stderr() as progress:
            told = explanation_of(subject, budget_s=EXPLAINED_S, progress=progress)
    except InputError as error:
        complain(f"not explained: {error}")
        return
    terminal.show(explained.of_explanation(told))
    if save_repro is None:
        return
    saved = save_slower(
        subject, slowest(told), save_repro, share=options.limit(), cpu=told.cpu, step=say
    )
    if isinstance(saved, str):
        complain(f"--save-repro: {saved}")
    else:
        say(
            f"{save_repro}: {saved.operators} operators, {saved.older_ms:.3g} ms in "
            f"{found.last_good}, {saved.newer_ms:.3g} ms in {found.first_bad}"
        )
