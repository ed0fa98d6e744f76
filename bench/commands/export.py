"""`rtfbench export`."""

import sys
from pathlib import Path

from bench.base.asking import ask
from bench.base.child import ChildError
from bench.base.errors import InputError
from bench.base.outputs import check_outputs
from bench.commands.progress import progress_on_stderr
from bench.models.make_export import ExportAnswer, Exported, ExportRequest
from bench.models.model_files import FORMATS
from bench.report import figures
from bench.results.cells import MAX_REL_ERR
from bench.zoo import catalog

#: The largest models take minutes.
TIMEOUT_S = 3600.0


def export(request: ExportRequest) -> int:
    """Export in a process of its own, print what was written, and return the exit status."""
    _check(request)
    with progress_on_stderr() as progress:
        progress.phase(f"exporting to {request.output}")
        try:
            answer = ask("bench.models.make_export", request, ExportAnswer, timeout_s=TIMEOUT_S)
        except ChildError as error:
            answer = ExportAnswer(status=1, error=f"{request.output}: exporting failed: {error}")
    if answer.status == 2:
        raise InputError(answer.error)
    if answer.exported is None:
        print(f"rtfbench: {answer.error}", file=sys.stderr)
        return 1
    print("\n".join(_lines(request.output, answer.exported)))
    return 0


def _check(request: ExportRequest) -> None:
    """Refuse combinations of options that name no source, or two."""
    named = {
        "--model": request.model,
        "--config": request.config,
        "--onnx": request.onnx,
    }
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
    if request.onnx is not None and not request.onnx.is_file():
        raise InputError(f"{request.onnx}: no such model file")
    if request.onnx is not None and FORMATS.get(request.onnx.suffix) != "onnx":
        raise InputError(f"{request.onnx}: not an .onnx file")
    if request.model is not None:
        try:
            catalog.get(request.model)
        except catalog.UnknownModelError as error:
            raise InputError(str(error)) from None
    _check_output(request)


def _check_output(request: ExportRequest) -> None:
    output = request.output
    if FORMATS.get(output.suffix) != request.format:
        raise InputError(
            f"{output}: --format {request.format} writes a file that ends in .{request.format}"
        )
    if output.is_dir():
        raise InputError(f"{output}: is a folder; name a file")
    check_outputs([output], [request.onnx, request.config, request.checkpoint, request.mean_vec])


def _lines(output: Path, made: Exported) -> list[str]:
    """Return what a user wants to know of the file."""
    form = "any number of frames" if made.num_frames is None else f"{made.num_frames} frames"
    lines = [
        f"{output}: {FORMATS[output.suffix]}, {form}, {output.stat().st_size / 1e6:.1f} MB",
        f"input    {made.inputs}",
        f"output   {made.outputs}",
        f"Params   {figures.params(made.params)} ({_exact(made.params)})",
        f"FLOPs    {figures.flops(made.flops)} ({_exact(made.flops)} {made.flops_basis})",
        f"checked  against {made.source}, limit {MAX_REL_ERR:.0e} of the largest value:",
    ]
    lines += [
        f"           {check.num_frames} frames, {check.features} features: {check.max_rel_err:.1e}"
        for check in made.checks
    ]
    if made.ignored:
        lines.append(f"left out {', '.join(made.ignored)} (the training's classifier)")
    if made.about:
        lines.append(f"note     {made.about}")
    return lines


def _exact(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"
