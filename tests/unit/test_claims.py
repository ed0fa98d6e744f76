"""Published claims and their verdicts."""

from pathlib import Path

import pytest

from rtfbench.base.errors import InputError
from rtfbench.engines.protocol import EngineSpec
from rtfbench.gate.claims import claim as claims
from rtfbench.models.zoo import catalog
from rtfbench.report import markdown
from tests.unit.report.results import ratio, row, summary

CLAIM = """
title = "A table"
source = "a document"
tolerance = 0.1
protocol = "steady"
[[row]]
label = "first"
model = "resnet34"
engine = "onnxruntime"
rtf = 0.2
params = "6.63 M"
flops = "4.56 G"
[[row]]
label = "second"
model = "resnet34"
engine = "mnn"
rtf = 0.1
[[ratio]]
row = "second"
against = "first"
"""
CONTROL = """
[[control]]
row = "second"
against = "first"
form = "static"
reason = "the form"
"""


def claim(tmp_path: Path, text: str) -> claims.Claim:
    """Read a claim."""
    path = tmp_path / "claim.toml"
    path.write_text(text)
    return claims.load_claim(str(path))


def judged(tmp_path: Path, text: str, middle: float, width: float = 1.01) -> claims.Judged:
    """Judge the claim where `mnn` was measured at a ratio, its static form at the published one."""
    ratios = (
        ratio(ratio=middle, ci95=(middle / width, middle * width)),
        ratio(form="static", ratio=0.5, ci95=(0.49, 0.51)),
    )
    cells = (row(engine="onnxruntime"), row(), row(form="static"))
    (found,) = claims.judge(claim(tmp_path, text), summary(*cells, ratios=ratios))
    return found


def test_verdicts(tmp_path: Path) -> None:
    """The whole interval in the tolerance reproduces a ratio; across its end it cannot tell."""
    assert judged(tmp_path, CLAIM, 0.5).verdict == "reproduced"
    assert judged(tmp_path, CLAIM, 0.54).verdict == "reproduced"
    assert judged(tmp_path, CLAIM, 0.555).verdict == "cannot tell"  # 0.555 / 1.01 < 0.55
    assert judged(tmp_path, CLAIM, 0.5, width=1.2).verdict == "cannot tell"
    assert judged(tmp_path, CLAIM, 0.57).verdict == "not reproduced"
    assert judged(tmp_path, CLAIM, 0.4).verdict == "not reproduced"
    explained = judged(tmp_path, CLAIM + CONTROL, 1.0)
    assert explained.verdict == "explained by"
    assert explained.reason == "the form: 0.50× (0.49 to 0.51)"


def test_a_control_that_fails_explains_nothing(tmp_path: Path) -> None:
    """The reason is given only when the control comes out as the claim expects."""
    assert judged(tmp_path, CLAIM + CONTROL + "expect = 1.0\n", 1.0).verdict == "not reproduced"
    both = judged(tmp_path, CLAIM + CONTROL + "expect = 0.5\n", 0.5)
    assert both.verdict == "reproduced"
    assert both.reason


def test_ratios_without_an_interval_reproduce_nothing(tmp_path: Path) -> None:
    """Two RTFs of one session each have no interval: however near, the answer is not known."""
    cells = (row(engine="onnxruntime", rtf=0.2, rtf_ci95=None), row(rtf=0.1, rtf_ci95=None))
    (found,) = claims.judge(claim(tmp_path, CLAIM), summary(*cells))
    assert (found.verdict, found.measured) == ("cannot tell", 0.5)


def test_a_row_that_was_not_measured_has_no_verdict(tmp_path: Path) -> None:
    """A missing row ends as not measured, never as a success."""
    (found,) = claims.judge(claim(tmp_path, CLAIM), summary(row()))
    assert (found.verdict, found.measured) == ("not measured", None)


def test_counts_are_compared_digit_by_digit(tmp_path: Path) -> None:
    """6.63 M agrees; 4.56 G is not 4.55 G, however near."""
    read = claim(tmp_path, CLAIM)
    result = summary(row(engine="onnxruntime"))
    assert [each.same for each in claims.counts(read, result)] == [True, False]
    page = markdown.draw(claims.of_claim(read, result))
    assert "1 of 2 counts agree digit by digit" in page
    assert "1 not measured" in page


def test_a_control_is_measured_beside_its_pair(tmp_path: Path) -> None:
    """The cells of a claim are its rows and what its controls change, once each."""
    cells = claims.cells(claim(tmp_path, CLAIM + CONTROL))
    assert [(cell.engine, cell.form) for cell in cells] == [
        ("onnxruntime", "dynamic"),
        ("mnn", "dynamic"),
        ("mnn", "static"),
    ]
    assert len({cell.condition for cell in cells}) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = [", "not TOML"),
        ("title = 'x'", "source: Field required"),
        (CLAIM.replace('against = "first"', 'against = "third"'), "no row is labelled 'third'"),
        (CLAIM.replace('label = "second"', 'label = "first"'), "same label"),
        (CLAIM.replace('engine = "mnn"', 'engine = "mnn["'), "name.key=value"),
        (CLAIM.replace("rtf = 0.1", "rtf = 0"), "greater than 0"),
        (CLAIM + "colour = 1", "no such key"),
    ],
)
def test_bad_claims_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    """A claim that cannot be used is an error with the file's name and the reason."""
    with pytest.raises(InputError, match=message) as caught:
        claim(tmp_path, text)
    assert "claim.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_claims_suggest_the_nearest() -> None:
    """A misspelt name is refused with the name that was meant."""
    with pytest.raises(InputError, match="did you mean wespeaker-mnn"):
        claims.load_claim("wespeaker-mn")


@pytest.mark.parametrize("name", claims.claim_names())
def test_the_claims_of_the_package_say_what_the_catalog_says(name: str) -> None:
    """Published figures stand in two places and agree."""
    read = claims.load_claim(name)
    for published in read.row:
        card = catalog.get(published.model)
        assert (published.params, published.flops) == (card.published_params, card.published_flops)
        engine = published.engine.name
        assert published.rtf in {
            each.rtf
            for each in card.published_rtf
            if (each.engine, each.chunk_samples, each.cpu) == (engine, read.chunk_samples, read.cpu)
        }


def test_the_published_engines_have_their_published_settings() -> None:
    """WeSpeaker's programs ask for extended optimisation and for low precision."""
    read = [claims.load_claim(name) for name in claims.claim_names()]
    engines = {str(row.engine) for claim in read for row in claim.row}
    assert engines == {
        "onnxruntime[graph_optimization=extended]",
        "mnn[precision=low]",
        "mnn-mini[precision=low]",
    }


def test_engines_can_be_placed() -> None:
    """Each engine of a claim's rows and controls is rewritten, and only they."""
    claim = claims.load_claim("wespeaker-mnn")

    def place(spec: EngineSpec) -> EngineSpec:
        home = {"home": "/m"} if spec.name == "mnn-mini" else {}
        return spec._replace(settings=home | spec.settings)

    placed = claims.on(claim, place)
    assert [str(row.engine) for row in placed.row] == [
        "onnxruntime[graph_optimization=extended]",
        "mnn[precision=low]",
        "mnn-mini[home=/m,precision=low]",
    ]
    assert claims.on(claim, lambda spec: spec) == claim
