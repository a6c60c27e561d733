"""Random ONNX graphs beside onnxruntime's results (ONNX's own evaluator's where that lacks an operator).

All operators that we read, with random attributes and in operator sets 9 to 24; each seed has one operator that its graph is
sure to have. The axis of the samples is open, or has one element.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from bitsmith.fidelity.judgement import AUTO_ERROR
from tests.fidelity.comparison import Case
from tests.fidelity.onnx_draft import (
    REFUSALS,
    SAMPLES,
    Array,
    Draft,
    Tensor,
    UnfitError,
    described,
    names_read,
    runtime,
)
from tests.fidelity.onnx_elements import ELEMENTS
from tests.fidelity.onnx_layers import LAYERS
from tests.fidelity.onnx_moves import MOVES

DRAWERS = {**ELEMENTS, **MOVES, **LAYERS}
_TURNS = [*DRAWERS, *LAYERS, *LAYERS]
"""Operators in turn, those with many attributes more often."""

_NEW = {
    "Attention": 23,
    "RMSNormalization": 23,
    "Swish": 24,
    "Gelu": 20,
    "GroupNormalization": 21,
    "Mish": 18,
    "CastLike": 15,
}
_OLD = {"Upsample": 9}
"""Operator sets that operators need at least, or at most, besides those from 9 to 21."""


def case(seed: int) -> Case:
    """A graph whose operators include the one that is next in turn."""
    rng = np.random.default_rng(seed)
    focus = _TURNS[seed % len(_TURNS)]
    for _ in range(200):
        opset = int(rng.integers(9, _OLD.get(focus, 21) + 1)) if rng.random() < 0.9 or focus in _OLD else 24
        found = _case(Draft(rng, max(opset, _NEW.get(focus, 0))), focus)
        if found is not None:
            return found
    raise AssertionError(f"no graph with {focus}")


def _case(draft: Draft, focus: str) -> Case | None:
    _add_inputs(draft)
    before, after = draft.whole(0, 4), draft.whole(0, 4)
    _grow(draft, before)
    count = len(draft.values)
    if not any(draft.attempt(DRAWERS[focus]) for _ in range(12)):
        return None
    drawn = draft.values[count:]
    _grow(draft, after)
    outputs = [_samples_first(draft, x) for x in _outputs(draft, drawn)]
    if not outputs:
        return None
    try:
        return _checked(draft, outputs, focus)
    except (UnfitError, *REFUSALS):
        return None


def _add_inputs(draft: Draft) -> None:
    """One to three inputs, often of like shapes."""
    shapes = [
        [draft.whole(2, 6)],
        [draft.whole(2, 5), draft.whole(2, 5)],
        [draft.choice((1, 2, 3, 4, 4)), draft.whole(3, 6), draft.whole(3, 6)],
        [draft.whole(1, 3), *(draft.whole(2, 3) for _ in range(3))],
    ]
    first = draft.choice((*shapes, *shapes[:3]))
    draft.add_input(_samples(draft, first))
    for _ in range(draft.choice((0, 0, 1, 1, 2))):
        draft.add_input(_samples(draft, first if draft.chance() else draft.choice(shapes[:3])))


def _samples(draft: Draft, shape: Sequence[int]) -> Array:
    """Numbers or integers, perhaps with features or channels of unlike scale, or with elements that are constant."""
    sizes = (SAMPLES, *shape)
    if draft.chance(0.12) and len(shape) < 3:
        return draft.rng.integers(0, 8, sizes).astype(draft.choice((np.int64, np.int32)))
    if draft.chance(0.04):
        return draft.rng.random(sizes) < 0.5
    values = draft.rng.uniform(-2, 2, sizes) if draft.chance() else draft.rng.normal(size=sizes)
    if draft.chance(0.15):
        channels = [shape[0], *(1,) * (len(shape) - 1)] if len(shape) > 2 else [1] * (len(shape) - 1) + [shape[-1]]
        values = values * np.exp2(draft.rng.integers(-8, 9, channels))
    if draft.chance(0.1):
        values[..., draft.whole(0, shape[-1] - 1)] = draft.choice((0.0, 1.0))
    return values.astype(np.float32)


def _grow(draft: Draft, count: int) -> None:
    for _ in range(count):
        kind = draft.choice((ELEMENTS, MOVES, LAYERS))
        draft.attempt(kind[draft.choice(list(kind))])


def _outputs(draft: Draft, drawn: Sequence[Tensor]) -> list[Tensor]:
    """The newest value, what nothing reads (but not always), and perhaps one that others read; they need one of ``drawn``."""
    made = [x for x in draft.values if x not in draft.inputs and x.batch is not None]
    read = names_read(draft.nodes)
    ends = [x for x in made if x.name not in read]
    chosen = [x for x in ends if x is ends[-1] or draft.chance(0.7)][-4:]
    if made and draft.chance(0.25):
        chosen.append(draft.choice(made))
    needed = {x.name for x in chosen}
    for node in reversed(draft.nodes):
        needed |= names_read([node]) if needed.intersection(node.output) else set()
    if not needed.intersection(x.name for x in drawn):
        chosen += [x for x in drawn if x in made][-1:]
    return list({x.name: x for x in chosen}.values())


def _samples_first(draft: Draft, x: Tensor) -> Tensor:
    """``x`` with the axis of the samples moved to the front, as outputs of models need it; as it is if that fails."""
    if not x.batch:
        return x
    order = [x.batch, *(axis for axis in range(x.rank) if axis != x.batch)]
    return draft.values[-1] if draft.attempt(lambda _: _moved(draft, x, order)) else x


def _moved(draft: Draft, x: Tensor, order: Sequence[int]) -> None:
    draft.one("Transpose", x.name, perm=order)


def _checked(draft: Draft, outputs: Sequence[Tensor], focus: str) -> Case:
    """The model, if a batch and a single sample give the same."""
    read = names_read(draft.nodes)
    inputs = [x for x in draft.inputs if x.name in read or draft.chance(0.05)]
    alone, several = (
        draft.model(draft.nodes, inputs, [described(x, samples) for x in outputs], draft.initializers, samples)
        for samples in (1, "N")
    )
    for model in (alone, several):
        onnx.checker.check_model(model, full_check=True)
    together, each = runtime(several), runtime(alone)
    if together is not None and each is not None:
        for x, result in zip(outputs, together([x.clean for x in inputs]), strict=True):
            _same(result, x.clean)
        for sample in range(SAMPLES):
            for x, result in zip(outputs, each([y.clean[sample : sample + 1] for y in inputs]), strict=True):
                _same(result, np.take(x.clean, [sample], x.batch or 0))
    wanted = [np.moveaxis(np.asarray(x.clean, np.float64), x.batch or 0, 0) for x in outputs]
    spread = {"auto": [_spread(x) for x in outputs], "wide": [np.zeros_like(values) for values in wanted]}
    # Of one sample, which axis it is along cannot always be told.
    model = alone if draft.chance(0.3) and not any(x.batch for x in outputs) else several
    given = [np.asarray(x.clean, np.float64) for x in inputs]
    return Case(model, given, wanted, f"{focus}\n{onnx.printer.to_text(model)}", spread=spread)


def _spread(x: Tensor) -> Array:
    """What 16 bits excuse, as far as the certificate lets it pass in a channel, too."""
    far = np.max([np.abs(one.astype(np.float64) - x.clean) for one in x.rounded], axis=0)
    far, size = (np.moveaxis(values, x.batch or 0, 0) for values in (far, np.abs(x.clean.astype(np.float64))))
    most = size.max(axis=tuple(range(max(size.ndim - 1, 1))), keepdims=True)
    return np.minimum(far, AUTO_ERROR * most)


def _same(one: Array, other: Array) -> None:
    if one.shape != other.shape:
        raise UnfitError
    size = max(float(np.abs(other.astype(np.float64)).max(initial=0.0)), 1e-6)
    if not np.abs(one.astype(np.float64) - other).max(initial=0.0) <= 1e-4 * size:
        raise UnfitError
