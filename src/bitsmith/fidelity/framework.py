"""The float model as its own framework computes it, such as Keras, PyTorch or onnxruntime.

In: what ``convert`` was given, and inputs. Out: the framework's outputs, or why there are none. The framework's record computes
them (:class:`bitsmith.frontends.framework.Framework`).
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bitsmith.fidelity.deviation import spans
from bitsmith.frontends.custom.call import Layers
from bitsmith.frontends.frameworks import AnyModel, framework_of
from bitsmith.frontends.outputs import FrameworkRun, ModelRun, NotComparedError, Numbers
from bitsmith.layers.input import Input
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network

__all__ = ["Check", "FrameworkRun", "NotComparedError", "aligned", "framework_run", "layer_results", "share_by_others"]

Check: TypeAlias = "bool | Literal['auto']"
"""Choices for the comparison with the framework: always, never, or where that costs little."""

_ALONE = 4
"""Samples that a framework also gets alone."""

_OTHER = 0.01
"""Share of an output's range that makes another result, in whatever precision the framework computes."""


def framework_run(
    model: AnyModel, network: Network, inputs: Sequence[Floats], layers: Layers | None, *, insist: bool
) -> FrameworkRun | None:
    """The outputs of ``model`` by its framework; None if it is a file whose framework is slow to load, unless you ``insist``.

    ``layers`` are the user's translations.

    Raises:
        NotComparedError: the framework is missing, or cannot run this model.
    """
    typed = _typed(network, inputs)
    try:
        framework = framework_of(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return framework.outputs(ModelRun(model, typed, layers, insist))
    except NotComparedError:
        raise
    except Exception as error:  # whatever a framework raises for a model that it cannot run
        raise NotComparedError(f"{type(error).__name__}: {error}".splitlines()[0]) from error


def share_by_others(
    model: AnyModel,
    network: Network,
    inputs: Sequence[Floats],
    outputs: Sequence[Floats],
    layers: Layers | None,
    *,
    again: bool = False,
) -> float:
    """The share of the framework's results that depend on how many samples there are; 0 if no sample is alone.

    With ``again`` all samples come once more: the share of results that differ from call to call.
    """
    if network.stateful:
        return 0.0
    sizes = [spans(x).whole.largest for x in outputs]
    changed: list[npt.NDArray[np.bool_]] = []
    for part in [slice(None)] if again else [slice(k, k + 1) for k in range(min(_ALONE, len(inputs[0])))]:
        try:
            run = framework_run(model, network, [x[part] for x in inputs], layers, insist=True)
            other = [aligned(x[part], y) for x, y in zip(outputs, run.outputs if run else (), strict=True)]
        except (NotComparedError, ValueError):
            return 0.0
        changed += (
            np.abs(x[part] - y).ravel() > _OTHER * size for x, y, size in zip(outputs, other, sizes, strict=True)
        )
    return float(np.concatenate(changed).mean())


def aligned(wanted: Floats, output: Floats) -> Floats:
    """``output``, with axes of size 1 as ``wanted`` has them.

    Raises:
        NotComparedError: another shape.
    """
    if [n for n in output.shape if n > 1] != [n for n in wanted.shape if n > 1]:
        raise NotComparedError(f"it returns the shape {output.shape} instead of {wanted.shape}")
    return output.reshape(wanted.shape)


def layer_results(model: AnyModel, network: Network, inputs: Sequence[Floats]) -> Mapping[str, Floats]:
    """The results of layers as a live model's framework computes them, by the names of nodes; nothing of other models."""
    return framework_of(model).layer_results(model, network, _typed(network, inputs))


_INTEGERS: Mapping[tuple[int, int] | None, type[np.integer | np.bool_]] = {
    (0, 1): np.bool_,
    **{(int(np.iinfo(one).min), int(np.iinfo(one).max)): one for one in (np.int8, np.uint8, np.int16, np.uint16)},
}
"""The types of inputs by their limits."""


def _typed(network: Network, inputs: Sequence[Floats]) -> list[Numbers]:
    """The inputs in single precision, or as integers where the model takes these."""
    layers = [network.node(name).layer for name in network.inputs]
    return [
        x.astype(_INTEGERS.get(layer.limits, np.int64) if isinstance(layer, Input) and layer.integer else np.float32)
        for layer, x in zip(layers, inputs, strict=True)
    ]
