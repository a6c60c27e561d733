"""Converted models, which predict, trace, build and save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
import numpy.typing as npt

from bitsmith.base.files import SAVED_MODEL
from bitsmith.building.job import Job, Target, circuit_program, directives_of, loaded_target, plain_target
from bitsmith.compiler import Source
from bitsmith.emulate import Emulator
from bitsmith.emulate.batches import Arrays, Batch, Results, checked_batches, in_frames, read_arrays
from bitsmith.emulate.workspace import States
from bitsmith.errors import InputDataError
from bitsmith.errors.remedies import Remedy
from bitsmith.fidelity.alerts import Alerts
from bitsmith.fidelity.certificate import Certificate, certify
from bitsmith.fidelity.losses import Losses
from bitsmith.ir.program import Program
from bitsmith.layers.layer import Floats
from bitsmith.layers.network import Network
from bitsmith.mapping.directives import Directives
from bitsmith.model import serialization
from bitsmith.model.displayed import Displayed
from bitsmith.options.building import Asked, BuildOptions, building
from bitsmith.options.project import PROJECT_NAME
from bitsmith.options.signature import with_answers
from bitsmith.passes.network.given_weights import layouts, with_weights
from bitsmith.report.summary import Design, LayerRow, rows
from bitsmith.report.variables import Variable, WeightVariable, inputs_of, outputs_of, weight_texts, weights_of

if TYPE_CHECKING:
    from bitsmith.base.progress import Progress
    from bitsmith.building.csim import CompiledProgram
    from bitsmith.building.plan import Plan
    from bitsmith.model.estimates import Estimate
    from bitsmith.report.report import Report

_UNSAVED = ("emulator", "_compiled", "_alerts", "_states", "source")
"""Attributes that copies and pickles lack: executable forms of the program are compiled again, states begin again."""


@with_answers
class Model(Displayed):
    """A converted network.

    Attributes:
        network: the user's layers with their settings.
        program: the exact meaning of the network, which the emulator and the circuit both execute.
        target: part, clock and project folder.
        notes: what the user should know about choices that were made.
        source: what it was compiled from, unless it was loaded or has other weights now.
    """

    source: Source | None = None

    def __init__(
        self,
        network: Network,
        program: Program,
        target: Target,
        notes: tuple[str, ...] = (),
        fidelity: Certificate | None = None,
        source: Source | None = None,
    ) -> None:
        self.network, self.program, self.target, self.notes, self.source = network, program, target, notes, source
        if fidelity is not None:
            self.fidelity = fidelity

    @cached_property
    def fidelity(self) -> Certificate:
        """Distance of the layers' results from the float model's: a table that prints.

        After weights have changed it is measured again on the first access, on generated inputs.
        """
        return certify(self.network, self.network, self.program, None)

    def __getstate__(self) -> dict[str, object]:
        """Return the attributes that copies and pickles hold."""
        return {name: value for name, value in self.__dict__.items() if name not in _UNSAVED}

    @cached_property
    def emulator(self) -> Emulator:
        """The executable form of the program."""
        alerts = self._alerts
        return Emulator(self.program, watched=alerts.lossy.told, shown=alerts.shown, tables=True)

    @cached_property
    def _states(self) -> States:
        """The states that the next sample goes on with."""
        return {}

    @cached_property
    def _alerts(self) -> Alerts:
        """Warnings of predictions."""
        return Alerts(self.network, self.program, self.notes, self._calibrated)

    @cached_property
    def _compiled(self) -> CompiledProgram:
        """The loaded C++ of the program."""
        from bitsmith.building.csim import compile_job
        from bitsmith.report.live import working

        with working("compiling"):
            return compile_job(self._job())

    @property
    def directives(self) -> Directives:
        """Directives of the user for the circuit's layout."""
        return directives_of(self.network, self.target)

    @property
    def output_dir(self) -> Path:
        """The project folder."""
        return self.target.output_dir

    def predict(self, x: Arrays) -> Results:
        """The circuit's outputs for real inputs, bit for bit.

        Args:
            x: an array of shape (samples, *input shape) of any real dtype, or one per input, as a list or by name. Without the
                axis of samples it is one sample. Where states live on between samples, these are in order, and go on from those
                of the call before (:meth:`reset_states`).

        Returns:
            An array of shape (samples, *output shape), or a list of them for several outputs.

        Raises:
            InputDataError: wrong shapes, or values that are not finite.

        Warns:
            InputRangeWarning: values outside the input type change an output by 1 % of its range, or are indices of no row.
            FidelityWarning: once, when values inside wrap or are indices of no row (:meth:`losses` counts all); once, when
                results are further from the float model's than they should, as where values saturate.

        Examples:
            ```python
            print(model.predict(x).argmax(axis=1))
            ```
        """
        batches = self._batches(x)
        self._alerts.tell_approximate()
        return self._results(self._alerts.run(self.emulator, batches, self._states))

    def with_states(self, states: Mapping[str, str], initial: Mapping[str, npt.ArrayLike] | None = None) -> Model:
        """The model whose circuit keeps ``states`` itself: each input gets what an output gave for the sample before.

        Args:
            states: an output for each input that is a state; both are no ports any more, but outputs stay if none would be left.
            initial: values by input after a reset; by default 0.

        Raises:
            InputDataError: other names, shapes or values.
            UnsupportedError: reuse factors above 1 or weights that can be loaded, within what depends on the states.
        """
        from bitsmith.building.notes import note_on_states
        from bitsmith.model.states import tied

        known, made = self.fidelity, copy(self)
        made.network, made.program = tied(self.network, self.program, self.directives, states, initial or {})
        made.fidelity, made.notes = known, (*self.notes, note_on_states(states))
        return made

    def reset_states(self) -> None:
        """Give states that live on between samples their initial values, as a reset of the circuit does."""
        self._states.clear()

    def _batches(self, x: Arrays) -> list[Batch]:
        return checked_batches(self.emulator.shapes, self.network.columns(), x)

    def _results(self, outputs: Sequence[Floats]) -> Results:
        return outputs[0] if len(outputs) == 1 else outputs

    def losses(self, x: Arrays) -> Losses:
        """Count the values inside the circuit that wrap or saturate for real inputs, where, and how far they reach.

        Raises:
            InputDataError: as :meth:`predict`.
        """
        return self._alerts.losses(self._batches(x))

    def csim_predict(self, x: Arrays) -> Results:
        """Return what :meth:`predict` does, computed by the C++ of an HLS backend, which g++ compiles: slower.

        The first call writes the C++ project and compiles it, unless the project folder holds the same one compiled.

        Raises:
            ConfigError: a backend without C++.
            InputDataError: wrong shapes, or values that are not finite.
            ToolMissingError: there is no C++ compiler.
            ToolFailedError: the compiler failed.
            ProjectError: the project folder cannot be used.

        Warns:
            InputRangeWarning: with counts, when values lie outside the input type and change an output by 1 % of its range.
        """
        batches = self._batches(x)
        quantized = [self.emulator.quantize(k, batch) for k, batch in enumerate(batches)]
        outputs = self._compiled.run([raw for raw, _ in quantized])
        self._alerts.tell_outside(self.emulator, batches, [outside for _, outside in quantized])
        return self._results(outputs)

    def load_weights(
        self,
        layer: str,
        *,
        kernel: npt.ArrayLike | None = None,
        bias: npt.ArrayLike | None = None,
        recurrent_kernel: npt.ArrayLike | None = None,
        recurrent_bias: npt.ArrayLike | None = None,
        peephole: npt.ArrayLike | None = None,
    ) -> None:
        """Give a layer other weights, as its circuit is given them by a load; what is left out stays.

        The layer's ``Weights`` must be ``reloadable`` or ``external``. Values are rounded to the formats that the trained ones
        have. Circuits that are built from now on have these weights at first.

        Args:
            layer: the layer's name.
            kernel: as the model has it: PyTorch's (out, in), ONNX's with its directions, gates in the framework's order.
            bias: one value per result; of recurrent layers per result of each gate. A bias in two rows may be given whole.
            recurrent_kernel: what a recurrent layer multiplies its state by.
            recurrent_bias: the bias of that product, where it has one of its own.
            peephole: weights of the cell state of an LSTM that has them.

        Raises:
            InputDataError: no such weights, another shape, or values beyond the format.
        """
        tensors = {
            "weight": kernel,
            "bias": bias,
            "recurrent_weight": recurrent_kernel,
            "recurrent_bias": recurrent_bias,
            "peephole_weight": peephole,
        }
        self._inherited = self._calibrated
        self.program, self.network = with_weights(self.program, self.network, layer, tensors)
        for cached in (*_UNSAVED, "fidelity"):
            self.__dict__.pop(cached, None)

    def trace(self, x: Arrays) -> tuple[Results, dict[str, npt.NDArray[np.float64]]]:
        """The outputs as of :meth:`predict`, and the result of every layer by the user's layer name, in one run.

        A layer that became several has the further results as ``<layer>_<step>``: ``dense_relu`` after the activation
        within ``dense``, ``attention_scores`` before ``attention``. A layer that a batch normalization was folded into has
        no result of its own and is left out.

        Examples:
            ```python
            scores, layers = model.trace(x)
            print(layers["fc1_relu"].max())
            ```
        """
        outputs, layers, outside = self.emulator.trace(batches := self._batches(x), self._states)
        self._alerts.tell_outside(self.emulator, batches, outside)
        return self._results(outputs), layers

    def compile(self) -> None:
        """Nothing to do: the emulator runs the core program itself. Here because other tools need this step."""

    @building
    def build(
        self,
        *,
        inputs: Arrays | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
        **asked: Unpack[BuildOptions],
    ) -> Report:
        """Write the circuit and run the tools on it.

        For the backend ``rtl`` the tools are open ones. For the other backends this writes a C++ project and its script, and
        checks the C++ by C simulation. It runs the vendor's tool if that is installed. The script, started by hand, runs the same
        stages of the vendor's tool. Stages whose inputs have not changed are not run again.

        Args:
            inputs: real inputs for the simulations; by default random ones that include the extremes of each range.
            progress: called with each line that a tool writes; by default the latest is shown on a terminal.
            timeout: seconds that each program may run; by default it may run as long as it takes.
            asked: the rest (``docs/options.md``).

        Raises:
            VerificationError: the circuit and the emulator disagree.
            CapacityError: the design is too large for what was asked.
            ConfigError: a stage that the backend does not have.
            ToolMissingError: a stage was asked for whose tool is not there.
            ToolFailedError: a tool failed.
            ProjectError: the project folder cannot be used.

        Examples:
            ```python
            report = model.build(inputs=x, synth=False)  # written and simulated
            print(report["Verification"]["Mismatches"], report["Latency"]["Cycles"])
            ```
        """
        from bitsmith.building.execute import execute
        from bitsmith.report.live import working

        with working("building", progress):
            return execute(self.plan(inputs=inputs, **asked), timeout)

    @building
    def plan(self, *, inputs: Arrays | None = None, **asked: Unpack[BuildOptions]) -> Plan:
        """The files and commands of :meth:`build` with the same arguments; nothing is written and no tool runs.

        ``print(plan)`` lists them; ``plan.write(folder)`` writes them with a Makefile that runs without this package.

        Raises:
            CapacityError, ConfigError, InputDataError: as :meth:`build`.

        Examples:
            ```python
            plan = model.plan(pnr=True)
            plan.write("handed-over")
            ```
        """
        from bitsmith.base.project import ARCHIVE
        from bitsmith.building.backends import plan
        from bitsmith.building.plan import WEIGHTS

        if (chosen := Asked(**asked)).fit:
            asked["fit"] = False
            return self.fitted().plan(inputs=inputs, **asked)
        if inputs is None and self.target.input_data is not None:
            inputs = read_arrays(self.target.input_data)
        batches = None if inputs is None else self._batches(inputs)
        if batches is not None and len(batches[0]) == 0:
            raise InputDataError("no samples", where="inputs of a build", accepted="at least one, or no inputs")
        planned, target = plan(self._job(batches), chosen), self.target
        if target.write_weights_txt:
            network, scripts = self.network, planned.scripts
            planned = replace(planned, scripts=lambda: {**scripts(), **weight_texts(network, WEIGHTS)})
        folder = target.output_dir.expanduser().absolute()
        archive = folder.with_name(f"{folder.name}{ARCHIVE}") if target.write_tar and folder.name else None
        measured = () if self._certificate is None else (self._certificate.section,)
        command = f"build({', '.join(f'{name}={value}' for name, value in asked.items())})"
        return replace(planned, known=measured, command=command, archive=archive)

    def fitted(self) -> Model:
        """The model with reuse factors with which its circuit fits the part; itself, if that fits as it is.

        Raises:
            CapacityError: there are none.
        """
        from bitsmith.model.fitting import ways_to_fit
        from bitsmith.model.points import Layouts

        point = next(ways_to_fit(None, Layouts.of(self, self.target)))
        if point is None:
            return self
        fitted, target = copy(self), replace(self.target, io_type=point.io_type)
        fitted.network, fitted.target, fitted.notes = point.network(self.network), target, (*self.notes, point.note)
        return fitted

    def estimate(self, *, rough: bool = False) -> Estimate:
        """About how large and how fast the circuit is, without any tool; it prints. A ``rough`` one takes milliseconds."""
        from bitsmith.model.estimates import Estimate

        return Estimate(circuit_program(self.program, self.target), self.directives, self.target, rough)

    def get_layers(self) -> tuple[LayerRow, ...]:
        """The layers, in order: name, class, inputs, shape, trained values and type of the result of each."""
        return rows(self.network, self.program)

    @property
    def graph(self) -> dict[str, LayerRow]:
        """The layers by their names."""
        return {row.name: row for row in self.get_layers()}

    def get_input_variables(self) -> list[Variable]:
        """The inputs: name, shape of one sample and format of each."""
        return inputs_of(self.program)

    def get_output_variables(self) -> list[Variable]:
        """The outputs: name, shape of one sample and format of each."""
        return outputs_of(self.network, self.program)

    def get_weight_variables(self) -> list[WeightVariable]:
        """The trained tensors as the circuit has them: name, shape, format and values of each."""
        return weights_of(self.network)

    def write(self) -> Path:
        """Write the circuit, or the C++ project, with a Makefile that runs the tools; the project folder. No tool runs.

        Raises:
            ProjectError: it cannot be written.
        """
        return self.plan(force=True, bitstream=self.target.board is not None).write().parent

    def save(self, path: str | Path) -> None:
        """Write the model as a JSON file and an npz file of the same name beside it.

        Raises:
            ProjectError: they cannot be written.

        Examples:
            ```python
            model.save("digits.bitsmith")
            assert (bitsmith.Model.load("digits.bitsmith").predict(x) == model.predict(x)).all()
            ```
        """
        target = plain_target(self.target, Path(path).parent)
        fidelity = None if self._certificate is None else self._certificate.document()
        saved = serialization.SavedModel(self.network, self.program, target, self.notes, fidelity, self._calibrated)
        serialization.save(saved, Path(path))

    @staticmethod
    def load(path: str | Path, output_dir: str | Path | None = None) -> Model:
        """The model that :meth:`save` wrote as ``path``, or that the command ``convert`` saved in this folder.

        ``output_dir`` replaces its project folder. A file does not choose any folder to write to: its project folder is
        within that of the file. A model that was saved elsewhere than its project has a new one, ``my-hls-test`` beside the
        file, and a note says so.

        Raises:
            ModelFileError: not such a file, or a damaged one.
        """
        file = Path(path) / SAVED_MODEL if Path(path).is_dir() else Path(path)
        content = serialization.load(file)
        target, notes = loaded_target(content.target, file, output_dir)
        known = None if content.fidelity is None else Certificate.of_document(content.fidelity, str(path))
        made = Model(content.network, content.program, target, (*content.notes, *notes), known)
        made._inherited = content.calibrated
        return made

    def design(self) -> Design:
        """The model as reports describe it."""
        target, listed = self.target, rows(self.network, self.program)
        name = self.network.name if target.project_name == PROJECT_NAME else target.project_name
        return Design(name, target.part, target.clock_period_ns, listed, self.network.outputs, self.notes)

    def _job(self, inputs: Sequence[Batch] | None = None) -> Job:
        program, samples = circuit_program(self.program, self.target), self.target.samples
        emulator = self.emulator if samples == 1 else Emulator(program)
        seen = in_frames(None if self.source is None else self.source.calibration, samples)
        inputs, kept = in_frames(inputs, samples), layouts(program, self.network)
        return Job(program, self.directives, self.target, emulator, self.design(), kept, inputs, seen, self._what_fits)

    def _what_fits(self) -> Remedy:
        from bitsmith.model.fitting import what_fits
        from bitsmith.model.points import Layouts

        return what_fits(self.source, Layouts.of(self, self.target))
