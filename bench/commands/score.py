"""`rtfbench score`."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from rtfbench.base.errors import InputError
from rtfbench.commands.app import app, examples


@app.command(
    short_help="Score trials with embeddings; EER, minDCF, thresholds.",
    epilog=examples(
        "rtfbench score --trials trials.txt --embeddings embedding.txt --labels",
        "rtfbench score --trials trials.txt --embeddings ort.txt --embeddings mnn.txt --out scores",
        "rtfbench score --trials vox1_o.txt --embeddings vox1.ark --subtract-mean vox2.ark "
        "--cohort vox2.ark --cohort-spk2utt spk2utt --out scores --det det.png",
        "rtfbench score --trials mine.txt --embeddings mine.ark --target-fpr 0.01 --out scores",
        "rtfbench score --trials mine.txt --enrol-with old.npz --test-with new.npz --out scores",
    )
    + "\n\nExit status: 0 all well, 1 an embedding is missing, 2 bad input.",
)
def score(
    trials: Annotated[
        Path,
        Option(
            help="Lines of ENROLL TEST [LABEL] (target or nontarget, 1 or 0), or VoxCeleb's LABEL "
            "ENROLL TEST."
        ),
    ],
    embeddings: Annotated[
        list[Path] | None,
        Option(
            help="Embeddings that `rtfbench extract` wrote, by ending .npz, .scp, .ark or text. "
            "Of several, each one's EER is compared with the first one's."
        ),
    ] = None,
    enrol_with: Annotated[
        Path | None,
        Option(
            help="In place of --embeddings: what speakers were enrolled with, by another engine, "
            "precision or front end than --test-with; says what mixing the two does to scores "
            "and error rates."
        ),
    ] = None,
    test_with: Annotated[
        Path | None, Option(help="With --enrol-with: what tests will be embedded with.")
    ] = None,
    labels: Annotated[
        bool, Option("--labels", help="Insist on labels: a trial without one is an error.")
    ] = False,
    spk2utt: Annotated[
        Path | None,
        Option(
            help="Enrolment: lines of SPEAKER UTT1 UTT2 ...; the trials' first names are these "
            "speakers, each the mean of its embeddings."
        ),
    ] = None,
    utt2spk: Annotated[
        Path | None,
        Option(
            help="Lines of UTTERANCE SPEAKER, for the intervals. [default: target trials say which "
            "utterances are one speaker's; one in none is a speaker of its own]"
        ),
    ] = None,
    subtract_mean: Annotated[
        list[Path] | None,
        Option(help="Subtract the mean of these embeddings; one for each --embeddings."),
    ] = None,
    cohort: Annotated[
        list[Path] | None,
        Option(help="Normalise scores by these embeddings; one for each --embeddings."),
    ] = None,
    cohort_spk2utt: Annotated[
        Path | None, Option(help="The cohort's speakers, each the mean of its embeddings.")
    ] = None,
    norm: Annotated[
        Literal["s-norm", "as-norm"],
        Option(help="By the whole cohort, or adaptively by its most alike."),
    ] = "as-norm",
    top_n: Annotated[
        int | None,
        Option(min=2, help="How many of the cohort count in as-norm. [default: 300 at most]"),
    ] = None,
    p_target: Annotated[float, Option(help="Prior of a target trial in minDCF.")] = 0.01,
    target_fpr: Annotated[
        float | None,
        Option(
            help="Find the threshold with this share of false alarms on these trials, 0.01 for 1 %."
        ),
    ] = None,
    resamples: Annotated[
        int, Option(min=0, help="Draws of speakers for the intervals; 0 for none.")
    ] = 1000,
    det: Annotated[Path | None, Option(help="Draw the DET curves here, .png or .svg.")] = None,
    out: Annotated[
        Path | None, Option(help="File for the scores. [default: standard output]")
    ] = None,
) -> None:
    """Write the score of every trial and, where labels exist, say EER and minDCF with intervals.

    A line is ENROLL TEST SCORE [LABEL], with one score for each file of embeddings: the cosine, or
    with --cohort the normalised one. With --enrol-with and --test-with there are three scores: by
    the first alone, enrolled with the first and tested with the second, and by the second alone.
    Intervals are bootstrapped over the speakers that the target trials tell.
    """
    from rtfbench.extract.score import score as scored
    from rtfbench.extract.score_report import ScoreOptions

    for name, share in (("--p-target", p_target), ("--target-fpr", target_fpr)):
        if share is not None and not 0 < share < 1:
            raise InputError(f"{name} {share:g}: need a share between 0 and 1, 0.01 for 1 %")
    mixed = (enrol_with, test_with) if enrol_with and test_with else None
    if (enrol_with is None) != (test_with is None) or (mixed is None) == (not embeddings):
        raise InputError("name --embeddings, or both --enrol-with and --test-with")
    options = ScoreOptions(
        labels=labels,
        spk2utt=spk2utt,
        utt2spk=utt2spk,
        means=subtract_mean or (),
        cohorts=cohort or (),
        cohort_spk2utt=cohort_spk2utt,
        adaptive=norm == "as-norm",
        top_n=top_n,
        p_target=p_target,
        target_fpr=target_fpr,
        resamples=resamples,
        det=det,
        mixed=mixed,
    )
    raise typer.Exit(scored(trials, mixed or embeddings or (), options, out=out))
