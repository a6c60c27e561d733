"""Models in, :class:`bitsmith.model.Model` out: one call that finds out by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from numpy.typing import ArrayLike

from bitsmith.base.progress import tell, warn
from bitsmith.building.job import Target, circuit_program, directives_of
from bitsmith.building.notes import notes_on_settings
from bitsmith.compiler import Compiled, Source, compile_network
from bitsmith.config.inert import idle_notes
from bitsmith.config.model import read_hls_config, read_outliers
from bitsmith.config.reading import boolean
from bitsmith.config.resolving import ConfigLike, resolve
from bitsmith.config.values import BackendName, IOTypeName
from bitsmith.conversion.target import on_board, target_of
from bitsmith.emulate.batches import float_batches, shapes_of
from bitsmith.emulate.samples import Samples, arrays_of, without_labels
from bitsmith.errors import FidelityError, FidelityWarning, InputDataError, UnsupportedError
from bitsmith.fidelity.certificate import certify
from bitsmith.fidelity.words import rounded_codes
from bitsmith.frontends.framework import Framework, ReadOptions
from bitsmith.frontends.frameworks import AnyModel, framework_of, frameworks
from bitsmith.frontends.input_shapes import InputShapes
from bitsmith.frontends.named import NamedModel
from bitsmith.frontends.read import read_as
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.layers.settings import Weights
from bitsmith.mapping.directives import require_pipeline
from bitsmith.model import Model
from bitsmith.options.option import among, check_arguments
from bitsmith.options.project import ProjectConfig, keys_of, read_project, values_of
from bitsmith.options.signature import taking
from bitsmith.options.table import MODEL_ARGUMENTS, Arguments, NetworkOptions, Options, ReadingOptions, ResultOptions
from bitsmith.passes.network.calibration import without_range
from bitsmith.passes.network.outliers import settle_outliers
from bitsmith.passes.program.in_batches import require_turns

if TYPE_CHECKING:
    from bitsmith.model.points import Point


@taking(Options)
def convert(
    model: AnyModel,
    output_dir: str | Path | None = None,
    config: ConfigLike = None,
    calibration: Samples | None = None,
    backend: BackendName = "rtl",
    part: str | None = None,
    clock_period: float | str | None = None,
    io_type: IOTypeName = "io_parallel",
    *,
    weights: str | Path | None = None,
    **options: Unpack[Options],
) -> Model:
    """Convert a trained network.

    Args:
        model: a Keras model file (``.keras``, ``.h5``, ``.json`` with its weights beside it or in ``weights``) or a live
            Keras model; a PyTorch program (``.pt2``, or an ``ExportedProgram``) or a live PyTorch module, which needs
            ``example`` or ``input_shape``; an ONNX file or a live ``ModelProto``;
            a TensorFlow Lite file (``.tflite``), or its content; or what a reader of an installed package takes
            (``docs/add-a-framework.md``).
        config: precision and more per layer: a dict or YAML file in the familiar ``HLSConfig`` shape. Default: all auto.
        options: the rest (``docs/options.md``).

    Raises:
        CapacityError: with ``fit``, if nothing does.
        ModelFileError: a file that is damaged or inconsistent.
        UnsupportedError: layers and arguments that cannot be translated, all at once.
        ConfigError: keys and values of ``config`` and of the arguments that have no meaning, all at once.
        RangeError: formats or sizes beyond what is supported.
        InputDataError: data that do not fit the model's inputs.
        FidelityError: with ``strict``.

    Warns:
        FidelityWarning: the circuit does not compute what the model does, with the layers where that starts and the formats that
            would do; or, without calibration data, not for inputs from 0 to 1 or from -1 to 1; or nothing was compared with your
            translations in ``layers``.
        ApproximationWarning: at the first prediction, with ``allow_approximate``.

    Examples:
        ```python
        model = bitsmith.convert("digits.keras", "out", calibration=x, bits=8)
        print(model)  # layers, formats and ranges, and how far the results are from the float model's

        config = {"Model": {"Precision": "fixed<16,6>"}, "LayerName": {"fc1": {"ReuseFactor": 4}}}
        shared = bitsmith.convert("digits.keras", "shared", config, part="xc7z020clg400-1", clock_period=5)
        ```
    """
    arguments: Arguments = {
        "calibration": calibration,
        "backend": backend,
        "part": part,
        "clock_period": clock_period,
        "io_type": io_type,
        "weights": weights,
        **options,
    }
    return Conversion.of(model, output_dir, config, arguments, {}).model()


@taking(NetworkOptions)
def configured(
    model: AnyModel, config: ConfigLike = None, weights: str | Path | None = None, **options: Unpack[NetworkOptions]
) -> Network:
    """The layers of a model with the user's choices, nothing of them translated yet; arguments as of :func:`convert`."""
    framework = framework_of(model)
    return _Read.of(framework, framework.with_inputs(model, None), config, weights, options, None).network()


@dataclass(frozen=True, slots=True)
class _Read:
    """The layers of a model without choices, and the user's choices."""

    layers: Network
    config: ConfigLike
    options: NetworkOptions

    @staticmethod
    def of(
        framework: Framework,
        model: AnyModel,
        config: ConfigLike,
        weights: str | Path | None,
        options: NetworkOptions,
        data: Samples | None,
    ) -> _Read:
        config, shape = split_shape(config)
        reading = ReadOptions(weights=weights, **among(ReadingOptions, options))
        reading = replace(reading, input_shape=shape) if reading.input_shape is None else reading
        if data is not None and reading.input_shape is None:
            shapeless = framework.shapeless if reading.example is None else None
            if shapeless is not None and not shapeless.is_one(model):
                shapeless = None
            try:
                data = without_labels(data)
                if shapeless is not None and isinstance(data, Mapping):
                    data = _in_order(data, shapeless.arguments(model))
                reading = replace(reading, seen=shapes_of(data))
            except InputDataError:
                if shapeless is not None:
                    raise  # of other models data are checked when inputs are known
        return _Read(read_as(framework, model, reading), config, options)

    def network(self) -> Network:
        """The layers with the user's choices."""
        return self._resolved(self.config)

    def _resolved(self, config: ConfigLike) -> Network:
        options = self.options
        keys_of_model = {key: options.get(name) for name, key in MODEL_ARGUMENTS.items()}
        override = options.get("override", False)
        network = resolve(self.layers, config, options.get("bits"), model=keys_of_model, override=override)
        return _with_outliers(network, options.get("outliers"))

    def source(self, network: Network, calibration: Sequence[Floats] | None) -> Source:
        """The source of ``network``, whose bits may be others unless the user chose those of the whole model."""
        chosen = read_hls_config(self.config)

        def changed(keys: Mapping[str, object]) -> Network:
            return self._resolved(chosen.overlaid(read_hls_config(keys)))

        decided = chosen.model.bits or self.options.get("bits") is not None
        return Source(network, calibration, None if decided else changed)


def _in_order(data: Mapping[str, ArrayLike], names: Sequence[str]) -> list[ArrayLike]:
    """Arrays by name for the first of the arguments of these ``names``, in the order of these.

    Raises:
        InputDataError: other names, or a name that is left out before them.
    """
    first = names[: len(data)]
    if set(data) != set(first):
        listed = ", ".join(map(repr, data))
        raise InputDataError(
            f"arrays {listed} for a model whose inputs are {', '.join(map(repr, names)) or 'without names'}",
            accepted="arrays by the names of the first arguments, or in their order: calibration=[x]",
        )
    return [data[name] for name in first]


@dataclass(frozen=True, slots=True)
class Conversion:
    """A model, and all choices of its conversion.

    ``arguments`` are options that no project has; those that one has are in ``project`` alone.
    """

    framework: Framework
    source: AnyModel
    project: ProjectConfig
    config: ConfigLike
    arguments: Arguments

    @staticmethod
    def of(
        model: AnyModel,
        output_dir: str | Path | None,
        config: ConfigLike,
        arguments: Arguments,
        more: Mapping[str, object],
    ) -> Conversion:
        """The conversion that arguments of :func:`convert` ask for, and ``more`` keys of a project.

        Raises:
            ConfigError: values of options without meaning, all at once.
            TypeError: a name that no option has.
        """
        check_arguments(arguments, ("output_dir", *Arguments.__annotations__), "convert")
        data = arguments.get("calibration")
        arguments = {**arguments, "calibration": None if data is None else arrays_of(data)}
        project = read_project({**keys_of({"output_dir": output_dir, **arguments}), **more})
        framework = framework_of(model)
        return Conversion(framework, framework.with_inputs(model, project.inputs), project, config, arguments)

    @staticmethod
    def named(named: NamedModel, project: ProjectConfig, arguments: Arguments) -> Conversion:
        """The conversion of a model that a project names."""
        weights = arguments.get("weights") or named.weights
        source = named.framework.with_inputs(named.source, project.inputs)
        return Conversion(named.framework, source, project, project.hls_config, {**arguments, "weights": weights})

    def network(self) -> Network:
        """The layers with the user's choices."""
        return self._read().network()

    def _read(self) -> _Read:
        tell("convert: reading the model")
        options = among(NetworkOptions, {**self.arguments, **values_of(self.project)})
        weights, data = self.arguments.get("weights"), self.arguments.get("calibration")
        return _Read.of(self.framework, self.source, self.config, weights, options, data)

    def model(self) -> Model:
        """The converted model; warnings name the user's line."""
        from bitsmith.report.live import working

        with working("converting"):
            return _converted(self._read(), self.project, self.source, self.arguments)


_BENCH = "input_data_tb is what simulations take, and no format is chosen by it: give the file as calibration, too"


def split_shape(config: ConfigLike) -> tuple[ConfigLike, InputShapes | None]:
    """A configuration without the model and its input shape, which those of shapeless frameworks may carry, and the shape."""
    if not isinstance(config, Mapping):
        return config, None
    shape: InputShapes | None = config.get("InputShape")  # type: ignore[assignment]  # read_torch refuses anything else
    models = {key.name for record in frameworks() if record.shapeless is not None for key in record.keys}
    return {key: value for key, value in config.items() if key not in {"InputShape", *models}}, shape


def _converted(read: _Read, project: ProjectConfig, model: AnyModel, options: Arguments) -> Model:
    """A model that was read as the :class:`Model` that ``project`` describes; ``options`` say what the result must be."""
    network, wanted, layers = read.network(), among(ResultOptions, options), options.get("layers")
    calibration, fit = options.get("calibration"), boolean(wanted.get("fit", False), "fit")
    project = on_board(project.with_choices(read_hls_config(read.config)))
    target, questioned = target_of(project, model)
    _check_weights(network, target)
    shapes = network.input_shapes()
    data = None if calibration is None else without_labels(calibration, len(shapes))
    batches = None if data is None else float_batches(shapes, network.columns(), data)
    early: tuple[str, ...] = ()
    rangeless = "" if batches is None else without_range(network, batches)
    if batches is not None:
        batches, early = settle_outliers(network, batches)
    tell("convert: choosing formats")
    compiled, source = compile_network(network, batches), read.source(network, batches)
    require_turns(compiled.program, target.samples, directives_of(compiled.network, target).engine)
    for choice in _ways_to_fit(source, compiled, target) if fit else (None,):
        final = compiled if choice is None else choice.compiled
        tell("convert: comparing with the float model")
        fidelity = certify(network, final.network, final.program, batches, model, wanted.get("check", "auto"), layers)
        if choice is None or choice.bits is None or not fidelity.problems:
            break
    bench = _BENCH if project.input_data is not None and batches is None and fidelity.message else ""
    message = "; ".join(filter(None, [rangeless, rounded_codes(network, final.network), fidelity.message, bench]))
    if message and project.strict:
        raise FidelityError(message, where=network.name)
    if message:
        warn(message, FidelityWarning)
    laid_out = final.network
    if choice is not None:
        early = (*early, f"{choice.note} Fidelity: {fidelity.summary.removeprefix('fidelity: ')}.")
        laid_out, target = choice.network(laid_out), replace(target, io_type=choice.io_type)
    directives = replace(directives_of(laid_out, target), block=target.known_part.family.delays.block)
    require_pipeline(circuit_program(final.program, target), directives)
    idle = idle_notes(project.idle)
    notes = (*early, *questioned, *final.notes, *map(str, fidelity.bounds), *idle, *notes_on_settings(laid_out, target))
    return Model(laid_out, final.program, target, notes, fidelity, source)


def _ways_to_fit(source: Source, compiled: Compiled, target: Target) -> Iterable[Point | None]:
    from bitsmith.model.fitting import ways_to_fit
    from bitsmith.model.points import Layouts

    return ways_to_fit(source, Layouts.of(compiled, target))


def _with_outliers(network: Network, outliers: str | None) -> Network:
    """The network with what the user wants of outliers at all inputs, if that is said."""
    if outliers is None:
        return network
    chosen = read_outliers(outliers, "outliers")
    return network.with_changed(
        network.inputs, lambda node: replace(node, settings=replace(node.settings, outliers=chosen))
    )


def _check_weights(network: Network, target: Target) -> None:
    """Refuse weights from outside on boards, whose drivers know nothing of them in C++."""
    loaded = [node.name for node in network.nodes if node.settings.weights is not Weights.ONCHIP]
    if loaded and target.backend != "rtl" and target.board is not None:
        raise UnsupportedError(
            f"weights from outside with backend {target.backend!r} and board {target.board!r}",
            where=f"layer {loaded[0]!r}",
            accepted=f"Weights {Weights.ONCHIP.value!r}, or backend 'rtl'",
        )
