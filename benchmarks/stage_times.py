"""How long the slowest stage of a circuit takes, from cells that Yosys mapped to AMD's: the same few rules for whoever made it.

A look-up table takes 0.45 ns with the net before it, the way into a carry chain 0.15 ns, each of its bits 0.015 ns; a path begins
at a register or port and ends at a register. An input that an output of a LUT6_2 does not depend on is on no path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

LUT, INTO_CHAIN, CHAIN_BIT = 0.45, 0.15, 0.015
_OTHER = 0.1

Arcs = dict[int, list[tuple[int, float]]]
"""By net, the nets that it depends on, and how long each takes."""


def _bits(nets: Sequence[int | str]) -> list[int]:
    """The nets but for constants."""
    return [net for net in nets if isinstance(net, int)]


def _depends(table: int, inputs: int, which: int) -> bool:
    """True if a table depends on one of its inputs."""
    return any((table >> k ^ table >> (k ^ 1 << which)) & 1 for k in range(1 << inputs))


def _both(nets: Mapping[str, Sequence[int | str]], table: int) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    """The two outputs of a LUT6_2, of which the lower one has a table of five inputs; constants are inputs that stay."""
    low = table & 0xFFFFFFFF
    upper = table >> 32 if nets["I5"][0] == "1" else low if nets["I5"][0] == "0" else None
    for name, content, count in (("O5", low, 5), ("O6", table if upper is None else upper, 6 if upper is None else 5)):
        read = [(k, _bits(nets[f"I{k}"])) for k in range(count)]
        yield name, [(net, LUT) for k, found in read for net in found if _depends(content, count, k)]


def _chain(nets: Mapping[str, Sequence[int | str]]) -> Arcs:
    """The arcs of a carry chain."""
    found: Arcs = {}
    for k in range(len(nets["S"])):
        below = [
            (net, INTO_CHAIN + CHAIN_BIT * (k - j))
            for j in range(k)
            for p in ("S", "DI")
            for net in _bits([nets[p][j]])
        ]
        below += [(net, CHAIN_BIT * (k + 1)) for p in ("CI", "CYINIT", "CI_TOP") for net in _bits(nets.get(p, []))]
        own = [(net, INTO_CHAIN) for net in _bits([nets["S"][k]])]
        for net in _bits([nets["O"][k]]):
            found[net] = below + own
        for net in _bits([nets["CO"][k]]):
            found[net] = below + own + [(net, INTO_CHAIN) for net in _bits([nets["DI"][k]])]
    return found


def shifted(netlist: Path) -> int:
    """The flip-flops that shift registers in look-up tables stand for, in the module ``top`` of a netlist."""
    found = 0
    for cell in json.loads(netlist.read_text())["modules"]["top"]["cells"].values():
        if cell["type"] == "SRL16E":
            found += 1 + sum((cell["connections"][f"A{k}"][0] == "1") << k for k in range(4))
        elif cell["type"] == "SRLC32E":
            found += 1 + sum((bit == "1") << k for k, bit in enumerate(cell["connections"]["A"]))
    return found


def slowest_stage(netlist: Path) -> float:
    """Nanoseconds of the slowest path to a register in the module ``top`` of a netlist that Yosys wrote as JSON."""
    arcs: Arcs = {}
    ends: list[int] = []
    for cell in json.loads(netlist.read_text())["modules"]["top"]["cells"].values():
        kind, nets, ways = cell["type"], cell["connections"], cell["port_directions"]
        inputs = [net for name in nets if ways[name] == "input" for net in _bits(nets[name])]
        if kind.startswith(("FD", "SRL")):
            ends += [net for name in nets if ways[name] == "input" and name != "C" for net in _bits(nets[name])]
        elif kind.startswith("CARRY"):
            arcs |= _chain(nets)
        elif kind == "LUT6_2":
            for name, found in _both(nets, int(cell["parameters"]["INIT"], 2)):
                arcs |= dict.fromkeys(_bits(nets.get(name, [])), found)
        else:
            delay = LUT if kind.startswith("LUT") else 0.0 if kind == "INV" else _OTHER
            outputs = [net for name in nets if ways[name] == "output" for net in _bits(nets[name])]
            arcs |= {net: [(source, delay) for source in inputs] for net in outputs}
    times: dict[int, float] = {}
    for net in TopologicalSorter({net: [source for source, _ in found] for net, found in arcs.items()}).static_order():
        times[net] = max((times[source] + delay for source, delay in arcs.get(net, [])), default=0.0)
    return max((times.get(net, 0.0) for net in ends), default=0.0)
