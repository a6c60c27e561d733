"""Writes the documentation page of layers: where each comes from, where it runs, and what is rejected.

``make docs`` renews the page; a test keeps it and the code equal. Nothing on it is written by
hand: names are those of the frontends' tables, limits are the messages of the errors in the code, and where a layer runs was
tried with the example that the layer's file has.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import bitsmith.layers
from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import BitsmithError, ProgramError
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.keras.hgq.registered import REGISTERED
from bitsmith.frontends.keras.hgq1 import PROXIES
from bitsmith.frontends.keras.layers import LAYERS as KERAS_LAYERS
from bitsmith.frontends.keras.ops import OPS
from bitsmith.frontends.keras.qkeras.layers import QKERAS
from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.onnx import call as onnx_call
from bitsmith.frontends.onnx import operators as onnx_operators
from bitsmith.frontends.onnx.classical import CLASSICAL
from bitsmith.frontends.onnx.qonnx_layers import CHANNELS_LAST, QONNX
from bitsmith.frontends.onnx.read import read_onnx
from bitsmith.frontends.tflite import call as tflite_call
from bitsmith.frontends.tflite.operators import OPERATORS as TFLITE_OPERATORS
from bitsmith.frontends.tflite.read import read_tflite
from bitsmith.frontends.torch import call as torch_call
from bitsmith.frontends.torch.ops import OPERATORS
from bitsmith.frontends.torch.read import read_torch
from bitsmith.hls import HlsTarget
from bitsmith.hls import write as write_hls
from bitsmith.hls.dialects import DIALECTS
from bitsmith.ir.oracle import evaluate
from bitsmith.ir.program import Program
from bitsmith.layers.example import Example
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Layer
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from bitsmith.layers.table import LAYERS
from bitsmith.netlist.elaborate import elaborate
from bitsmith.netlist.evaluate import evaluate as evaluate_netlist
from bitsmith.netlist.reduce_widths import reduce_widths
from bitsmith.passes.program import drop_dead
from generate.refusals import limits

_SAMPLES = 4


def examples() -> dict[str, Example]:
    """The small use of each layer, by the layer's name."""
    modules = {layer.__module__: sys.modules[layer.__module__] for layer in LAYERS.values()}
    found = [example for module in modules.values() for example in module.EXAMPLES]
    return {type(example.layer).__name__: example for example in found}


def network(example: Example) -> Network:
    """The inputs and the layer of ``example``."""
    nodes = [
        NetworkNode(f"x{k}", Input(shape), settings=Settings({"result": example.format}))
        for k, shape in enumerate(example.shapes)
    ]
    names = tuple(node.name for node in nodes)
    operands = () if isinstance(example.layer, Constant) else names
    return Network((*nodes, NetworkNode("layer", example.layer, operands)), names, ("layer",))


@dataclass(frozen=True, slots=True)
class Frontend:
    """A reader's tables: what each of the framework's names becomes."""

    name: str
    read: Callable[..., Network]
    translations: Mapping[str, Translation | torch_call.Translation | onnx_call.Translation | tflite_call.Translation]
    call: type


FRONTENDS: tuple[Frontend, ...] = (
    Frontend(
        "Keras",
        read_keras,
        {**KERAS_LAYERS, **QKERAS, **REGISTERED, **PROXIES, **{f"ops.{name}": found for name, found in OPS.items()}},
        LayerCall,
    ),
    Frontend(
        "PyTorch",
        read_torch,
        {name: found for name, found in OPERATORS.items() if not name.startswith("_") and found.becomes != "nothing"},
        torch_call.Call,
    ),
    Frontend(
        "ONNX",
        read_onnx,
        {name: onnx_operators.OPERATORS[name] for name in sorted(onnx_operators.OPERATORS)}
        | {f"{onnx_operators.CLASSICAL_DOMAIN}.{name}": found for name, found in sorted(CLASSICAL.items())}
        | {f"qonnx.{name}": found for name, found in sorted({**QONNX, **CHANNELS_LAST}.items())},
        onnx_call.Call,
    ),
    Frontend(
        "TensorFlow Lite",
        read_tflite,
        {name: entry.numbers for name, entry in sorted(TFLITE_OPERATORS.items()) if entry.numbers}
        | {f"{name} of codes": entry.codes for name, entry in sorted(TFLITE_OPERATORS.items()) if entry.codes},
        tflite_call.Call,
    ),
)


def executions(program: Program) -> dict[str, str]:
    """Which ways of execution ``program`` has: "yes", or why not. Emulator and netlist must give what the oracle gives."""
    rng = np.random.default_rng(0)
    raws = [rng.integers(int(op.lo.min()), int(op.hi.max()) + 1, (_SAMPLES, *op.shape)) for op in program.input_ops()]
    samples = [[raw[k].astype(np.object_) for raw in raws] for k in range(_SAMPLES)]
    truth = [[int(value) for output in evaluate(program, sample) for value in output.ravel()] for sample in samples]

    def emulator() -> None:
        results = Emulator(program).run_raw(raws)
        _agree([[int(value) for result in results for value in result[k].ravel()] for k in range(_SAMPLES)], truth)

    def cpp() -> None:
        for dialect in DIALECTS.values():
            write_hls(program, dialect, HlsTarget("top", "part"))

    def rtl() -> None:
        netlist = reduce_widths(elaborate(program))
        _agree([evaluate_netlist(netlist, [int(v) for x in sample for v in x.ravel()]) for sample in samples], truth)

    return {"emulator": _tried(emulator), "HLS C++": _tried(cpp), "RTL": _tried(rtl)}


def _agree(got: list[list[int]], truth: list[list[int]]) -> None:
    if got != truth:
        raise ProgramError("results that differ from the oracle's")


def _tried(run: Callable[[], None]) -> str:
    try:
        run()
    except BitsmithError as error:
        return f"no: {error.found}"
    return "yes"


def page() -> str:
    """The page, in Markdown."""
    notes = _Notes()
    tried = examples()
    for kind in LAYERS:
        if kind not in tried:
            raise ProgramError(f"layer {kind} has no example", remedy="add a small one to EXAMPLES in the layer's file")
    body = [
        "## Layers",
        "",
        *_table(
            ["layer", "computes", "runs in", "limits"],
            [_layer(kind, LAYERS[kind], tried[kind], notes) for kind in LAYERS],
        ),
        "",
    ]
    for frontend in FRONTENDS:
        rows = [
            [f"`{name}`", translation.becomes, notes.of(limits(translation.read, "bitsmith.frontends", frontend.call))]
            for name, translation in frontend.translations.items()
        ]
        body += [
            f"## {frontend.name}",
            "",
            f"Limits of every model: {notes.of(limits(frontend.read, 'bitsmith.frontends'))}. A name that is not here is"
            " rejected, together with all others of the model.",
            "",
            *_table([frontend.name, "becomes", "limits"], rows),
            "",
        ]
    return "\n".join([*_HEAD, *body, "## Limits", "", *notes.lines(), ""])


_HEAD = (
    "# Layers",
    "",
    "The first table has the layers of bitsmith, the others the names of each framework and the layers that they become.",
    "",
    "A layer is lowered to core operations, which the emulator, the HLS C++ of every backend and the RTL execute. *Runs in* is",
    "measured with a small example of each layer: the emulator and the netlist of the RTL gave the oracle's results bit for bit,",
    "and the C++ was written for every backend. The tests compile that C++ and simulate that RTL.",
    "",
    "Numbers under *limits* are those of the list at the end. It has the errors that the code raises: each names a layer",
    "and says what is accepted; … stands for a name or number of the model.",
    "",
)


def _layer(kind: str, layer: type[Layer], example: Example, notes: _Notes) -> list[str]:
    program = drop_dead(compile_network(network(example)).program, keep_probes=False)
    text = inspect.cleandoc(layer.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    sentence = re.split(r"(?<=\.)(?<![A-Z]\.)\s", text)[0].rstrip(".:")
    refused = [
        limit
        for place in layer.__mro__
        for name in ("__post_init__", "output_shape", "lower")
        for limit in limits(vars(place).get(name), bitsmith.layers.__name__, layer)
    ]
    ways = executions(program)
    everywhere = all(way == "yes" for way in ways.values())
    runs = "all" if everywhere else "; ".join(f"{name}: {way}" for name, way in ways.items())
    return [kind, _plain(sentence), runs, notes.of(refused)]


class _Notes:
    """Sentences, each with the number of its first use."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, sentences: Sequence[str]) -> str:
        """The numbers of ``sentences``."""
        return ", ".join(
            map(str, sorted({self._numbers.setdefault(sentence, len(self._numbers) + 1) for sentence in sentences}))
        )

    def lines(self) -> list[str]:
        """The numbered list."""
        return [f"{number}. {_plain(sentence)}" for sentence, number in self._numbers.items()]


def _plain(text: str) -> str:
    """``text`` of a docstring or message as Markdown that reads the same."""
    text = re.sub(r":\w+:`~?([\w.]*?)(\w+)`", r"`\2`", text).replace("``", "`")
    parts = text.split("`")
    return "`".join(re.sub(r"[|]" if k % 2 else r"[*_<|\[\]]", r"\\\g<0>", part) for k, part in enumerate(parts))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows]]


def main(arguments: Sequence[str]) -> None:
    """Write the page to the path that is the only argument."""
    Path(arguments[0]).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
