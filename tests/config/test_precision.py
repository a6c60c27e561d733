"""Precision texts: every spelling, the round trip, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitsmith.config.precision import parse_precision
from bitsmith.errors import ConfigError
from bitsmith.ir.types import MAX_WIDTH, FixedFormat, Overflow, Rounding

PLAIN = FixedFormat(True, 16, 10)
MODED = FixedFormat(True, 16, 10, Rounding.RND, Overflow.SAT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", None),
        (" Auto ", None),
        ("ap_fixed<16,6>", PLAIN),
        ("fixed<16,6>", PLAIN),
        ("fixed< 16 , 6 >", PLAIN),
        ("  ap_fixed <16,6>  ", PLAIN),
        ("fixed<16,6,RND,SAT>", MODED),
        ("fixed<16,6, AP_RND, AP_SAT>", MODED),
        ("ap_fixed<16,6,AP_RND,AP_SAT,0>", MODED),
        ("fixed<16,6,rnd,sat>", MODED),
        ("fixed<16,6,TRN,WRAP,0>", PLAIN),
        ("fixed<16,6,RND>", FixedFormat(True, 16, 10, Rounding.RND)),
        ("ufixed<8,0>", FixedFormat(False, 8, 8)),
        ("ap_ufixed<8,-2,RND_CONV,SAT_SYM>", FixedFormat(False, 8, 10, Rounding.RND_CONV, Overflow.SAT_SYM)),
        ("fixed<8,12>", FixedFormat(True, 8, -4)),
        ("ac_fixed<16,6>", PLAIN),
        ("ac_fixed<16,6,true,AC_RND,AC_SAT>", MODED),
        ("ac_fixed<16,6,false>", FixedFormat(False, 16, 10)),
        ("ac_fixed<16,6,0,AC_TRN_ZERO>", FixedFormat(False, 16, 10, Rounding.TRN_ZERO)),
        ("ap_int<8>", FixedFormat(True, 8, 0)),
        ("int<8>", FixedFormat(True, 8, 0)),
        ("uint<8>", FixedFormat(False, 8, 0)),
        ("ap_uint<1>", FixedFormat(False, 1, 0)),
        ("ac_int<8>", FixedFormat(True, 8, 0)),
        ("ac_int<8,false>", FixedFormat(False, 8, 0)),
    ],
)
def test_spellings(text: str, expected: FixedFormat | None) -> None:
    assert parse_precision(text) == expected


@pytest.mark.parametrize("prefix", ["", "AP_", "AC_", "ap_", "SC_"])
@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", Overflow)
def test_every_mode_with_every_prefix(prefix: str, rounding: Rounding, overflow: Overflow) -> None:
    text = f"ap_fixed<9,4,{prefix}{rounding.value},{prefix}{overflow.value}>"
    assert parse_precision(text) == FixedFormat(True, 9, 5, rounding, overflow)


@given(
    st.booleans(),
    st.integers(1, MAX_WIDTH),
    st.integers(-300, 300),
    st.sampled_from(Rounding),
    st.sampled_from(Overflow),
)
@settings(max_examples=200)
def test_text_and_format_round_trip(
    signed: bool, width: int, frac: int, rounding: Rounding, overflow: Overflow
) -> None:
    fmt = FixedFormat(signed, width, max(frac, width - MAX_WIDTH), rounding, overflow)
    assert parse_precision(str(fmt)) == fmt
    assert parse_precision(fmt) is fmt


@given(st.text(alphabet="apcufixedint_<>,0168- RNDSAT", max_size=24))
@settings(max_examples=300)
def test_any_text_gives_a_format_or_a_typed_error(text: str) -> None:
    try:
        fmt = parse_precision(text)
    except ConfigError:
        return
    assert fmt is None or parse_precision(str(fmt)) == fmt


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("float", "floating-point"),
        ("double", "'auto' keeps"),
        ("half", "floating-point"),
        ("fp16", "floating-point"),
        ("int8", "int<8> has integers alone; with bits=8 auto"),
        ("UINT4", "uint<4>"),
        ("16", "bits=16"),
        ("8 bits", "bits=8"),
        ("quantized_bits(8,2,1)", "quantizers belong in the model"),
        ("bfloat16", "floating-point"),
        ("ap_float<16,5>", "floating-point"),
        ("ac_float<16,2,6>", "floating-point"),
        ("ap_fixd<16,6>", "did you mean 'ap_fixed'?"),
        ("ap_sfixed<16,6>", "did you mean"),
        ("fixed", "the width in bits is missing"),
        ("fixed<16>", "the number of integer bits is missing"),
        ("int", "the width in bits is missing"),
        ("fixed<0,0>", "a width of 0 bits"),
        ("fixed<-4,0>", "a width of -4 bits"),
        ("fixed<513,6>", "1 to 512 bits"),
        ("fixed<16,99999>", "fractional bits"),
        ("fixed<16,9999999>", "'9999999' for the number of integer bits"),
        ("fixed<16.5,6>", "'16.5' for the width"),
        ("fixed<16,6,RNDD>", "did you mean 'RND'?"),
        ("fixed<16,6,AP_TRN_SMGN>", "TRN_ZERO"),
        ("ac_fixed<16,6,true,AC_RND_CONV_ODD>", "half to even"),
        ("fixed<16,6,SAT,RND>", "the order is"),
        ("fixed<16,6,RND,SATT>", "did you mean 'SAT'?"),
        ("fixed<16,6,RND,WRAP_SM>", "two's complement"),
        ("fixed<16,6,RND,SAT,3>", "saturation bits are not available"),
        ("fixed<16,6,RND,SAT,0,0>", "too many"),
        ("ac_fixed<16,6,maybe>", "true or false"),
        ("int<8,RND>", "too many"),
        ("auto<8>", "precision 'auto<8>'"),
        ("", "precision ''"),
        ("fixed<16,6", "precision 'fixed<16,6'"),
        ("fixed<16,6>>", "precision"),
        ("fixed<" + "1" * 200 + ",6>", "characters"),
        ("fixed<１６,6>", "'１６' for the width"),
    ],
)
def test_refusals_say_what_is_accepted(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_precision(text, "LayerName.fc1.Precision.weight")
    assert said in str(caught.value)
    assert caught.value.where == "LayerName.fc1.Precision.weight"
    assert caught.value.accepted


@pytest.mark.parametrize("value", [None, 16, 1.5, True, ["fixed<16,6>"], {}])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="type"):
        parse_precision(value)


def test_parentheses_are_brackets() -> None:
    assert parse_precision("ap_fixed(16, 6)") == parse_precision("fixed<16,6>")
    with pytest.raises(ConfigError, match="bits=16"):
        parse_precision(16)
