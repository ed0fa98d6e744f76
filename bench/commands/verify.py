"""`rtfbench verify`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from rtfbench.base.errors import InputError, as_input, say
from rtfbench.commands import options as opt
from rtfbench.commands.app import app, examples

SAME, DIFFERENT = 0, 1
NO_THRESHOLD = (
    "no decision without --threshold, or --target-fpr with --trials of yours, which finds one"
)


@app.command(
    short_help="Tell whether two recordings are of one speaker.",
    epilog=examples(
        "rtfbench verify --enroll a.wav --test b.wav --model model.onnx --engine mnn",
        "rtfbench verify --enroll a.wav --test b.wav --model model.onnx --threshold 0.7",
        "rtfbench verify --enroll a.wav --test b.wav --model model.onnx --target-fpr 0.01 "
        "--trials trials.txt --embeddings mine.npz",
    )
    + "\n\nExit status: 0 same speaker, or no threshold; 1 different speakers, 2 error.",
)
def verify(
    enroll: Annotated[Path, Option(help="Recording of the speaker who is known.")],
    test: Annotated[Path, Option(help="Recording to compare it with.")],
    threshold: Annotated[
        float | None,
        Option(
            min=0,
            max=1,
            help="Same speaker from this score on; `rtfbench score --target-fpr` finds one on "
            "your trials. [default: none, and no decision]",
        ),
    ] = None,
    target_fpr: Annotated[
        float | None,
        Option(
            help="In place of --threshold: the lowest one with at most this share of false alarms "
            "on --trials, 0.01 for 1 %."
        ),
    ] = None,
    trials: Annotated[
        Path | None, Option(help="Labelled trials (`rtfbench score`) of your recordings.")
    ] = None,
    embeddings: Annotated[
        Path | None,
        Option(help="The trials' embeddings, by `rtfbench extract` with the same options."),
    ] = None,
    trial_audio: Annotated[
        list[Path] | None,
        Option(help="In place of --embeddings: the trials' recordings, embedded now."),
    ] = None,
    model: opt.ModelFile = None,
    weights: opt.WeightsName = None,
    front_end: opt.FrontEndName = None,
    model_input: opt.ModelInput = None,
    model_output: opt.ModelOutput = None,
    engine: opt.EngineName = None,
    mnn_home: opt.MnnHome = None,
    mnn_mini_home: opt.MnnMiniHome = None,
    form: opt.ModelForm = None,
    samples_per_chunk: opt.ChunkSamples = None,
    threads: opt.Threads = 1,
    channel: opt.Channel = None,
    resample: opt.Resample = False,
) -> None:
    """Print the similarity of two recordings, (cosine + 1) / 2, and with a threshold the decision.

    A threshold belongs to a model, its front end and its recordings, so there is no default one.
    """
    from rtfbench.embed.scoring import similarity
    from rtfbench.extract import report
    from rtfbench.extract.messages import Unusable, WorkerOptions
    from rtfbench.extract.options import ModelOptions, setup_for, workers
    from rtfbench.extract.pool import ExtractError
    from rtfbench.extract.trial_threshold import TrialThreshold
    from rtfbench.frontends.audio import raised
    from rtfbench.inputs.find import Utterance
    from rtfbench.models.names import named_engine
    from rtfbench.models.user_models import Reading
    from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS

    on_trials = None
    if target_fpr is not None or trials or embeddings or trial_audio:
        if threshold is not None:
            raise InputError("--threshold: leave it out, or --target-fpr, which finds one")
        if target_fpr is None or trials is None or bool(embeddings) == bool(trial_audio):
            raise InputError(
                "--target-fpr: needs --trials, and for them --embeddings or --trial-audio"
            )
        on_trials = TrialThreshold(trials, target_fpr)
    options = ModelOptions(
        model=model or "",
        weights=weights or DEFAULT_WEIGHTS,
        engine=named_engine(engine) if engine else None,
        form=form.value if form else None,
        chunk_samples=samples_per_chunk,
        worker=WorkerOptions(threads=threads),
        channel=channel,
        resample=resample,
        reading=Reading(front_end, model_input, model_output),
        libraries={"mnn": mnn_home, "mnn-mini": mnn_mini_home},
    )
    decides = threshold is not None or on_trials is not None
    if decides and options.model and not options.knows_speakers:
        raise InputError(f"--threshold: nothing to decide, {options.remark}; name a model file")
    utterances = [Utterance("enroll", enroll), Utterance("test", test)]
    pair, rates_hz = [], list[int]()
    setup = setup_for(options, phase=report.say_on_terminal, note=say)
    needed_hz = setup.front_end.sample_rate_hz
    told, known = "", {}
    if on_trials and embeddings:
        known = on_trials.stored(embeddings, setup, say)
    with workers(setup, options.worker) as pool, as_input(ExtractError):
        for utterance, answer in pool.embed(utterances):
            if isinstance(answer, Unusable):
                raise InputError(f"{utterance.name} recording: {answer.reason}")
            pair.append(answer.values_D)
            rates_hz.append(answer.file_rate_hz or needed_hz)
        if on_trials:
            known = known or on_trials.embedded(trial_audio or (), pool)
            threshold, rates = on_trials.among(known)
            told = f" ({rates})"
    low_hz = [rate_hz for rate_hz in rates_hz if rate_hz < needed_hz]
    if low_hz:
        say(raised(len(low_hz), min(low_hz), needed_hz))
    score = similarity(*pair)
    remark = f" ({options.remark})" if options.remark else ""
    if not options.knows_speakers:
        print(f"score {score:.6f}; no decision{remark}")
        return
    if threshold is None:
        print(f"score {score:.6f}; {NO_THRESHOLD}{remark}")
        return
    same = score >= threshold
    decision = "same speaker" if same else "different speakers"
    print(f"score {score:.6f}, threshold {threshold:.7g}{told}: {decision}{remark}")
    raise typer.Exit(SAME if same else DIFFERENT)
