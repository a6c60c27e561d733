"""Writes the tour: one dense layer at every level, as the code prints it.

``make docs`` renews the page; a test keeps it and the code equal.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tests.ir.oracle import evaluate

from bitsmith.building.design import Streaming, circuit
from bitsmith.compiler import Compiled, compile_network
from bitsmith.config.precision import parse_precision
from bitsmith.dataflow.schedule import schedule_to_text
from bitsmith.dataflow.text import to_text as dataflow_text
from bitsmith.devices.parts import resolve_part
from bitsmith.emulate import Emulator
from bitsmith.hls import HlsTarget
from bitsmith.hls import write as write_hls
from bitsmith.hls.dialects import DIALECTS
from bitsmith.ir.text import to_text as program_text
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from bitsmith.layers.text import to_text as network_text
from bitsmith.mapping.directives import Directives
from bitsmith.mapping.folding import MultiplierStyle
from bitsmith.mapping.partition import partition
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.pipeline import pipeline
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.netlist.text import stages_to_text
from bitsmith.netlist.text import to_text as netlist_text
from bitsmith.rtl.writer import Title
from generate.lines import broken

KERNEL = as_weights(np.array([[0.5, -1.25], [0.75, 2.0], [-1.0, 0.25]]))
BIAS = as_weights(np.array([0.5, -0.25]))
SAMPLE = np.array([[1.5, -0.25, 0.75]])
BUDGET_NS = 7.0
"""Logic between two registers."""

_TITLE = Title("bitsmith", "tour")


def compiled() -> Compiled:
    """The dense layer on three inputs of six bits, with a ReLU."""
    result = parse_precision("fixed<6,3>")
    nodes = (
        NetworkNode("x", Input((3,)), settings=Settings({"result": result})),
        NetworkNode("dense", Dense(KERNEL, BIAS), ("x",)),
        NetworkNode("relu", ReLU(), ("dense",)),
    )
    return compile_network(Network(nodes, ("x",), ("relu",)))


def page() -> str:
    """The page."""
    made = compiled()
    program, delays = made.program, resolve_part("LFE5U-85F").family.delays
    netlist = reduce_widths(elaborate(program))
    unrolled = circuit(program, Directives({}, parallel=True), delays, BUDGET_NS, "tour", _TITLE)
    directives = Directives({"dense": 3}, parallel=True, products={"dense": MultiplierStyle.SHARED})
    folded = circuit(program, directives, delays, BUDGET_NS, "tour", _TITLE)
    assert isinstance(folded, Streaming)
    target = HlsTarget("tour", "xcvu13p-flga2577-2-e", 5.0, 12.5, "bitsmith", "tour")
    cpp = write_hls(program, DIALECTS["vitis"], target).files
    (raw,) = (np.ldexp(SAMPLE, int(op.frac.max())).astype(np.int64) for op in program.input_ops())
    (found,), (exact,) = Emulator(program).run_raw([raw]), evaluate(program, [raw[0].astype(np.object_)])
    reals = made.network.evaluate([SAMPLE])["relu"]
    step = int(program.nodes[program.outputs[0].node].type.frac.max())
    return _PAGE.format(
        network=network_text(made.network),
        program=program_text(program),
        sample=", ".join(f"{x:g}" for x in SAMPLE[0]),
        reals=", ".join(f"{x + 0.0:g}" for x in reals[0]),
        raws=", ".join(map(str, found[0])),
        exact=", ".join(map(str, exact)),
        step=step,
        netlist=netlist_text(netlist),
        stages=stages_to_text(pipeline(netlist, delays, BUDGET_NS)),
        verilog=_code(unrolled.sources["tour_dense.sv"]),
        cpp=_function(cpp["firmware/tour.cpp"]),
        dataflow=broken(dataflow_text(partition(program, directives))),
        schedule=schedule_to_text(folded.design.schedule),
    )


def _code(text: str) -> str:
    """Generated code without the comments at its head, which name the tool's version."""
    return re.sub(r"\A(//.*\n)+\n*", "", text)


def _function(text: str) -> str:
    """The function of the dense layer in generated C++."""
    found = re.search(r"^(///.*\n)*(static )?void dense\(.*?^}}?\n".replace("}}", "}"), text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0]


_PAGE = """# A tour: one dense layer at every level

A dense layer with three inputs of six bits, two results and a ReLU, as each part of the compiler sees it. This page is written
by `make docs`; the texts are what the code prints, long lines in two. `BITSMITH_DUMP=folder` writes the same texts for any model.

## 1. The network

A frontend reads the model; layers have float weights, and the settings that the user gave ([layers/](../src/bitsmith/layers)).

```
{network}```

## 2. The program

Each layer lowers itself to core ops ([ir/ops.py](../src/bitsmith/ir/ops.py)). A type such as `3 s6 frac 3` is a shape and the
format of its elements, which are worth `raw * 2**-frac`; each has an exact interval, too. All ops but casts are exact, so this
is the one meaning that emulator, C++ and circuit share.

```
{program}```

For the sample ({sample}) the float model gives ({reals}). The emulator computes the raw values ({raws}), which are worth
`raw * 2**-{step}`; so does the oracle, on Python's integers: ({exact}).

## 3. The netlist

The program is elaborated into scalar operations of exact widths ([netlist/](../src/bitsmith/netlist)): multiplications by
weights become shifts and additions, and what several results need is computed once.

```
{netlist}```

## 4. Stages

Operations are packed into pipeline stages by the delays of the device family ([devices/](../src/bitsmith/devices)).

```
{stages}```

## 5. SystemVerilog

A module per layer ([rtl/writer.py](../src/bitsmith/rtl/writer.py)).

```systemverilog
{verilog}```

## 6. Or C++ for an HLS tool

A function per layer, and a kernel per core op ([hls/](../src/bitsmith/hls)).

```cpp
{cpp}```

## 7. Or a network of processes

With a reuse factor of 3 and shared multipliers for the layer, or with `io_stream`, the program becomes processes that pass
tokens. [mapping/](../src/bitsmith/mapping) decides how; [dataflow/](../src/bitsmith/dataflow) says what they compute and when.

```
{dataflow}```

Latency, interval and the depth of each FIFO are known before anything is simulated, and each build measures the same cycles:

```
{schedule}```
"""


def main(arguments: Sequence[str]) -> None:
    """Write the page to the path that is the only argument."""
    Path(arguments[0]).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
