"""Figures as text."""

import pytest

from rtfbench.report import figures
from rtfbench.results.cells import MAX_REL_ERR


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1377, "0.1377"),
        (0.052624, "0.05262"),
        (0.05, "0.05000"),
        (0.99996, "1.000"),
        (12.3, "12.30"),
    ],
)
def test_rtf_has_four_significant_digits(value: float, text: str) -> None:
    """As in the published table: 0.1377 and 0.05262."""
    assert figures.rtf(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (1234.5, "1230"), (12.345, "12.3"), (0.00012345, "0.000123")]
)
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    """Three significant digits, written out."""
    assert figures.number(value) == text


def test_missing_figures() -> None:
    """What was not measured is a dash."""
    assert {figures.rtf(None), figures.number(None), figures.plus_minus(None)} == {"-"}
    assert {figures.params(None), figures.flops(None)} == {"-"}


def test_counts_are_cut_off() -> None:
    """The published tables cut off after two decimals; rounding would give 4.56 G."""
    assert figures.params(6_634_336) == "6.63 M"
    assert figures.params(5_009_999) == "5.00 M"
    assert figures.params(28_626_016) == "28.62 M"
    assert figures.flops(28_103_034_880) == "28.10 G"
    assert figures.flops(4_559_902_720) == "4.55 G"
    assert figures.flops(999_999_999) == "0.99 G"


def test_half_widths() -> None:
    """An interval is written as a share of its middle."""
    assert figures.plus_minus((0.95, 1.05)) == "±5.0 %"


def test_an_error_is_a_power_of_ten() -> None:
    """The limit of the parity check, as reports name it."""
    assert figures.error(MAX_REL_ERR) == "1e-3"


def test_ratios_are_written_to_a_hundredth() -> None:
    """A large ratio keeps three digits."""
    assert [figures.times(r) for r in (0.526, 2.6, 9.999, 12.34)] == [
        "0.53×",
        "2.60×",
        "10.0×",
        "12.3×",
    ]


def test_counts_have_their_plural() -> None:
    """One session, two sessions, and none of them."""
    assert [figures.counted(n, "session") for n in (0, 1, 2)] == [
        "0 sessions", "1 session", "2 sessions",
    ]  # fmt: skip


def test_a_share_of_nearly_nothing_has_no_sign() -> None:
    """What rounds to zero from below is zero."""
    assert [figures.percent(each) for each in (-0.002, -0.006, 0.974)] == ["0 %", "-1 %", "97 %"]
