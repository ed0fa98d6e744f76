"""`rtfbench explain --where-wrong`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import InputError
from bench.commands.explained_folder import folder_for, write
from bench.commands.progress import complain, progress_on_stderr, say
from bench.explain.finding import Finding, Findings, render
from bench.machine.environment import describe_host

RESULT, TEXT = "where-wrong.json", "where-wrong.md"
ALL_RIGHT, NOT_RIGHT, INTERRUPTED = 0, 1, 130
#: A dozen parts of a model, each converted and run in a process of its own.
AROUND_S = 60.0
NEEDS = "--where-wrong needs the onnx package and onnxruntime ({error}); install them with: "
CURE = "pip install 'rtfbench[onnxruntime]'"


def where_wrong(
    flags: Mapping[str, Any],
    *,
    libraries: Mapping[str, Path | None],
    save_to: Path | None,
    out: Path | None,
    overwrite: bool,
) -> int:
    """Name the first wrong operator of every engine, and return the exit status.

    Args:
        flags: fields of a `Plan`.
        libraries: folders of the user's own, by the engines that they are for.
        save_to: gets a folder for each engine that is wrong, with a model that shows it.
        out: gets the result.
        overwrite: replace what these folders hold.

    Raises:
        InputError: something cannot be used; one line that names it and the cure.
    """
    try:
        import onnxruntime  # noqa: F401

        from bench.explain.suspects import suspects_of
        from bench.explain.where_wrong import Inspector
    except ImportError as error:
        raise InputError(NEEDS.format(error=error) + CURE) from error
    folder = folder_for(out, RESULT, overwrite=overwrite)
    _check_free(save_to, overwrite=overwrite)
    suspects = suspects_of(flags, libraries=libraries, phase=say, note=complain)
    findings: list[Finding] = []
    with progress_on_stderr(AROUND_S * len(suspects)) as progress:
        inspector = Inspector(step=progress.phase, save_to=save_to)
        try:
            for suspect in suspects:
                findings.append(inspector.inspect(suspect))
                progress.advance(len(findings) / len(suspects))
        except KeyboardInterrupt:
            if not findings:
                raise
    first = suspects[0]
    host = describe_host(audio=(), audio_s=0.0, weights="")
    found = Findings(
        model=first.title,
        num_frames=first.features_BTM.shape[1],
        threads=first.cell.threads,
        cpu=host.cpu_kind,
        rtfbench=host.rtfbench,
        cells=tuple(findings),
    )
    text = render(found)
    print(text, end="")
    write(folder, text=(TEXT, text), figures=(RESULT, found))
    say(f"results: {folder}")
    if len(findings) < len(suspects):
        say(f"interrupted: {len(findings)} of {len(suspects)} searched")
        return INTERRUPTED
    right = all(finding.error is not None and not finding.wrong for finding in findings)
    return ALL_RIGHT if right else NOT_RIGHT


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
