"""`rtfbench frontend`."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from rtfbench.base.errors import InputError, as_input, say
from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples

if TYPE_CHECKING:
    from rtfbench.extract.messages import ExtractionSetup

frontend_app = typer.Typer(
    rich_markup_mode=None,
    help="Look into what a model is fed.",
    epilog=examples(
        "rtfbench frontend check --model my.onnx --wav a.wav --features theirs.npy",
        "rtfbench frontend compare wespeaker sherpa-onnx --model my.onnx --wav recordings/",
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
app.add_typer(frontend_app, name="frontend", short_help="Say which step of a front end differs.")

AGREE, DIFFER = 0, 1


@frontend_app.command(
    epilog=examples(
        "rtfbench frontend check --model my.onnx --wav a.wav --features theirs.npy",
        "rtfbench frontend check --model my.onnx --front-end nemo --wav a.wav --features x.ark",
    )
    + "\n\nExit status: 0 they agree, 1 they differ, 2 bad input."
)
def check(
    wav: Annotated[Path, Option(help="A recording, best with a pause in it.")],
    features: Annotated[
        Path, Option(help="What somebody else's front end makes of all of it: .npy, or an .ark.")
    ],
    model: opt.ModelFile = None,
    front_end: opt.FrontEndName = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    channel: opt.Channel = None,
    resample: opt.Resample = False,
) -> None:
    """Name the steps in which features differ from the model's, and how much each one matters."""
    from rtfbench.extract.front_end_check import diagnose, effects

    setup = _setup(model, front_end, model_input, model_output, channel, resample)
    found = diagnose(setup, wav, features)
    if found.explained and not found.differences:
        print(f"{features}: as {setup.front_end} makes them")
        raise typer.Exit(AGREE)
    print(f"{features}: not as {setup.front_end} makes them; what differs:")
    cosines = effects(setup, wav, found.differences)
    for difference, alone in zip(found.differences, cosines, strict=True):
        turned = "" if alone is None else f"; alone, cosine {alone:.4f}"
        print(f"  {difference.step}: {difference}{turned}")
    if not found.explained:
        print(f"  something else that is not known here: {found.after:.3g} apart after that")
    raise typer.Exit(DIFFER)


@frontend_app.command(
    epilog=examples(
        "rtfbench frontend compare wespeaker sherpa-onnx --model my.onnx --wav recordings/",
        "rtfbench frontend compare wespeaker mine.toml --model my.onnx --wav wavs/ --trials trials",
    )
    + "\n\nExit status: 0 all well, 2 bad input."
)
def compare(
    first: Annotated[str, Argument(help="A front end: a preset, or a file in TOML.")],
    second: Annotated[str, Argument(help="Another.")],
    wav: Annotated[Path, Option(help="Folder of recordings, a recording or a wav.scp.")],
    model: opt.ModelFile = None,
    trials: Annotated[
        Path | None,
        Option(
            help="Trial list (`rtfbench score`): the error rate where enrolment used the "
            "first and test the second."
        ),
    ] = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    channel: opt.Channel = None,
    resample: opt.Resample = False,
) -> None:
    """Say how far embeddings of two front ends lie apart, and whether they may be mixed."""
    import numpy as np

    from rtfbench.embed.scoring import cosine
    from rtfbench.embed.trials import names_of, read_trials
    from rtfbench.extract import score_report
    from rtfbench.extract.front_end_check import embed, feature_difference
    from rtfbench.extract.score import mixed
    from rtfbench.frontends.audio import AudioError, on_disk
    from rtfbench.inputs.find import find_audio

    with as_input(AudioError):
        paths = {each.name: on_disk(each.path) for each in find_audio([wav])}
    note = cache(say)  # which says a line once
    setups = [
        _setup(model, each, model_input, model_output, channel, resample, note)
        for each in (first, second)
    ]
    embeddings = [
        dict(zip(paths, embed(setup, setup.front_end, list(paths.values())), strict=True))
        for setup in setups
    ]
    ours, theirs = embeddings
    turned = [cosine(ours[name], theirs[name]) for name in paths]
    low, middle = min(turned), float(np.median(turned))
    fed = " and ".join(str(setup.front_end) for setup in setups)
    print(f"{fed}: cosine of the same recording {middle:.4f}, least {low:.4f}")
    apart = feature_difference(setups[0], setups[1], list(paths.values()))
    told = "not of the same kind" if apart is None else f"{apart:.3g} apart on average"
    print(f"features: {told}")
    if trials is None:
        return
    listed = read_trials(trials, labels=True)
    missing = [name for name in names_of(listed) if name not in ours]
    if missing:
        raise InputError(f"{trials}: no recording {missing[0]!r} in {wav}")
    systems = mixed(listed, (first, second), embeddings, embeddings)
    options = score_report.ScoreOptions(mixed=(Path(first), Path(second)))
    for line in score_report.verdict(listed, systems, options):
        print(line)


def _setup(
    model: str | None,
    front_end: str | None,
    model_input: str | None,
    model_output: str | None,
    channel: int | None,
    resample: bool,
    note: Callable[[str], None] = say,
) -> "ExtractionSetup":
    """Return how a model is fed behind a front end, None for its own."""
    from rtfbench.extract import report
    from rtfbench.extract.options import ModelOptions, setup_for
    from rtfbench.models.user_models import Reading

    options = ModelOptions(
        model=model or "",
        engine=None,
        form=None,
        chunk_samples=None,
        channel=channel,
        resample=resample,
        reading=Reading(front_end, model_input, model_output),
    )
    return setup_for(options, phase=report.say_on_terminal, note=note)
