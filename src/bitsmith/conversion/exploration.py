"""Explorations: accuracy against area of one model with different bits of weights and of results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Unpack

import numpy as np
import yaml

from bitsmith.base.progress import Progress, tell
from bitsmith.base.project import write_atomically
from bitsmith.config import ConfigLike
from bitsmith.config.model import loaded
from bitsmith.config.reading import squash
from bitsmith.conversion.conversion import Conversion
from bitsmith.devices import Part, part_or_typical
from bitsmith.emulate.batches import float_batches
from bitsmith.emulate.samples import Samples, arrays_of, without_labels
from bitsmith.errors import CapacityError, ConfigError, InputDataError
from bitsmith.errors.remedies import OPEN, convert, given, remedy
from bitsmith.estimate.fit import needs, packed_luts
from bitsmith.fidelity.samples import samples as picked
from bitsmith.fidelity.scores import Yardstick
from bitsmith.frontends.frameworks import AnyModel
from bitsmith.layers.settings import LEAST_BITS, MOST_BITS, Bits
from bitsmith.model.points import RESULTS, WEIGHTS, Point, points
from bitsmith.options.signature import taking
from bitsmith.options.table import Arguments, Further
from bitsmith.report.exploration import Circuit, Sheet, page, table
from bitsmith.report.figures.scatter import Mark, Scatter, svg
from bitsmith.report.sections import percent
from bitsmith.report.shown import Shown
from bitsmith.report.summary import rows

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bitsmith.model import Model

__all__ = ["Exploration"]

PAGE, PICTURE = "exploration.html", "exploration.svg"
"""The files of :meth:`Exploration.write`."""

SAMPLES = 2000
"""Most samples of the test data that are looked at, evenly spaced."""

DECIDED = (
    "There are no bits to choose: the model's quantizers or your formats decide all types. Reuse factors make circuits smaller; "
    "fit=True finds some"
)

LOSS = 0.01
"""Loss against the float model that is small: a percent of the samples, or of a range."""


@dataclass(frozen=True, slots=True)
class Exploration(Shown):
    """Circuits of one model, from few bits to many; it prints as a table.

    Attributes:
        points: the circuits, each with its bits, size, score and loss.
        name: the model's.
        part: what they are to fit.
        yardstick: what scores them: the test data, and the float model's own score.
        configuration: the user's, without bits.
        calls: texts that lead to the circuit of given bits, by heading, for the page.
        decided: no bits make another circuit, as of a model whose quantizers decide all types.
    """

    points: tuple[Point, ...]
    name: str
    part: Part
    yardstick: Yardstick
    configuration: Mapping[str, object]
    calls: Callable[[Bits], Mapping[str, str]] | None = None
    decided: bool = False

    @property
    def front(self) -> tuple[Point, ...]:
        """The points than which no other is as small and better, or as good and smaller; the smallest first."""
        found: list[Point] = []
        for point in sorted(self.points, key=lambda point: (self.area(point), point.loss)):
            if not found or point.loss < found[-1].loss:
                found.append(point)
        return tuple(found)

    def best(self, loss: float = LOSS) -> Point:
        """The smallest point that fits and is at most ``loss`` worse than the float model; without one the best that fits.

        Raises:
            CapacityError: nothing fits.
        """
        fitting = [point for point in self.points if point.fits]
        if not fitting:
            raise CapacityError(
                f"none of {len(self.points)} circuits fits {self.part.name}, with a result in every cycle",
                where="explore",
                remedy=remedy(convert(fit=True), " takes reuse factors"),
            )
        good = [point for point in fitting if point.loss <= loss]
        if good:
            return min(good, key=lambda point: (self.area(point), point.loss))
        return min(fitting, key=lambda point: (point.loss, self.area(point)))

    def config(self, point: Point) -> dict[str, object]:
        """The configuration that :func:`bitsmith.convert` makes a point's circuit of: yours, with its bits."""
        model = next((key for key in self.configuration if squash(str(key)) == "model"), "Model")
        section = self.configuration.get(model)
        return {
            **self.configuration,
            model: {**(section if isinstance(section, Mapping) else {}), "Bits": asdict(point.bits)},
        }

    def area(self, point: Point) -> int:
        """About the look-up tables of a point, as place and route packs them."""
        return packed_luts(point.size, self.part)

    @property
    def verdict(self) -> str:
        """The best circuit in a sentence, or why there is no choice."""
        if self.decided:
            return DECIDED
        try:
            best = self.best()
        except CapacityError as error:
            return f"{error.found}; {error.remedy}"
        text = self.yardstick.text
        score = f"{text(best.score)} {self.yardstick.score.value}"
        float_model = (
            f" (the float model {text(self.yardstick.reference)})" if self.yardstick.labels is not None else ""
        )
        area = f"about {self.area(best):,} LUTs, {percent(self.area(best) / self.part.luts)} of {self.part.name}"
        far = "" if best.loss <= LOSS else "; no circuit that fits is within a percent of the float model"
        return f"{best.bits}: {score}{float_model} in {area}{far}"

    def write(self, folder: str | Path) -> Path:
        """Write the page ``exploration.html`` and the picture ``exploration.svg`` into a folder; the page's path.

        Raises:
            ProjectError: they cannot be written.
        """
        folder, sheet = Path(folder), self._sheet
        folder.mkdir(parents=True, exist_ok=True)
        title = f"{self.name} on {self.part.name}"
        for name, content in ((PICTURE, svg(sheet.chart, title)), (PAGE, page(sheet).encode())):
            write_atomically(folder / name, partial(_write, content))
        return folder / PAGE

    def document(self) -> dict[str, object]:
        """The exploration as plain values."""
        front = {point.bits for point in self.front}
        return {
            "verdict": self.verdict,
            "score": self.yardstick.score.value,
            "float": self.yardstick.reference,
            "samples": len(self.yardstick.inputs[0]),
            "part": self.part.name,
            "points": [
                {
                    "Bits": asdict(point.bits),
                    "Score": point.score,
                    "Loss": point.loss,
                    "Estimate": point.size.section(),
                    "Fits": point.fits,
                    "Front": point.bits in front,
                }
                for point in self.points
            ],
        }

    @property
    def _sheet(self) -> Sheet:
        """The exploration as the page and the terminal show it."""
        front, text = {point.bits for point in self.front}, self.yardstick.text
        chosen = (self.best() if any(point.fits for point in self.points) else self.front[0]).bits
        circuits = []
        for point in self.points:
            area, score = self.area(point), text(point.score)
            label = f"{point.bits}: {score}, about {area:,}"
            mark = Mark(area, point.score, label, point.fits, point.bits in front, point.bits == chosen)
            layers = rows(point.compiled.network, point.compiled.program)
            own = (point.bits.weight, point.bits.result)
            calls = self.calls(point.bits) if self.calls is not None else self._calls(point)
            found = needs(point.size, self.part)
            circuits.append(Circuit(mark, own, score, point.loss, found, layers, point.size.layers, calls))
        limit = next(round(need.comfortably * need.available) for need in needs(self.points[0].size, self.part))
        yardstick = self.yardstick
        chart = Scatter(
            [circuit.mark for circuit in circuits],
            limit,
            yardstick.score.value,
            yardstick.score.rises,
            yardstick.reference,
        )
        reference = "" if yardstick.labels is None else text(yardstick.reference)
        return Sheet(self.name, self.part.name, self.verdict, len(yardstick.inputs[0]), reference, chart, circuits)

    def _calls(self, point: Point) -> dict[str, str]:
        """Return what a user of Python copies."""
        bits = asdict(point.bits)
        return {
            "Python": f"model = bitsmith.convert(..., bits={bits})",
            "Configuration (YAML)": yaml.safe_dump(self.config(point), sort_keys=False),
        }

    def __rich__(self) -> RenderableType:
        return table(self._sheet)

    def __str__(self) -> str:
        from bitsmith.report.terminal import as_text

        return as_text(self.__rich__())

    def __repr__(self) -> str:
        return f"<Exploration of {len(self.points)} circuits: {self.verdict}>"

    def _repr_html_(self) -> str:
        return Shown._repr_html_(self) + svg(self._sheet.chart, f"{self.name} on {self.part.name}").decode()


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


@taking(Further)
def explore(
    model: AnyModel,
    config: ConfigLike = None,
    calibration: Samples | None = None,
    test: Samples | None = None,
    weights: str | Path | None = None,
    part: str | None = None,
    clock_period: float | None = None,
    *,
    weight_bits: Sequence[int] = WEIGHTS,
    result_bits: Sequence[int] = RESULTS,
    samples: int = SAMPLES,
    progress: Progress | None = None,
    **further: Unpack[Further],
) -> Exploration:
    """Compile ``model`` with different bits of weights and of results; the size and the score of each circuit.

    Sizes are estimates, and scores are those of :meth:`Model.predict`: no tool runs, and nothing is written.

    Args:
        model: as of :func:`bitsmith.convert`.
        config: as of :func:`bitsmith.convert`, without bits for the whole model.
        test: inputs and labels, ``(x, y)``: classes, values, or zeros and ones; or inputs alone, for which circuits are compared
            with the float model. Default: the calibration data.
        weight_bits: bits of trained factors to try.
        result_bits: bits of results to try.
        samples: most samples of ``test`` that are taken, evenly spaced.
        progress: called with a line for each step and circuit; by default a terminal shows the latest.
        further: the rest (``docs/options.md``).

    Raises:
        ConfigError: the arguments are wrong, or choose the bits themselves.
        InputDataError: test data that do not fit the model.
        UnsupportedError, RangeError: as of :func:`bitsmith.convert`.

    Examples:
        ```python
        x, labels = bitsmith.utils.fetch_example_data("digits.keras")
        found = bitsmith.explore("digits.keras", calibration=x, test=(x, labels), part="LFE5U-25F")
        print(found)  # the verdict, and the circuits that are the best for their area
        model = bitsmith.convert("digits.keras", "out", found.config(found.best()), x, part="LFE5U-25F")
        ```
    """
    arguments: Arguments = {
        "weights": weights,
        "calibration": calibration,
        "part": part,
        "clock_period": clock_period,
        **further,
    }
    from bitsmith.report.live import working

    tree = loaded(config)
    conversion = Conversion.of(model, Path(), config, arguments, {})
    grid = Grid(tuple(weight_bits), tuple(result_bits), test, samples)
    with working("exploring", progress):
        return explored(conversion, grid, tree if isinstance(tree, Mapping) else {})


@dataclass(frozen=True, slots=True)
class Grid:
    """Bits to try, and the test data."""

    weights: tuple[int, ...] = WEIGHTS
    results: tuple[int, ...] = RESULTS
    test: Samples | None = None
    samples: int = SAMPLES

    def check(self) -> None:
        """Refuse bits that there are not.

        Raises:
            ConfigError: one of them, or none at all.
        """
        for where, bits in (("weight_bits", self.weights), ("result_bits", self.results)):
            if not bits or not all(LEAST_BITS <= each <= MOST_BITS for each in bits):
                raise ConfigError(f"{list(bits)}", where=where, accepted=f"numbers from {LEAST_BITS} to {MOST_BITS}")
        if self.samples < 1:
            raise ConfigError(f"{self.samples}", where="samples", accepted="1 or more")


def explored(
    conversion: Conversion,
    grid: Grid,
    configuration: Mapping[str, object],
    calls: Callable[[Bits], Mapping[str, str]] | None = None,
) -> Exploration:
    """Return the exploration of a model that is converted so; raises as :func:`explore`."""
    grid.check()
    model = replace(conversion, arguments={**conversion.arguments, "fit": False}).model()
    source = model.source
    assert source is not None
    if source.budgeted is None:
        raise ConfigError(
            "bits of the whole model, which are to be explored",
            where="explore",
            remedy=remedy("weight_bits and result_bits say which to try, without ", given(bits=OPEN)),
        )
    yardstick = _yardstick(model, grid, conversion.arguments.get("calibration"))
    total = len(set(grid.weights)) * len(set(grid.results))
    found: list[Point] = []
    for point in points(source, model.target, yardstick, grid.weights, grid.results):
        found.append(point)
        tell(f"explore: {point.bits}: {len(found)} circuits, of {total} at most")
    part = part_or_typical(model.target.part)
    decided = total > 1 and len(found) == 1
    return Exploration(tuple(found), model.network.name, part, yardstick, configuration, calls, decided)


def _yardstick(model: Model, grid: Grid, calibration: Samples | None) -> Yardstick:
    """The test data, or else the calibration data, or generated inputs."""
    assert model.source is not None
    network, data = model.source.network, calibration if grid.test is None else grid.test
    if data is None:
        return Yardstick.of(network, picked(network, None))
    shapes, arrays = network.input_shapes(), arrays_of(data)
    labels = None
    if isinstance(arrays, tuple) and len(arrays) == len(shapes) + 1:
        *inputs, last = map(np.asarray, arrays)
        arrays, labels = tuple(inputs) if len(inputs) > 1 else inputs[0], last
    batches = float_batches(shapes, without_labels(arrays, len(shapes)))
    count = len(batches[0])
    if labels is not None and len(labels) != count:
        raise InputDataError(f"{len(labels)} labels for {count} samples", where="test data", accepted="as many")
    few = np.unique(np.linspace(0, count - 1, min(count, grid.samples)).astype(np.int64))
    return Yardstick.of(network, [batch[few] for batch in batches], None if labels is None else labels[few])
