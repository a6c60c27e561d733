"""Writes the documentation page of layers: where each comes from, where it runs, and what is rejected.

``make docs`` renews the page; a test keeps it and the code equal. Nothing on it is written by
hand: names are those of the frontends' tables, limits are the messages of the errors in the code, and where a layer runs was
tried with the example that the layer's file has.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from tests.ir.oracle import evaluate
from tests.netlist.evaluate import evaluate as evaluate_netlist

import bitsmith.layers
from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import BitsmithError, ProgramError
from bitsmith.frontends.keras.call import LayerCall, Translation
from bitsmith.frontends.keras.hgq1 import PROXIES
from bitsmith.frontends.keras.known import REGISTERED
from bitsmith.frontends.keras.layers import LAYERS as KERAS_LAYERS
from bitsmith.frontends.keras.ops import OPS
from bitsmith.frontends.keras.qkeras.layers import QKERAS
from bitsmith.frontends.keras.read import read_keras
from bitsmith.frontends.onnx import call as onnx_call
from bitsmith.frontends.onnx import operators as onnx_operators
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
from bitsmith.ir.program import Program
from bitsmith.layers.example import Example
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Layer
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from bitsmith.layers.table import LAYERS
from bitsmith.netlist.elaborate import elaborate
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
        | {
            f"{onnx_operators.CLASSICAL_DOMAIN}.{name}": found
            for name, found in sorted(onnx_operators.CLASSICAL_OPERATORS.items())
        }
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


_SHARED = 8
"""Limits of more than one in so many names of a framework are listed once, above them."""


def page() -> str:
    """The page, in Markdown: one line for each name, which unfolds."""
    tried = examples()
    for kind in LAYERS:
        if kind not in tried:
            raise ProgramError(f"layer {kind} has no example", remedy="add a small one to EXAMPLES in the layer's file")
    parts = [_HEAD, *map(frontend_section, FRONTENDS)]
    layers = {kind: _refused(layer) for kind, layer in LAYERS.items()}
    shared = _frequent(layers.values())
    entries = [_entry(_layer(kind, LAYERS[kind], tried[kind]), layers[kind], shared) for kind in LAYERS]
    parts.append(_section("Layers of bitsmith", f"{len(LAYERS)} layers that these become", shared, entries))
    return "\n".join([*parts, _FILTER])


def frontend_section(frontend: Frontend) -> str:
    """The part of the page with the names of one framework, for which nothing runs."""
    own = {
        name: limits(translation.read, "bitsmith.frontends", frontend.call)
        for name, translation in frontend.translations.items()
    }
    shared = _frequent(own.values())
    whole = [*dict.fromkeys((*limits(frontend.read, "bitsmith.frontends"), *shared))]
    entries = [
        _entry(f"<code>{escape(name)}</code> becomes {escape(frontend.translations[name].becomes)}", found, whole)
        for name, found in own.items()
    ]
    return _section(frontend.name, f"{len(own)} names of {frontend.name}", whole, entries)


def _frequent(found: Iterable[Sequence[str]]) -> list[str]:
    """Sentences that many have."""
    lists = list(found)
    counts = Counter(sentence for sentences in lists for sentence in set(sentences))
    return sorted(sentence for sentence, count in counts.items() if count > max(4, len(lists) / _SHARED))


def _section(title: str, summary: str, shared: Sequence[str], entries: Sequence[str]) -> str:
    common = _entry("Limits that many of these share", shared, ()).replace('class="layer"', 'class="shared"')
    names = f"<details><summary>{escape(summary)}</summary>\n{chr(10).join(entries)}\n</details>"
    return f'## {title}\n\n<div class="layers">\n{common}\n{names}\n</div>\n'


def _entry(text: str, found: Sequence[str], above: Sequence[str]) -> str:
    """A line that unfolds to the limits that are not listed above already."""
    items = "".join(f"<li>{_html(sentence)}</li>" for sentence in found if sentence not in above)
    if not items:
        return f'<p class="layer">{text}</p>'
    return f'<details class="layer"><summary>{text}</summary><ul>{items}</ul></details>'


_HEAD = """# Layers

Does bitsmith know your layer? Choose the framework, or type a part of the name. Each line names the layer of bitsmith that
it becomes; a line that unfolds has limits. A name that is not here is rejected, together with all others of the model:
[layers of your own](custom-layers.md) adds it.

Limits are the messages of the errors, with what is accepted; … stands for a name or a number of your model. Every layer runs
in the emulator, in SystemVerilog and in the C++ of each tool, unless its line says more. Tests try that with an example of
each.
"""

_FILTER = """<script>
(() => {
  const heading = document.querySelector("h1");
  const sections = [...document.querySelectorAll(".layers > details:not(.shared)")];
  const box = document.createElement("input");
  Object.assign(box, {type: "search", placeholder: "Filter: conv, lstm, softmax ...", id: "layer-filter"});
  box.setAttribute("aria-label", "Filter layers by name");
  const count = document.createElement("p");
  count.setAttribute("role", "status");
  heading.after(box, count);
  box.addEventListener("input", () => {
    const text = box.value.trim().toLowerCase();
    let shown = 0;
    for (const section of sections) {
      let here = 0;
      for (const line of section.querySelectorAll(".layer")) {
        const name = (line.querySelector("summary") || line).textContent.toLowerCase();
        line.hidden = !name.includes(text);
        here += !line.hidden;
      }
      section.open = text !== "" && here > 0;
      shown += here;
    }
    count.textContent = text === "" ? "" : `${shown} found`;
  });
})();
</script>
"""


def _layer(kind: str, layer: type[Layer], example: Example) -> str:
    program = drop_dead(compile_network(network(example)).program, keep_probes=False)
    text = inspect.cleandoc(layer.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    sentence = re.split(r"(?<=\.)(?<![A-Z]\.)\s", text)[0].rstrip(".:")
    missing = {name: way for name, way in executions(program).items() if way != "yes"}
    runs = "".join(f"; {name}: {escape(way)}" for name, way in missing.items())
    return f"<code>{kind}</code> {_html(sentence)}{runs}"


def _refused(layer: type[Layer]) -> list[str]:
    """Return the limits of a layer's own functions."""
    return [
        limit
        for place in layer.__mro__
        for name in ("__post_init__", "output_shape", "lower")
        for limit in limits(vars(place).get(name), bitsmith.layers.__name__, layer)
    ]


def _html(text: str) -> str:
    """``text`` of a docstring or message as HTML."""
    text = re.sub(r":\w+:`~?([\w.]*?)(\w+)`", r"`\2`", text).replace("``", "`")
    parts = [escape(part) for part in text.split("`")]
    return "".join(f"<code>{part}</code>" if k % 2 else part for k, part in enumerate(parts))


def main(arguments: Sequence[str]) -> None:
    """Write the page to the path that is the only argument."""
    Path(arguments[0]).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
