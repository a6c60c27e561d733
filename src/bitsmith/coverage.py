"""Writes the documentation page of layers: where each comes from, where it runs, and what is refused.

``python -m bitsmith.coverage docs/layers.md`` renews the page; a test keeps it and the code equal. Nothing on it is written by
hand: names are those of the frontends' tables, limits are the messages of the errors in the code, and where a layer runs was
tried with the example in :data:`EXAMPLES`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bitsmith import layers
from bitsmith.compiler import compile_network
from bitsmith.emulate import Emulator
from bitsmith.errors import BitsmithError, ProgramError
from bitsmith.frontends import keras_layers, keras_ops
from bitsmith.frontends.keras import read_keras
from bitsmith.frontends.keras_call import LayerCall, Translation
from bitsmith.hls import HlsTarget
from bitsmith.hls import write as write_hls
from bitsmith.hls.dialects import DIALECTS
from bitsmith.ir.ops import Relation
from bitsmith.ir.oracle import evaluate
from bitsmith.ir.program import Program
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.activation import Activation, HardActivation, PReLU, ReLU
from bitsmith.layers.conv import Conv, ConvTranspose
from bitsmith.layers.dense import Dense
from bitsmith.layers.einsum import Einsum, EinsumDense
from bitsmith.layers.elementwise import Absolute, Sign, Sinusoid, Wave, Whole, WholeNumber
from bitsmith.layers.embedding import Embedding, OneHot
from bitsmith.layers.input import Constant, Input
from bitsmith.layers.layer import Floats, Layer, Shape, as_weights
from bitsmith.layers.logic import Comparison, Where
from bitsmith.layers.merge import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.norm import BatchNormalization
from bitsmith.layers.pooling import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
)
from bitsmith.layers.power import Divide, Logarithm, Power
from bitsmith.layers.recurrent import GRU, LSTM, SimpleRNN
from bitsmith.layers.reduction import ArgMax, CumulativeSum, Reduce, Reduction
from bitsmith.layers.resample import Crop, Pad, Resize
from bitsmith.layers.sample_norm import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from bitsmith.layers.settings import Settings
from bitsmith.layers.shape import Broadcast, Flatten, Gather, Identity, Permute, Reshape, Slice, Stack
from bitsmith.layers.softmax import Softmax
from bitsmith.layers.time_distributed import TimeDistributed
from bitsmith.limits import limits
from bitsmith.netlist.evaluate import evaluate as evaluate_netlist
from bitsmith.netlist.narrow import narrow
from bitsmith.netlist.scalarise import scalarise
from bitsmith.passes import drop_dead

INPUT = FixedFormat(True, 6, 3, Rounding.RND, Overflow.SAT)
COUNT = FixedFormat(False, 2, 0, Rounding.RND, Overflow.SAT)
"""Of inputs that number something."""

_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Example:
    """A small use of a layer: on inputs of these shapes and one format."""

    layer: Layer
    shapes: tuple[Shape, ...]
    format: FixedFormat = INPUT

    def network(self) -> Network:
        """The inputs and the layer."""
        nodes = [
            NetworkNode(f"x{k}", Input(shape), settings=Settings({"result": self.format}))
            for k, shape in enumerate(self.shapes)
        ]
        names = tuple(node.name for node in nodes)
        operands = () if isinstance(self.layer, Constant) else names
        return Network((*nodes, NetworkNode("layer", self.layer, operands)), names, ("layer",))


def _weights(*shape: int) -> Floats:
    """Quarters from -1 to 1."""
    return as_weights(np.random.default_rng(len(shape)).integers(-4, 5, shape) / 4)


_POSITIVE = as_weights([0.5, 1.0, 0.75, 1.25])
_PAIR: tuple[Shape, ...] = ((2, 3), (2, 3))
_IMAGE: tuple[Shape, ...] = ((4, 4, 2),)

EXAMPLES: tuple[Example, ...] = (
    Example(Input((3,)), ((3,),)),
    Example(Constant(_weights(2)), ((2,),)),
    Example(Dense(_weights(4, 3), _weights(3)), ((4,),)),
    Example(Conv(_weights(2, 2, 2, 3), _weights(3), (1, 2), (1, 1), ((0, 0), (1, 0))), _IMAGE),
    Example(ConvTranspose(_weights(2, 1, 2), _weights(2), (2,), (1,), (0,), (6,)), ((3, 1),)),
    Example(Einsum("ij,jk->ik"), ((2, 2), (2, 2))),
    Example(EinsumDense("ab,bc->ac", _weights(3, 2), _weights(2)), ((2, 3),)),
    Example(Embedding(_weights(4, 2)), ((3,),), COUNT),
    Example(OneHot(4), ((2,),), COUNT),
    Example(Activation("tanh"), ((3,),)),
    Example(ReLU(max_value=2.0, negative_slope=0.125), ((3,),)),
    Example(PReLU(as_weights([0.25, -0.5, 0.125])), ((3,),)),
    Example(HardActivation(0.25, 0.5, 0.0, 1.0), ((3,),)),
    Example(Softmax(), ((3,),)),
    Example(BatchNormalization(_weights(3), as_weights([0.5, 0.25, -1.0])), ((2, 3),)),
    Example(LayerNormalization((-1,), _POSITIVE, _weights(4), 0.125), ((4,),)),
    Example(RMSNormalization((-1,), _POSITIVE, 0.125), ((4,),)),
    Example(GroupNormalization(2, -1, _POSITIVE, _weights(4), 0.125), ((4,),)),
    Example(UnitNormalization((-1,)), ((3,),)),
    Example(MaxPool((2, 2), (2, 1), ((0, 0), (1, 0))), _IMAGE),
    Example(AveragePool((3,), (1,), ((1, 1),)), ((4, 2),)),
    Example(GlobalMaxPool(), _IMAGE),
    Example(GlobalAveragePool(), ((3, 2),)),
    Example(AdaptiveMaxPool((3,)), ((5, 2),)),
    Example(AdaptiveAveragePool((3,)), ((5, 2),)),
    Example(Resize((4, 6)), ((2, 3, 1),)),
    Example(Pad(((1, 2), (0, 0))), ((3, 2),)),
    Example(Crop(((1, 1), (0, 0))), ((4, 2),)),
    Example(SimpleRNN(_weights(2, 2), _weights(2, 2), None), ((3, 2),)),
    Example(LSTM(_weights(1, 4), _weights(1, 4), _weights(4)), ((2, 1),)),
    Example(GRU(_weights(1, 3), _weights(1, 3), _weights(3), _weights(3)), ((2, 1),)),
    Example(TimeDistributed(Dense(_weights(2, 2))), ((3, 2),)),
    Example(Add(), _PAIR),
    Example(Subtract(), _PAIR),
    Example(Multiply(), _PAIR),
    Example(Average(), (*_PAIR, (2, 3))),
    Example(Maximum(), _PAIR),
    Example(Minimum(), _PAIR),
    Example(Concatenate(), _PAIR),
    Example(Stack(0), _PAIR),
    Example(Dot((-1, -1)), ((3,), (3,))),
    Example(Divide(), ((2,), (2,))),
    Example(Power(0.5), ((2,),), COUNT),
    Example(Logarithm(offset=1), ((2,),), COUNT),
    Example(Sinusoid(Wave.SIN), ((2,),)),
    Example(Absolute(), ((2,),)),
    Example(Sign(), ((2,),)),
    Example(WholeNumber(Whole.ROUND), ((2,),)),
    Example(Comparison(Relation.LT), _PAIR),
    Example(Where(), (*_PAIR, (2, 3))),
    Example(Reduce(Reduction.MEAN, (0,)), ((3, 2),)),
    Example(ArgMax(-1), ((4,),)),
    Example(CumulativeSum(-1), ((4,),)),
    Example(Identity(), ((2,),)),
    Example(Reshape((3, 2)), ((2, 3),)),
    Example(Flatten(), ((2, 3),)),
    Example(Permute((1, 0)), ((2, 3),)),
    Example(Slice((1,), (4,), (2,)), ((5,),)),
    Example(Gather((2, 0, 0), 0), ((3, 2),)),
    Example(Broadcast((3, 2)), ((1, 2),)),
)


@dataclass(frozen=True, slots=True)
class Frontend:
    """A reader's tables: what each of the framework's names becomes."""

    name: str
    read: Callable[..., Network]
    translations: Mapping[str, Translation]
    call: type


FRONTENDS: tuple[Frontend, ...] = (
    Frontend(
        "Keras",
        read_keras,
        {**keras_layers.LAYERS, **{f"ops.{name}": found for name, found in keras_ops.OPS.items()}},
        LayerCall,
    ),
)


def kinds() -> dict[str, type[Layer]]:
    """All layers that can be made, by name."""
    modules = (
        importlib.import_module(f"{layers.__name__}.{found.name}") for found in pkgutil.iter_modules(layers.__path__)
    )
    found = {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Layer) and not inspect.isabstract(value)
    }
    return dict(sorted(found.items()))


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
        netlist = narrow(scalarise(program))
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
    found = kinds()
    examples = {type(example.layer).__name__: example for example in EXAMPLES}
    for kind in found:
        if kind not in examples:
            raise ProgramError(f"layer {kind} has no example", remedy="add a small one to bitsmith.coverage.EXAMPLES")
    body = [
        "## Layers",
        "",
        *_table(
            ["layer", "computes", *(f"from {frontend.name}" for frontend in FRONTENDS),
             "emulator", "HLS C++", "RTL", "limits"],
            [_layer(kind, found[kind], examples[kind], notes) for kind in found],
        ),
        "",
    ]  # fmt: skip
    for frontend in FRONTENDS:
        rows = [
            [f"`{name}`", translation.becomes, notes.of(limits(translation.read, "bitsmith.frontends", frontend.call))]
            for name, translation in frontend.translations.items()
        ]
        body += [
            f"## {frontend.name}",
            "",
            f"Limits of every model: {notes.of(limits(frontend.read, 'bitsmith.frontends'))}. A name that is not here is"
            " refused, together with all others of the model.",
            "",
            *_table([frontend.name, "becomes", "limits"], rows),
            "",
        ]
    return "\n".join([*_HEAD, *body, "## Limits", "", *notes.lines(), ""])


_HEAD = (
    "# Layers",
    "",
    "A layer is lowered to core operations, which the emulator, the HLS C++ of every backend and the unrolled RTL execute. The",
    "columns say what was tried when this page was written, with a small example of each layer: *emulator* and *RTL* (the",
    "netlist) gave what the oracle gives, bit for bit; *HLS C++* was written for every backend. The tests compile that C++ and",
    "simulate that RTL. Numbers in the columns *limits* refer to the list at the end of the page, which has what the code",
    "refuses: each error names the layer and says what is accepted; … stands for what the model says.",
    "",
    "This page is written by `make docs` (`python -m bitsmith.coverage docs/layers.md`).",
    "",
)


def _layer(kind: str, layer: type[Layer], example: Example, notes: _Notes) -> list[str]:
    program = drop_dead(compile_network(example.network()).program, keep_probes=False)
    text = inspect.cleandoc(layer.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    sentence = re.split(r"(?<=\.)(?<![A-Z]\.)\s", text)[0].rstrip(".:")
    refused = [
        limit
        for place in layer.__mro__
        for name in ("__post_init__", "output_shape", "lower")
        for limit in limits(vars(place).get(name), layers.__name__, layer)
    ]
    ways = executions(program)
    names = [
        ", ".join(
            f"`{name}`"
            for name, translation in frontend.translations.items()
            if kind in re.findall(r"\w+", translation.becomes)
        )
        for frontend in FRONTENDS
    ]
    return [kind, _plain(sentence), *names, *ways.values(), notes.of(refused)]


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
