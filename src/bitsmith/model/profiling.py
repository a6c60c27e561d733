"""Weights and activations against their types, and the circuit's results against the float model's, layer by layer.

The familiar names. Figures are matplotlib's (the extra ``report``) and are not registered with pyplot. The float results come
from the float64 references of the layers, or from Keras or PyTorch itself where a live model is given.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from bitsmith.emulate.batches import Arrays, float_batches, shapes_of
from bitsmith.errors import ConfigError
from bitsmith.fidelity.framework import layer_results
from bitsmith.frontends.custom.call import Layers
from bitsmith.frontends.framework import ReadOptions, Shapeless
from bitsmith.frontends.frameworks import AnyModel, framework_of
from bitsmith.frontends.input_shapes import InputShapes
from bitsmith.frontends.read import read_model
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.model.model import Model
from bitsmith.options.signature import answering
from bitsmith.report.figures.plots import Plot, Row, distributions, norms, png, relative_differences
from bitsmith.report.summary import held_constant, rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Comparison", "Plot", "compare", "get_ymodel", "get_ymodel_keras", "numerical"]

_Choice = TypeVar("_Choice", bound=enum.StrEnum)


class Figures(NamedTuple):
    """Figures of :func:`numerical`, None for what was not asked for; a notebook shows them."""

    weights: Figure | None
    weights_in_circuit: Figure | None
    results: Figure | None
    results_in_circuit: Figure | None

    def _repr_html_(self) -> str:
        return "".join(
            f'<img alt="Distributions of {name.replace("_", " ")}" '
            f'src="data:image/png;base64,{base64.b64encode(png(drawn)).decode()}">'
            for name, drawn in self._asdict().items()
            if drawn is not None
        )


class Comparison(enum.StrEnum):
    """Comparison of a layer by :func:`compare`."""

    DIST_DIFF = "dist_diff"
    """The distribution of ``|circuit - float| / |float|`` over the elements, 1 at most."""
    NORM_DIFF = "norm_diff"
    """The norm of the differences of all elements."""


@answering
def numerical(
    model: AnyModel | Model | None = None,
    hls_model: Model | None = None,
    X: Arrays | None = None,
    plot: Plot | str = Plot.BOXPLOT,
    *,
    input_shape: InputShapes | None = None,
    layers: Layers | None = None,
) -> Figures:
    """Distributions of the magnitudes of all weights and activations that are not zero.

    Args:
        model: the float model, a file or a live one; left out, the layers that ``hls_model`` was converted from.
            A converted model alone is taken as ``hls_model``.
        hls_model: the converted model, whose types are drawn as grey boxes: from the lowest bit to the end of the range.
        X: inputs for the activations, as for ``predict``.
        plot: ``boxplot``, ``violinplot`` or ``histogram``.
        input_shape: of a live PyTorch module, as for :func:`bitsmith.convert`. Without it,
            ``hls_model`` and ``X``, weights have PyTorch's own names and layout.
        layers: translations of layers of your own in ``model``, as for :func:`bitsmith.convert`.

    Returns:
        The weights before and after quantization, and the activations before and after it; None for what was not asked for.

    Raises:
        ConfigError: no model, or another kind of plot.
        InputDataError: inputs that do not fit.
        ToolMissingError: matplotlib is not installed.

    Examples:
        ```python
        figures = bitsmith.profiling.numerical("digits.keras", model, x)
        figures.results_in_circuit.savefig("results.png")
        ```
    """
    kind = _chosen(Plot, plot, "plot")
    if isinstance(model, Model) and hls_model is None:
        model, hls_model = None, model
    shapeless = None if model is None else _shapeless(model)
    if shapeless is not None and hls_model is None and X is None and input_shape is None:
        own = [Row(name, values, None) for name, values in shapeless.weights(model).items()]
        return Figures(distributions(own, "Weights before quantization", kind), None, None, None)
    if hls_model is not None:
        network = hls_model.network if model is None else _network(model, hls_model, X, layers=layers)
    elif model is not None:
        network = _network(model, None, X, input_shape, layers)
    else:
        raise ConfigError("no model", where="profiling.numerical", accepted="model, hls_model or both")
    spans = {} if hls_model is None else _spans(hls_model)

    def drawn(tensors: Mapping[str, Floats], title: str) -> Figure:
        return distributions([Row(name, x, spans.get(name)) for name, x in tensors.items()], title, kind)

    weights = drawn(_weights(network, held=False), "Weights before quantization")
    held = None if hls_model is None else drawn(_weights(hls_model.network, held=True), "Weights after quantization")
    activations = traced = None
    if X is not None:
        floats = _evaluated(network, X) if model is None else _float_results(model, network, X)
        activations = drawn(floats, "Activations before quantization")
        if hls_model is not None:
            traced = drawn(hls_model.trace(X)[1], "Activations after quantization")
    return Figures(weights, held, activations, traced)


@answering
def compare(
    keras_model: AnyModel | None,
    hls_model: Model,
    X: Arrays,
    plot_type: Comparison | str = Comparison.DIST_DIFF,
    *,
    layers: Layers | None = None,
) -> Figure:
    """Return the distance of each layer's result from that of the float model, for inputs ``X``.

    Args:
        keras_model: the float model of any framework, a file or a live one; None: the layers that ``hls_model`` was
            converted from.
        plot_type: ``dist_diff`` or ``norm_diff``, see :class:`Comparison`.
        layers: translations of layers of your own in ``keras_model``.

    Raises:
        ConfigError: another kind of plot.
        InputDataError: inputs that do not fit.
        ToolMissingError: matplotlib is not installed.

    Examples:
        ```python
        figure = bitsmith.profiling.compare("digits.keras", model, x, plot_type="norm_diff")
        figure.savefig("differences.png")
        ```
    """
    kind = _chosen(Comparison, plot_type, "plot_type")
    if keras_model is None:
        floats = _evaluated(hls_model.network, X)
    else:
        floats = _float_results(keras_model, _network(keras_model, hls_model, X, layers=layers), X)
    fixed = hls_model.trace(X)[1]
    names = [name for name in fixed if name in floats]
    if kind is Comparison.NORM_DIFF:
        lengths = {name: float(np.linalg.norm(fixed[name] - floats[name])) for name in names}
        return norms(lengths, "Differences from the float model")
    shares = {name: _shares(fixed[name], floats[name]) for name in names}
    return relative_differences(shares, "Differences from the float model")


@answering
def get_ymodel(model: AnyModel, X: Arrays, *, layers: Layers | None = None) -> dict[str, Floats]:
    """Each layer's float result by the name that ``hls_model.trace`` gives it.

    Layers' results of a live model are Keras's or PyTorch's own. All others are those of the layers' float64 references:
    results of files and of ONNX models, and results without a tensor in the framework. Examples are the sum before an
    activation within a layer, the steps within attention, plain functions, and layers of nested or shared Keras models.
    ``layers`` are translations of layers of your own.
    """
    return _float_results(model, _network(model, None, X, layers=layers), X)


get_ymodel_keras = get_ymodel


def _shapeless(model: AnyModel) -> Shapeless | None:
    """Return facts on a live model without shapes of its inputs; None of all others."""
    shapeless = framework_of(model).shapeless
    return shapeless if shapeless is not None and shapeless.is_one(model) else None


def _network(
    model: AnyModel,
    hls_model: Model | None,
    X: Arrays | None,
    input_shape: InputShapes | None = None,
    layers: Layers | None = None,
) -> Network:
    """The float model's layers; sizes that it leaves open are those of what is given beside it."""
    seen = shapes_of(X) if hls_model is None else [op.shape for op in hls_model.program.input_ops()]
    return read_model(model, ReadOptions(input_shape=input_shape, seen=seen, layers=layers))


def _float_results(model: AnyModel, network: Network, X: Arrays) -> dict[str, Floats]:
    results = _evaluated(network, X)
    computed = layer_results(model, network, float_batches(network.input_shapes(), network.columns(), X))
    return {name: _same(result, computed.get(name)) for name, result in results.items()}


def _same(reference: Floats, computed: Floats | None) -> Floats:
    """Return the framework's result, unless the layer of its name stands for a part of it."""
    return reference if computed is None or computed.shape != reference.shape else computed


def _chosen(kinds: type[_Choice], text: str, key: str) -> _Choice:
    try:
        return kinds(text)
    except ValueError as error:
        raise ConfigError(f"{key}={text!r}", where="profiling", accepted=", ".join(kinds)) from error


def _spans(model: Model) -> dict[str, tuple[int, int]]:
    """By the labels of the rows, the exponents between which types represent magnitudes."""
    spans = {
        f"{node.name}/{variable}": _span(held_constant(node, variable, values).formats)
        for node in model.network.nodes
        for variable, values in node.layer.weights().items()
    }
    for row in rows(model.network, model.program):
        if row.result is not None and row.result.width_max > 0:
            spans[row.name] = (-row.result.frac_max, row.result.top)
    return spans


def _span(formats: Sequence[FixedFormat]) -> tuple[int, int]:
    return -max(fmt.frac for fmt in formats), max(fmt.integer - int(fmt.signed) for fmt in formats)


def _weights(network: Network, *, held: bool) -> dict[str, Floats]:
    """Trained tensors of the model, or what the circuit holds of them."""
    return {
        f"{node.name}/{variable}": (held_constant(node, variable, values).values if held else values).ravel()
        for node in network.nodes
        for variable, values in node.layer.weights().items()
    }


def _evaluated(network: Network, X: Arrays) -> dict[str, Floats]:
    """The float64 results of all nodes that have one of their own."""
    folded = {node.name for node in network.nodes if node.folded or node.inner}
    results = network.evaluate(float_batches(network.input_shapes(), network.columns(), X))
    return {name: result for name, result in results.items() if name not in folded}


def _shares(fixed: Floats, floats: Floats) -> Floats:
    """Differences over the float values; 1 where they are larger, or where the float value is 0 and the other is not."""
    difference, magnitude = np.abs(fixed - floats).ravel(), np.abs(floats).ravel()
    shares = np.ones_like(difference)
    np.divide(difference, magnitude, out=shares, where=difference < magnitude)
    shares[difference == 0] = 0.0
    return shares
