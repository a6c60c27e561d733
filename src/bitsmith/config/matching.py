"""Layers that the names of a configuration mean, names that other tools give included."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bitsmith.config.model import Choices
from bitsmith.config.reading import Idle, Problems, did_you_mean, shown
from bitsmith.config.variables import ALIASES, OF_PARTS
from bitsmith.errors import nearest
from bitsmith.layers.activation import ANY_ACTIVATION
from bitsmith.layers.input import Input
from bitsmith.layers.network import NetworkNode

_ABSENT = re.compile(r"(?:Quant|IntQuant|BipolarQuant|Constant|Identity|Dropout)_[0-9]+", re.ASCII)
"""Operators that are folded into what reads them, as qonnx names them."""

_CONSTANT = re.compile(r"(?P<reader>.+)_param[0-9]+", re.ASCII)
_FROM_ZERO = re.compile(r"(?P<first>.+)_0", re.ASCII)
_USE = re.compile(r"(?P<layer>.+?)_(?P<number>[1-9][0-9]*)(?P<part>_.+)?", re.ASCII)
_RESERVED = frozenset("input")
"""Letters that hls4ml 1.3 gives to no Keras layer (it means the word that they make)."""

_INSIDE = "other tools have them as layers of their own"
_PARTS = tuple(dict.fromkeys(part for part, _ in OF_PARTS.values()))


@dataclass(frozen=True, slots=True)
class Matched:
    """The section ``LayerName`` by the names of the network, and its entries that are of no layer here."""

    names: Mapping[str, Choices]
    idle: tuple[Idle, ...]


def matched(nodes: Sequence[NetworkNode], wanted: Mapping[str, Choices], problems: Problems) -> Matched:
    """``wanted`` by the layers' own names; names that are of no layer in any tool are problems."""
    known = dict.fromkeys(node.name for node in nodes)
    others, numbered = _other_names(nodes), _numbered_from_zero(nodes, wanted)
    names: dict[str, Choices] = {}
    idle = []
    for name, choices in wanted.items():
        own = numbered.get(name) or (name if name in known else others.get(name))
        if own is not None and own not in names:
            names[own] = choices
        elif own is not None:
            problems.add(f"layer {own!r} is given twice, in two spellings", where=f"LayerName.{name}")
        elif _is_inside(name, {*known, *others, *wanted}):
            idle.append(Idle("LayerName", name, _INSIDE))
        else:
            problems.add(
                f"no layer is called {shown(name)}",
                where=f"LayerName.{name}",
                accepted=nearest([name], known),
                remedy=did_you_mean(name, known),
            )
    return Matched(names, tuple(idle))


def _other_names(nodes: Sequence[NetworkNode]) -> dict[str, str]:
    """Names that other tools give to layers whose own are no identifiers, or reserved there, where they mean one layer only."""
    others: dict[str, str | None] = {}
    for node in nodes:
        plain = re.sub(r"\W", "_", node.name, flags=re.ASCII)
        name = f"_{plain}" if plain[:1].isdigit() else "input_1" if plain == "input" else plain
        others[name] = None if name in others else node.name
    inputs = [node.name for node in nodes if isinstance(node.layer, Input)]
    if len(inputs) == 1:
        others.setdefault("input1", inputs[0])  # of a sequence of layers that begins without one
    return {name: own for name, own in others.items() if own is not None}


def _numbered_from_zero(nodes: Sequence[NetworkNode], wanted: Mapping[str, Choices]) -> dict[str, str]:
    """The later uses of layers that are called several times, where other tools number these from 0, also behind a part.

    Example: ``fc_0`` and ``fc_relu_0`` are ``fc_1`` and ``fc_1_relu`` here. A name that is reserved has no use without a number.
    """
    known = {node.name: node for node in nodes}
    numbered: dict[str, str] = {}
    for name in wanted:
        zero = _FROM_ZERO.fullmatch(name)
        first = known.get(zero["first"]) if zero and name not in known else None
        if first is not None:
            later = [node.name for node in nodes if _is_use(node, first)]
            uses = [first.name, *later] if first.name in _RESERVED else later
            numbered |= {f"{first.name}_{number}": own for number, own in enumerate(uses)}
    return numbered


def meant_by(nodes: Sequence[NetworkNode]) -> dict[str, tuple[str, ...]]:
    """Names that an entry may have, and the layer's own; of a name that is a layer in other tools alone, its own."""
    known = [node for node in nodes if not node.inner]
    names = {node.name: (node.name,) for node in known}
    others = {name: (own,) for name, own in _other_names(known).items()}
    zeros = {f"{name}_0": (name,) for name in names if name in _RESERVED}
    inside = {f"{name}_linear": () for name in names}
    return {**inside, **zeros, **others, **names}


def _is_use(node: NetworkNode, first: NetworkNode) -> bool:
    """True of a later use of the layer that ``first`` is the first use of, or of its part."""
    use = _USE.fullmatch(node.name)
    if use is None or use["layer"] + (use["part"] or "") != first.name or node.source != first.source:
        return False
    tensors = [list(map(id, one.layer.weights().values())) for one in (node, first)]
    return tensors[0] == tensors[1]


def _is_inside(name: str, known: set[str]) -> bool:
    """Return True of an activation that does nothing, of a constant, and of what is folded away."""
    constant = _CONSTANT.fullmatch(name)
    reader = constant["reader"] if constant else name
    linear = name.removesuffix("_linear")
    return (linear != name and linear in known) or bool(constant and reader in known) or bool(_ABSENT.fullmatch(reader))


def owners(nodes: Sequence[NetworkNode]) -> dict[str, tuple[str, str]]:
    """Return, for layers that are parts of one of the user's, its name and the part."""
    sources = {node.name: node.source for node in nodes}
    owned = {}
    for node in nodes:
        for part in _PARTS:
            owner = node.name.removesuffix(f"_{part}")
            if owner != node.name and sources.get(owner) == node.source:
                owned[node.name] = (owner, part)
    return owned


def of_part(choices: Choices, part: str) -> Choices:
    """Return the choices of a layer's entry for its part."""
    own = {OF_PARTS[name][1]: fmt for name, fmt in choices.precision.items() if OF_PARTS.get(name, ("",))[0] == part}
    rest = {name: fmt for name, fmt in choices.precision.items() if name not in OF_PARTS and name != "result"}
    return replace(choices, precision={**rest, **own})


def with_aliases(choices: Choices, variables: Sequence[str]) -> Choices:
    """An entry whose variables have the layer's own names."""
    formats = dict(choices.precision)
    for other, own in ALIASES.items():
        if other in formats and own in variables and formats.get(own) is None:
            formats[own] = formats.pop(other)
    return replace(choices, precision=formats)


def type_names(node: NetworkNode) -> tuple[str, ...]:
    """The type names of ``node``, most specific first.

    These are the activation function's name, the framework's class, our class, and what other tools call it or its family
    (``MaxPooling2D``, ``Activation``, ``Merge``). The framework's ``Activation`` counts as a family, because it says least.
    """
    source = node.source if node.source != ANY_ACTIVATION else ""
    family = ANY_ACTIVATION if node.source == ANY_ACTIVATION else ""
    names = (*node.layer.functions, source, node.layer.kind, family, *node.layer.families)
    return tuple(dict.fromkeys(filter(None, names)))
