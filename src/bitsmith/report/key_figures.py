"""Key figures of a build, and its verdict in one line: what the page and the terminal show first.

In: the sections of a report, and the design. Out: labeled figures with who measured them, shares of the part, a sentence.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bitsmith.devices.parts import resolve_part
from bitsmith.errors import ConfigError
from bitsmith.estimate.needs import Need, counted, shortage
from bitsmith.report.sections import (
    C_SIMULATION,
    Accuracy,
    Estimate,
    Latency,
    Resources,
    Section,
    Timing,
    Verification,
    find,
    number,
    percent,
)
from bitsmith.report.summary import Design


@dataclass(frozen=True, slots=True)
class Figure:
    """A key figure: ``good`` is None where there is nothing to judge."""

    label: str
    value: str
    unit: str = ""
    detail: str = ""
    good: bool | None = None


def key_figures(sections: Sequence[Section], design: Design | None) -> list[Figure]:
    """Return verification, accuracy, cells, clock and latency, as far as they are known."""
    latency, timing, area = find(sections, Latency), find(sections, Timing), area_of(sections)
    fmax = timing.fmax_mhz if timing is not None else None
    figures = [*_verified(find(sections, Verification)), *_accuracy(find(sections, Accuracy))]
    if area is not None:
        kind = "estimate" if isinstance(area, Estimate) else area.tool or ""
        expected = _expected(sections)
        figures += [
            Figure(label, number(used), detail=_joined(kind, expected.get(label)))
            for label, used in _counts(area)
            if used is not None
        ]
    if timing is not None and fmax is not None:
        target = design.clock_period_ns if design is not None else None
        wanted = f"target {1000 / target:.4g} MHz" if target else ""
        met = _is_met(fmax, target) if target else None
        slowest = f"slowest path {timing.path}" if timing.path else ""
        figures.append(Figure("Fmax", f"{fmax:,.1f}", "MHz", _joined(wanted, timing.tool, slowest), met))
    if latency is not None and latency.cycles is not None:
        at = f"{1000 * latency.cycles / fmax:,.3g} ns at Fmax" if fmax is not None and fmax > 0 else ""
        unit = "cycle" if latency.cycles == 1 else "cycles"
        figures.append(Figure("Latency", number(latency.cycles), unit, _joined(at, latency.tool)))
    if latency is not None and latency.ii is not None:
        rate = f"{fmax / latency.ii:,.3g} M samples/s" if fmax is not None and latency.ii > 0 else ""
        unit = "cycle" if latency.ii == 1 else "cycles"
        figures.append(Figure("Initiation interval", number(latency.ii), unit, _joined(rate, latency.tool)))
    return figures


def verdict(sections: Sequence[Section], design: Design | None) -> str:
    """Return in one line if the circuit is verified, fits its part and reaches its clock; "" if nothing is known of that."""
    verified, timing = find(sections, Verification), find(sections, Timing)
    parts = []
    if verified is not None and verified.mismatches is not None:
        differ = f"{verified.mismatches:,} of {verified.inputs or 0:,} inputs differ"
        parts.append(
            f"NOT verified: {differ}" if verified.mismatches else f"verified on {verified.inputs or 0:,} inputs"
        )
    used = resources(sections, design)
    if lacking := shortage(used):
        parts.append(f"does NOT fit: {lacking}")
    elif shares := [(need.needed / need.available, need.label) for need in used if need.available]:
        share, label = max(shares)
        counts = "expected to fit" if isinstance(area_of(sections), Estimate) else "fits"
        parts.append(f"{counts} ({percent(share)} of the part's {label}s)")
    if timing is not None and timing.fmax_mhz is not None and design is not None:
        target = 1000 / design.clock_period_ns
        clock = "clock" if _is_met(timing.fmax_mhz, design.clock_period_ns) else "clock MISSED:"
        parts.append(f"{clock} {timing.fmax_mhz:.4g} MHz ({target:.4g} MHz asked)")
    return "; ".join(parts)


def _is_met(fmax_mhz: float, period_ns: float) -> bool:
    """Return True if a clock is as fast as asked for, to the kHz to which vendors' periods are converted."""
    return round(fmax_mhz, 3) >= round(1000 / period_ns, 3)


def resources(sections: Sequence[Section], design: Design | None) -> list[Need]:
    """Return the share of its part of the circuit and what is beside it; nothing of a part that only a vendor's tool knows."""
    area = area_of(sections)
    name = area.part if isinstance(area, Resources) else None
    try:
        part = resolve_part(name or (design.part if design is not None else ""))
    except ConfigError:
        return []
    if area is None:
        return []
    counts = dict(_counts(area))
    luts, ffs, brams = (math.ceil(sum(count or 0 for count in beside)) for beside in _with_beside(area))
    needs = counted(part, luts=luts, ffs=ffs, dsps=area.dsp or 0, brams=brams, large=area.uram or area.spram or 0)
    return [need for need in needs if counts.get(need.label, 0) is not None]  # logic cells are not counted, but follow


def _with_beside(area: Resources | Estimate) -> Sequence[Sequence[float | None]]:
    """Look-up tables, flip-flops and memory blocks: of a circuit, and those that an estimate has of what is beside it."""
    if isinstance(area, Resources):
        return (area.lut,), (area.ff,), (area.bram,)
    return (
        (area.lut, area.port_lut, area.counters_lut),
        (area.ff, area.port_ff, area.counters_ff),
        (area.bram, area.port_bram, area.counters_bram),
    )


def area_of(sections: Sequence[Section]) -> Resources | Estimate | None:
    """Return the cells as a tool counted them, or else as they are estimated."""
    return find(sections, Resources) or find(sections, Estimate)


def _expected(sections: Sequence[Section]) -> dict[str, str]:
    """The estimates beside which measured counts are shown, by label."""
    estimate = find(sections, Estimate)
    if estimate is None or find(sections, Resources) is None:
        return {}
    return {label: f"estimate {number(count)}" for label, count in _counts(estimate) if count is not None}


def _counts(area: Resources | Estimate) -> tuple[tuple[str, float | None], ...]:
    """Label and number of cells."""
    larger = ("URAM", area.uram), ("SPRAM", area.spram)
    counts = ("LUT", area.lut), ("FF", area.ff), ("DSP", area.dsp), ("BRAM", area.bram)
    return (*counts, *(count for count in larger if count[1] is not None))


def _verified(section: Verification | None) -> list[Figure]:
    if section is None or section.mismatches is None:
        return []
    value = "bit-exact" if section.mismatches == 0 else f"{number(section.mismatches)} differ"
    detail = f"{number(section.inputs)} inputs, {number(section.mismatches)} mismatches"
    equal = "the C++ equals" if section.method == C_SIMULATION else "equals"
    netlist = f"{number(section.netlist_inputs)} of the netlist" if section.netlist_inputs is not None else ""
    details = _joined(detail, netlist, section.tool)
    return [Figure("Verified", value, "", f"{equal} the emulator: {details}", section.mismatches == 0)]


def _accuracy(section: Accuracy | None) -> list[Figure]:
    if section is None or section.circuit is None:
        return []
    against = f"float model {100 * section.float_model:.2f} %" if section.float_model is not None else ""
    samples = f"{number(section.samples)} samples" if section.samples is not None else ""
    return [Figure("Accuracy", f"{100 * section.circuit:.2f}", "%", _joined(against, samples))]


def _joined(*texts: object) -> str:
    return ", ".join(str(text) for text in texts if text)
