"""Findings: each figure is the one that the numbers give, and none stands without an interval."""

import pytest

from rtfbench.report.compare import lead, paired_ratio, times
from rtfbench.report.findings import findings
from rtfbench.results.cells import Condition
from rtfbench.results.load import Load
from rtfbench.results.rows import EngineForm, Noise, Summary
from tests.unit.report.results import curve, failed, published_and_steady, ratio, row, summary

MNN, ORT = EngineForm("mnn", "dynamic"), EngineForm("onnxruntime", "dynamic")
STEADY = Condition(model="resnet34", threads=1, chunk_samples=32000, protocol="steady")


def texts(result: Summary, *, kind: str) -> list[str]:
    """Return the sentences of one kind."""
    return [each.text for each in findings(result) if each.kind == kind]


def test_the_published_difference_is_decomposed() -> None:
    """The sentence has both ratios with intervals, and the share that preparation explains.

    By hand: 310 ms in two sessions over 10 s of audio are 0.062, the whole difference of the RTFs.
    """
    (sentence,) = [
        text for text in texts(published_and_steady(), kind="protocol") if "mnn-mini" in text
    ]
    # 0.102 / 0.08 over 0.5; ends: (0.102 / 0.081) / 0.51 and (0.102 / 0.079) / 0.49.
    assert (
        "under the published protocol mnn takes 2.55 times as long (2.47 to 2.63) as mnn-mini; in "
        "steady state they cannot be told apart: 1.000 (0.968 to 1.033)"
    ) in sentence
    assert "310 ms of weight preparation at the first resize of each session explain about all" in (
        sentence
    )


def test_a_run_that_does_not_say_what_is_prepared() -> None:
    """Results of engines that do not tell, and older ones, speak of preparation alone."""
    result = published_and_steady()
    cells = tuple(cell.model_copy(update={"effective": {}}) for cell in result.cells)
    told = texts(result.model_copy(update={"cells": cells}), kind="protocol")
    assert any("310 ms of preparation at the first resize" in text for text in told)


def test_protocols_that_agree_are_not_told() -> None:
    """Where both protocols give the same ratio there is nothing to say."""
    cells = [
        row(engine=engine, protocol=protocol)
        for protocol in ("published", "steady")
        for engine in ("onnxruntime", "mnn")
    ]
    ratios = (ratio(protocol="published"), ratio())
    assert not texts(summary(*cells, ratios=ratios), kind="protocol")


def test_a_static_model_has_no_preparation_to_explain() -> None:
    """The decomposition is told of dynamic models alone."""
    result = published_and_steady()
    cells = tuple(
        cell.model_copy(update={"form": "static"}) if cell.engine == "mnn" else cell
        for cell in result.cells
    )
    ratios = tuple(
        each.model_copy(update={"form": "static"}) if each.engine == "mnn" else each
        for each in result.ratios
    )
    changed = result.model_copy(update={"cells": cells, "ratios": ratios})
    sentences = texts(changed, kind="protocol")
    assert sentences
    assert not any("explain" in text for text in sentences)


def test_the_one_that_takes_longer_is_named_first() -> None:
    """A ratio below one is turned around, its interval with it."""
    (sentence,) = texts(summary(row(engine="onnxruntime"), row(), ratios=(ratio(),)), kind="engine")
    assert "onnxruntime takes 2.00 times as long as mnn (1.96 to 2.04)" in sentence


def test_a_tie_is_called_one() -> None:
    """An interval that holds one names no winner."""
    tie = ratio(ratio=0.99, ci95=(0.97, 1.01), decided=False)
    (sentence,) = texts(summary(row(engine="onnxruntime"), row(), ratios=(tie,)), kind="engine")
    assert (
        "mnn and onnxruntime cannot be told apart: 0.990 times as long (0.970 to 1.010)" in sentence
    )
    assert "wider than was asked for" in sentence
    assert "faster" not in sentence


def test_what_one_process_may_bring_by_luck_is_no_difference() -> None:
    """Under 2 % from one process each is called a tie, however narrow; not so with several."""
    narrow = ratio(ratio=0.985, ci95=(0.984, 0.986), sessions=1)
    (sentence,) = texts(summary(row(engine="onnxruntime"), row(), ratios=(narrow,)), kind="engine")
    assert (
        "cannot be told apart: 0.985 times as long (0.984 to 0.986), one process each" in sentence
    )
    several = narrow.model_copy(update={"sessions": 3})
    (sentence,) = texts(summary(row(engine="onnxruntime"), row(), ratios=(several,)), kind="engine")
    assert "onnxruntime takes 1.015 times as long as mnn (1.014 to 1.016)" in sentence


def test_without_intervals_no_engine_is_called_faster() -> None:
    """Medians of two engines alone are no evidence: the report says so."""
    for ratios in ((), (ratio(ci95=None),)):
        result = summary(row(engine="onnxruntime", rtf=0.08), row(), ratios=ratios)
        assert not texts(result, kind="engine")
        (warning,) = texts(result, kind="warning")
        assert "No engine is called faster" in warning
        assert "faster than" not in " ".join(each.text for each in findings(result))


def test_the_best_configuration_has_its_interval() -> None:
    """The smallest RTF of a model is named with everything that it takes to repeat it."""
    cells = [
        row(engine="onnxruntime", rtf=0.04, rtf_ci95=(0.039, 0.041)),
        row(form="static", threads=2, chunk_samples=48000, rtf=0.012, rtf_ci95=(0.0119, 0.0121)),
        row(engine="onnxruntime", threads=2, chunk_samples=48000, rtf=0.024),
    ]
    ratios = (ratio(form="static", threads=2, chunk_samples=48000),)
    (sentence,) = texts(summary(*cells, ratios=ratios), kind="best")
    assert sentence == (
        "Best configuration for ResNet-34 on this machine within parity 1e-3 (steady): mnn, "
        "static, 48000 samples, 2 threads: RTF 0.01200 (0.01190 to 0.01210); onnxruntime takes "
        "2.00 times as long there (1.96 to 2.04)."
    )


def test_a_near_rival_of_the_best_is_named() -> None:
    """A row whose interval reaches into the best one's is not beaten by it."""
    cells = [row(rtf=0.020), row(engine="other", rtf=0.0205, rtf_ci95=(0.0202, 0.021))]
    (sentence,) = texts(summary(*cells), kind="best")
    assert "Not surely ahead of other dynamic, 32000 samples, 1 thread" in sentence


def test_no_best_without_its_interval() -> None:
    """A lucky median of few passes is not called the best."""
    cells = [row(rtf=0.01, rtf_ci95=None), row(engine="other")]
    assert not texts(summary(*cells), kind="best")


def test_a_wrong_output_is_told_with_its_error() -> None:
    """The row that is wrong is named, and the form that is right."""
    (sentence,) = texts(
        summary(failed(form="static", title="CAM++", model="campplus"),
                row(title="CAM++", model="campplus")),
        kind="defect",
    )  # fmt: skip
    assert sentence.startswith("CAM++: mnn (static) computes another embedding")
    assert "largest error 2.0e-03" in sentence
    assert "the dynamic form is right to 1e-06" in sentence
    assert "reports/mnn-static-pooling.md" in sentence
    command = "explain --where-wrong --model campplus --engine mnn --form static --save-repro "
    assert f"`rtfbench {command}wrong-campplus-mnn`" in sentence


def test_a_cause_is_named_only_where_it_is_known() -> None:
    """Another model that is wrong on the same engine has no cause yet."""
    (sentence,) = texts(summary(failed(form="static"), row()), kind="defect")
    assert "reports/" not in sentence


def test_threads_have_interval_and_efficiency() -> None:
    """Speed-up is the ratio of the medians, its interval runs from end to end."""
    cells = [row(), row(threads=2, rtf=0.0125, rtf_ci95=(0.0120, 0.0130))]
    (sentence,) = texts(summary(*cells), kind="threads")
    assert "mnn dynamic 1.60 times as fast (1.46 to 1.75), 80 % efficiency" in sentence


def test_jobs_and_batches_are_held_against_one() -> None:
    """Two jobs at 80 % each, and a batch that is surely slower, each against its own kind."""
    queue = {"protocol": "throughput", "jobs": 2, "rtf": 0.0125, "rtf_ci95": (0.0120, 0.0130)}
    cells = [
        row(protocol="throughput"),
        row(**queue),
        row(**queue | {"batch": 4, "rtf": 0.015, "rtf_ci95": (0.0145, 0.0155)}),
    ]
    result = summary(*cells)
    (jobs,) = texts(result, kind="jobs")
    assert "2 jobs of 1 thread against one job: mnn dynamic 1.60 times as fast (1.46 to" in jobs
    assert jobs.endswith("80 % efficiency.")
    (batch,) = texts(result, kind="batch")
    assert "batches of 4, 2 jobs of 1 thread against one chunk at a time" in batch
    assert batch.endswith("0.83 times as fast (0.77 to 0.90), which is slower.")


def test_where_requests_arrive_no_row_is_faster_for_its_jobs() -> None:
    """The time of a row is shared among its jobs, busy or not, and a rate is not chosen."""
    alone = {"protocol": "server", "load": Load(rate_per_s=4.0)}
    cells = [
        row(**alone),
        row(**alone | {"jobs": 2, "rtf": 0.01, "rtf_ci95": (0.0099, 0.0101)}),
        row(**alone | {"load": Load(rate_per_s=8.0), "rtf": 0.03, "rtf_ci95": (0.029, 0.031)}),
    ]
    assert texts(summary(*cells), kind="jobs") == []
    assert texts(summary(*cells), kind="best") == []


def test_padding_is_exact() -> None:
    """0.02 over 0.016 is a quarter more audio computed than there is."""
    (sentence,) = texts(summary(row()), kind="padding")
    assert "25 % at 32000 samples" in sentence


def test_noise_warns_first() -> None:
    """A disturbed run says so before anything else."""
    noise = Noise(sentence="a neighbour took 12 %.", contaminated=True, disturbed_share=0.12)
    first = findings(summary(row(), noise=noise))[0]
    assert (first.kind, first.text) == (
        "warning",
        "The machine was not quiet: a neighbour took 12 %.",
    )


def test_ratios_over_a_common_reference_divide() -> None:
    """Two engines that were compared with a third are compared with one another."""
    published = STEADY.model_copy(update={"protocol": "published"})
    minimal = EngineForm("mnn-mini", "static")
    found = paired_ratio(published_and_steady(), published, minimal, MNN)
    assert found is not None
    assert found.ratio == pytest.approx(0.5 / 1.275)
    assert found.ci95 == pytest.approx((0.49 * 0.079 / 0.102, 0.51 * 0.081 / 0.102))
    assert (
        paired_ratio(published_and_steady(), STEADY, MNN, EngineForm("absent", "dynamic")) is None
    )


def test_who_leads_beats_every_other_engine() -> None:
    """A winner needs an interval against each rival that excludes a tie; ties lead together."""
    found = lead(curve(32000), STEADY)
    assert found is not None
    assert found.group == (MNN,)
    tie = summary(row(engine="onnxruntime"), row(), ratios=(ratio(ci95=(0.4, 1.1)),))
    tied = lead(tie, STEADY)
    assert tied is not None
    assert set(tied.group) == {MNN, ORT}
    assert tied.behind == ()
    assert lead(summary(row(engine="onnxruntime"), row()), STEADY) is None


def test_a_ratio_without_interval_says_so() -> None:
    """No figure looks surer than it is."""
    assert times(2.6, None) == "2.60× (no interval)"
    assert times(2.6, (2.5, 2.7)) == "2.60× (2.50 to 2.70)"


def test_what_an_utterance_takes_is_told_by_chunk_size() -> None:
    """By hand: ten seconds of audio in two utterances, RTF 0.02 and 0.04: 100 and 200 ms each."""
    cells = [
        row(chunk_samples=size, rtf=rtf, rtf_ci95=(0.95 * rtf, 1.05 * rtf))
        for size, rtf in ((32000, 0.02), (80000, 0.04))
    ]
    slower = row(engine="other", chunk_samples=32000, rtf=0.03)
    (_, sentence) = texts(summary(*cells, slower), kind="padding")
    assert "(5.0 s on average)" in sentence
    assert "95.0 to 105 ms at 32000, 190 to 210 ms at 80000 samples a chunk" in sentence
