"""`rtfbench export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Option

from rtfbench.base.errors import InputError, as_input, complain, say
from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples

if TYPE_CHECKING:
    from rtfbench.models.make_export import Exported, ExportRequest

#: The largest models take minutes.
TIMEOUT_S = 3600.0


@app.command(
    short_help="Write a model file, ONNX or MNN, proved against its source.",
    epilog=examples(
        "rtfbench export --model resnet34 --format onnx -o resnet34.onnx",
        "rtfbench export --model resnet34 --format mnn --num-frames 198 -o resnet34.mnn",
        "rtfbench export --config exp/config.yaml --checkpoint exp/models/avg_model.pt "
        "--format onnx -o model.onnx",
        "rtfbench export --onnx model.onnx --format mnn --num-frames 198 -o model.mnn",
    ),
)
def export(
    format: Annotated[Literal["onnx", "mnn"], Option(help="What to write.")],
    output: Annotated[
        Path, Option("--output", "-o", help="File to write; one that exists is replaced.")
    ],
    model: Annotated[str | None, Option(help="Model name (`rtfbench models`).")] = None,
    weights: opt.WeightsName = None,
    config: Annotated[Path | None, Option(help="config.yaml of a WeSpeaker experiment.")] = None,
    checkpoint: Annotated[
        Path | None, Option(help="Its weights; nothing in the file is run.")
    ] = None,
    mean_vec: Annotated[
        Path | None, Option(help="Vector (.npy) that is subtracted from every embedding.")
    ] = None,
    onnx: Annotated[Path | None, Option(help="ONNX file to convert.")] = None,
    front_end: opt.FrontEndName = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    num_frames: Annotated[
        int | None,
        Option(min=1, max=360_000, help="Fix the number of frames. [default: any number will do]"),
    ] = None,
) -> None:
    """Export a model of the catalog, a WeSpeaker experiment, or an ONNX file.

    The result is run beside its source on random and real features, at two lengths where it takes
    any; a file that does not compute the same is not kept, and the exit status is 1.
    """
    from rtfbench.base.asking import ask
    from rtfbench.base.child import ChildError
    from rtfbench.commands.progress import progress_on_stderr
    from rtfbench.models.make_export import ExportAnswer, ExportRequest
    from rtfbench.models.user_models import Reading
    from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS

    request = ExportRequest(
        output=output,
        format=format,
        num_frames=num_frames,
        model=model,
        weights=weights or DEFAULT_WEIGHTS,
        config=config,
        checkpoint=checkpoint,
        mean_vec=mean_vec,
        onnx=onnx,
        reading=Reading(front_end, model_input, model_output),
    )
    _check(request)
    with progress_on_stderr() as progress:
        progress.phase(f"exporting to {output}")
        try:
            answer = ask("rtfbench.models.make_export", request, ExportAnswer, timeout_s=TIMEOUT_S)
        except ChildError as error:
            answer = ExportAnswer(status=1, error=f"{output}: exporting failed: {error}")
    if answer.status == 2:
        raise InputError(answer.error)
    if answer.exported is None:
        complain(answer.error)
        raise typer.Exit(1)
    for line in answer.exported.source.notes:
        say(line)
    print("\n".join(_lines(output, answer.exported)))


def _check(request: "ExportRequest") -> None:
    """Refuse options that name no source, or two, or no file to write."""
    from rtfbench.base.files import check_outputs
    from rtfbench.models.model_files import FORMATS
    from rtfbench.models.user_models import AS_IT_SAYS
    from rtfbench.models.zoo import catalog

    named = {"--model": request.model, "--config": request.config, "--onnx": request.onnx}
    chosen = [option for option, value in named.items() if value is not None]
    if len(chosen) != 1:
        raise InputError(
            "name what to export: --model NAME, --config FILE with --checkpoint FILE, or "
            f"--onnx FILE; {' and '.join(chosen) or 'none'} given"
        )
    if (request.config is None) != (request.checkpoint is None):
        raise InputError("--config and --checkpoint belong together: the files of an experiment")
    if request.mean_vec is not None and request.config is None:
        raise InputError("--mean-vec goes with --config and --checkpoint only")
    if request.onnx is None and request.reading != AS_IT_SAYS:
        raise InputError("--front-end, --model-input and --model-output go with --onnx only")
    if request.onnx is not None and not request.onnx.is_file():
        raise InputError(f"{request.onnx}: no such model file")
    if request.onnx is not None and FORMATS.get(request.onnx.suffix) != "onnx":
        raise InputError(f"{request.onnx}: not an .onnx file")
    if request.model is not None:
        with as_input(catalog.UnknownModelError):
            catalog.get(request.model)
    output = request.output
    if FORMATS.get(output.suffix) != request.format:
        raise InputError(
            f"{output}: --format {request.format} writes a file that ends in .{request.format}"
        )
    if output.is_dir():
        raise InputError(f"{output}: is a folder; name a file")
    check_outputs([output], [request.onnx, request.config, request.checkpoint, request.mean_vec])


def _lines(output: Path, made: "Exported") -> list[str]:
    """Return what a user wants to know of the file."""
    from rtfbench.models.model_files import FORMATS
    from rtfbench.report import figures
    from rtfbench.results.cells import MAX_REL_ERR

    source = made.source
    params, flops = ("unknown" if n is None else f"{n:,}" for n in (source.params, source.flops))
    form = "any number of frames" if made.num_frames is None else f"{made.num_frames} frames"
    lines = [
        f"{output}: {FORMATS[output.suffix]}, {form}, {output.stat().st_size / 1e6:.1f} MB",
        f"input    {made.inputs}",
        f"output   {made.outputs}",
        f"Params   {figures.params(source.params)} ({params})",
        f"FLOPs    {figures.flops(source.flops)} ({flops} {source.flops_basis})",
        f"checked  against {source.title}, limit {MAX_REL_ERR:.0e} of the largest value:",
    ]
    lines += [
        f"           {check.num_frames} frames, {check.features} features: {check.max_rel_err:.1e}"
        for check in made.checks
    ]
    if source.ignored:
        lines.append(f"left out {', '.join(source.ignored)} (the training's classifier)")
    if source.about:
        lines.append(f"note     {source.about}")
    return lines
