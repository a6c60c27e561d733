"""The HTML page: complete in itself, escaped, with every figure on it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from random import Random

import pytest

from bitsmith.devices.parts import resolve_part
from bitsmith.report import Report
from bitsmith.report.html import page
from bitsmith.report.key_figures import key_figures, verdict
from bitsmith.report.sections import percent
from tests.report.reports import SECTIONS, design, full_report

_EVIL = '"><script>alert(1)</script>$x^$'
_VOID = {"meta", "br", "hr", "img", "link", "input"}


class _Balanced(HTMLParser):
    """Collects tags and attribute values and checks that every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _parsed(text: str) -> _Balanced:
    parser = _Balanced()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


def _visible(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)).split())


@pytest.mark.parametrize(("cycles", "unit"), [(0, "cycles"), (1, "cycle"), (2, "cycles")])
def test_one_cycle_is_one(cycles: int, unit: str) -> None:
    figures = key_figures(Report({"Latency": {"Cycles": cycles, "II": 1, "Tool": "t"}}).sections, None)
    assert [(one.value, one.unit) for one in figures] == [(str(cycles), unit), ("1", "cycle")]


def test_shows_the_key_figures_and_who_measured_them() -> None:
    text = _visible(page(full_report().with_section("Accuracy", {"Float": 0.975, "Fixed": 0.97, "Samples": 360})))
    for shown in (
        "bit-exact equals the emulator: 1,000 inputs, 0 mismatches, verilator 5.48",
        "97.00 % float model 97.50 %, 360 samples",
        "LUT 2,500 yosys 0.70",
        "125.0 MHz target 100 MHz, nextpnr-ecp5 0.11",
        "7 cycles 56 ns at Fmax, verilator 5.48",
        "2,500 of 83,640 (2.99 %)",
        "no calibration data",
        "4 × s12",
        "6 × u9",
        "from cache",
        "rtl/residual.sv",
    ):
        assert shown in text


def test_needs_nothing_from_elsewhere() -> None:
    text = page(full_report())
    parser = _parsed(text)
    assert "script" not in parser.tags
    assert "link" not in parser.tags
    assert all(link.startswith("./") for link in parser.links)
    assert "url(" not in text.replace("url(#tip)", "")
    assert "http" not in text.replace("http-equiv", "")


def test_names_from_models_and_files_are_escaped() -> None:
    turn = {"Layer": _EVIL, "Multipliers": 1, "Products": 1, "MultiplierCycles": 1}
    stage = {"Name": _EVIL, "Log": f"javascript:{_EVIL}"}
    sections = {**SECTIONS, "Files": {_EVIL: _EVIL}, "Stages": [stage], "Engines": [turn]}
    text = page(Report(sections, design(_EVIL, (_EVIL,))))
    assert "<script>" not in text
    assert "script" not in _parsed(text).tags


def test_links_stay_inside_the_project() -> None:
    files = {"a": "/etc/passwd", "b": "../../x", "c": "javascript:alert(1)", "d": "sub dir/x.sv", "e": "c:\\x"}
    links = _parsed(page(Report({"Files": files}))).links
    assert links == ["./javascript%3Aalert%281%29", "./sub%20dir/x.sv"]


def test_what_did_not_run_is_not_there() -> None:
    text = _visible(page(Report({"Estimate": {"LUT": 300, "Tool": "bitsmith estimate"}}, design())))
    assert "Fmax" not in text
    assert "bit for bit" not in text
    assert "LUT 300 estimate" in text
    assert "Resources of the part (estimate)" in text


def test_a_report_without_anything_is_a_page_too() -> None:
    assert "No stage has been run yet" in _visible(page(Report({})))


def test_a_missed_clock_and_a_mismatch_are_marked() -> None:
    text = page(
        Report(
            {
                "Verification": {"Inputs": 5, "Mismatches": 1, "Tool": "t"},
                "Timing": {"FmaxMHz": 90.0, "ClockPeriodNs": 11.1, "Tool": "t"},
            },
            design(),
        )
    )
    assert text.count('class="figure bad"') == 2


def test_a_design_larger_than_the_part_is_marked() -> None:
    text = page(Report({"Resources": {"LUT": 90_000, "DSP": 1, "Part": "LFE5U-85F", "Tool": "t"}}))
    assert text.count("fill over") == 1
    assert "90,000 of 83,640 (108 %)" in text
    assert "Does not fit: 90,000 LUTs of 83,640." in _visible(text)


def test_what_a_part_lacks_wholly_is_named() -> None:
    text = page(Report({"Resources": {"LUT": 100, "DSP": 3, "Part": "ice40hx8k-ct256", "Tool": "t"}}))
    assert "Does not fit: 3 multiplier blocks, of which it has none." in _visible(text)


def test_larger_memories_are_shown_where_there_are_some() -> None:
    area = {"LUT": 100, "URAM": 97, "Part": "xczu7ev", "Tool": "t"}
    text = _visible(
        page(Report({"Resources": area, "Layers": [{"Layer": "hidden", "LUT": 3, "URAM": 97}, {"LUT": 9}]}))
    )
    assert "Does not fit: 97 URAM of 96." in text
    assert "Layer LUT FF DSP BRAM URAM Cycles Stages hidden 3 97" in text


def test_shows_what_each_layer_takes_and_what_the_report_is_of() -> None:
    text = _visible(
        page(
            Report(
                {
                    **SECTIONS,
                    "Estimate": {"LUT": 2600, "Tool": "bitsmith estimate"},
                    "Layers": [
                        {"Layer": "hidden", "LUT": 300, "FF": 40, "Cycles": 2, "FirstStage": 0, "LastStage": 1},
                        {"LUT": 100, "FF": 9},
                    ],
                    "Utilization": [{"Cell": "TRELLIS_FF", "Used": 8364, "Available": 83640}],
                    "Timing": {"FmaxMHz": 125.0, "CriticalPath": "hidden to sum"},
                    "Origin": {"Version": "0.1", "Date": "2026-01-02", "Digest": "abc", "Command": "build()"},
                },
                design(),
            )
        )
    )
    for shown in (
        "LUT 2,500 yosys 0.70, estimate 2,600",
        "hidden 300 LUTs (75 %)",
        "hidden 300 40 2 1..2",
        "between layers 100 9",
        "TRELLIS_FF 8,364 83,640 10 %",
        "slowest path hidden to sum",
        "bitsmith 0.1 · 2026-01-02 · program abc · build()",
    ):
        assert shown in text


_BAR = re.compile(
    r'<div>([^<]*)</div>\s*<div class="track">(?:<div class="fill( over)?" style="width: ([\d.]+)%"></div>)?</div>\s*'
    r'<div class="text">([^<]*)'
)


def _bars(report: Report) -> list[tuple[str, float, bool, str]]:
    """Label, percent, whether it is too long, and text of each bar of a page."""
    return [
        (label, float(length or 0), bool(over), text.replace("&lt;", "<").strip())
        for label, over, length, text in _BAR.findall(page(report))
    ]


@pytest.mark.parametrize("dsps", [0, 3])
def test_bars_of_resources_are_shares_of_the_part(dsps: int) -> None:
    part = resolve_part("ice40hx8k-ct256")
    area = {"LUT": part.die.luts // 4, "FF": 2 * part.die.ffs, "DSP": dsps, "BRAM": 0, "Part": part.name, "Tool": "t"}
    assert part.die.dsps == 0
    assert _bars(Report({"Resources": area})) == [
        ("LUT", 25.0, False, f"{part.die.luts // 4:,} of {part.die.luts:,} (25 %)"),
        ("FF", 100.0, True, f"{2 * part.die.ffs:,} of {part.die.ffs:,} (200 %)"),
        ("DSP", 100.0 if dsps else 0.0, dsps > 0, f"{dsps}; the part has none"),
        ("BRAM", 0.0, False, f"0 of {part.die.brams} (0 %)"),
        ("LC", 100.0, True, "16,608 of 7,680 (216 %)"),  # 0.35 of the tables are in cells of flip-flops
    ]


def test_bars_of_errors_span_six_powers_of_ten() -> None:
    rng = Random(1)
    names = ("Saturated", "Wrapped", "Stuck", "WeightsToZero")
    errors = [0.0, 1e-9, 1e-6, 0.1, 1.0, 5.0, *(10 ** rng.uniform(-8, 1) for _ in range(30))]
    rows = [
        {
            "Layer": f"n{k}",
            "Error": error,
            "OwnError": rng.random(),
            **{name: rng.choice((0, 1, 2345)) for name in names},
        }
        for k, error in enumerate(errors)
    ]
    verbs = ("saturate", "wrap", "never change", "weights are 0")
    for row, (label, length, over, text) in zip(rows, _bars(Report({"Fidelity": rows})), strict=True):
        error = float(row["Error"])
        wanted = 0.0 if error <= 1e-6 else min(100 + 100 * math.log10(error) / 6, 100)
        assert (label, over) == (row["Layer"], error > 0.1)
        assert length == pytest.approx(wanted, abs=0.006)
        first, *others = text.split("; ")
        assert first == (f"{percent(error)}, own {percent(float(row['OwnError']))}" if error else "exact")
        counts = [int(row[name]) for name in names]
        assert others == [f"{count:,} {verb}" for count, verb in zip(counts, verbs, strict=True) if count]


@pytest.mark.parametrize("luts", [[], [None], [0, None, 7], [5000, 1, None, 250, 0], [3, 3]])
def test_bars_of_layers_are_beside_the_largest(luts: list[int | None]) -> None:
    rows = [{"Layer": f"n{k}", "FF": 1, **({} if lut is None else {"LUT": lut})} for k, lut in enumerate(luts)]
    shown = [(f"n{k}", lut) for k, lut in enumerate(luts) if lut]
    found = _bars(Report({"Layers": rows}))
    total, largest = sum(lut for _, lut in shown), max((lut for _, lut in shown), default=1)
    assert [(label, text) for label, _, _, text in found] == [
        (name, f"{lut:,} LUTs ({percent(lut / total)})") for name, lut in shown
    ]
    assert [length for _, length, _, _ in found] == pytest.approx([100 * lut / largest for _, lut in shown], abs=0.006)


@pytest.mark.parametrize(
    "stages", [[(3.25, False)], [(0.0, False), (0.0, True)], [(60.0, True), (15.0, False), (0.04, False)]]
)
def test_bars_of_stages_are_beside_the_longest(stages: list[tuple[float, bool]]) -> None:
    """Stages from the cache took no time, and the longest is also sought among them."""
    rows = [{"Name": f"s{k}", "Seconds": seconds, "Cached": cached} for k, (seconds, cached) in enumerate(stages)]
    longest = max(seconds for seconds, _ in stages) or 1
    found = _bars(Report({"Stages": rows}))
    assert [length for _, length, _, _ in found] == pytest.approx(
        [0 if cached else 100 * seconds / longest for seconds, cached in stages], abs=0.006
    )
    assert [text for *_, text in found] == [
        "from cache" if cached else f"{seconds:.1f} s" for seconds, cached in stages
    ]


def test_bars_of_bits_are_histograms_of_what_has_several() -> None:
    rows = design().layers
    mixed = replace(rows[1], name="mixed", bits=((2, 6), (5, 3), (8, 1)), constants=())
    plain = replace(rows[1], name="plain", bits=((4, 9),), constants=())
    report = Report({}, replace(design(), layers=(mixed, plain), outputs=("mixed",)))
    text = page(report)
    assert "mixed, result: 3.50 bits on the mean" in text and "plain, result" not in text
    bars = {label: (length, text) for label, length, _, text in _bars(report) if label.endswith("bits")}
    assert bars == {"2 bits": (100.0, "6"), "5 bits": (50.0, "3"), "8 bits": (16.67, "1")}


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("rtl/net.sv", "./rtl/net.sv"),
        ("a b/%2e.log", "./a%20b/%252e.log"),
        ("a..b/c", "./a..b/c"),
        ("", ""),
        ("/etc/passwd", ""),
        ("../x", ""),
        ("a/../../x", ""),
        ("a\\b", ""),
    ],
)
def test_links_lead_into_the_project_or_nowhere(path: str, link: str) -> None:
    links = _parsed(page(Report({"Files": {"Top": path}}))).links
    assert links == ([link] if link else [])


@pytest.mark.parametrize("period_ns", [3.0, 7.0, 8.0, 10.0, 3.775])
def test_a_clock_is_met_by_the_period_that_was_asked_for(period_ns: float) -> None:
    """Also where its frequency has no end in decimal; a kHz less is a missed clock, in the figures and in the verdict."""
    asked = replace(design(), clock_period_ns=period_ns)
    for offset, met in ((0.0, True), (0.001, True), (-0.0011, False), (-50.0, False)):
        sections = Report({"Timing": {"FmaxMHz": round(1000 / period_ns, 3) + offset, "Tool": "t"}}, asked).sections
        (figure,) = (each for each in key_figures(sections, asked) if each.label == "Fmax")
        assert figure.good is met and f"target {1000 / period_ns:.4g} MHz" in figure.detail
        assert ("clock MISSED: " in verdict(sections, asked)) is not met
        (unasked,) = (each for each in key_figures(sections, None) if each.label == "Fmax")
        assert unasked.good is None and "target" not in unasked.detail


def test_errors_of_a_channel_are_named_where_there_is_one() -> None:
    rows = [
        {"Layer": "a", "Error": 0.01, "OwnError": 0.01, "Channel": 3, "ChannelError": 0.25},
        {"Layer": "b", "Error": 0.01, "OwnError": 0.01},
    ]
    texts = [text for *_, text in _bars(Report({"Fidelity": rows}))]
    assert [f"channel 3: {percent(0.25)}" in text for text in texts] == [True, False] and "channel" not in texts[1]
