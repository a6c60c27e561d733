"""The table of docs/what-fit-saves.md: seven networks with formats chosen in four ways, their look-up tables, losses and seconds.

    python benchmarks/fit_table.py digits cnn --ways fit hgq2
    python benchmarks/fit_table.py digits --ways fit --yosys
    python benchmarks/fit_table.py --page docs

Results are kept in fit_table.json, by Yosys or as estimates. *uniform* and *fit* choose on the same half of the samples that no
training saw; fresh ones tell the losses, by labels and by how sure the float model is, or the other half where there are none.
``--resume FOLDER`` keeps the results of searches in files there, and goes on with those that are there, then without seconds.
``--halves 6`` chooses on further random halves, for networks that train on of other samples, and prints what each loses.
*uniform* and *fit* are those of ``fits.py``. *uniform, no memory blocks* has the format of *uniform*, and runs if it is named.

*HGQ2* trains these layers with HGQ2 from the start, ever dearer, or takes what ``hgq2_fits.py`` has trained into a folder, by
``--trained FOLDER``. *loop* is the network of PyTorch without what `fit_loop.py` removes by `bitsmith.cost`
while it trains on, and then `fit`. Both may lose as much as *fit*, which is measured before, on samples by which they stop: the
first of the fresh ones, or half of those that no training saw. Others tell what they lose.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import numpy.typing as npt
import torch
from fit_loop import Outputs, Pruned, Steps, loop
from fits import CASES, LOSS, PART, Batch, Case, Labels, accuracy, trained, uniform
from hgq2_fits import Samples, network, states_of

import bitsmith
from bitsmith.errors import BitsmithWarning, UnsupportedError
from bitsmith.fidelity.scores import Measure, Yardstick
from bitsmith.model import Model

KEPT = Path(__file__).with_suffix(".json")
BEGIN, END = "<!-- written by benchmarks/fit_table.py --page -->", "<!-- end -->"

HGQ2_EPOCHS, HGQ2_CONVERTED, BETAS = 120, 4, (1e-7, 3e-4)
STOPPING = 14_000
"""Of fresh samples those by which trainings stop; the others judge alone."""
BITS_OF_LOOP, SHARES_OF_SPARE = {"weight": 5, "result": 8}, (1.0, 0.5)
"""Formats of loops' circuits, and shares of what the float network has to spare after a loop that fits may lose."""

_STAR = {True: "", False: " *"}


@dataclass(frozen=True)
class Row:
    """A network's circuit: look-up tables, whether Yosys counted them, the loss on others, processor time, and others.

    Losses of so many ``others`` are by labels, to +- ``margin`` in 19 of 20 draws, and ``expected`` by how sure the model is.
    """

    formats: str
    luts: int
    counted: bool
    lost: float
    seconds: float | None
    expected: float | None = None
    others: int | None = None
    margin: float | None = None

    def share(self, other: Row) -> str:
        """Its look-up tables as a share of those of another; nothing if one of the two alone is counted."""
        return f"{self.luts / other.luts:.2f}{_STAR[self.counted]}" if self.counted == other.counted else ""


@dataclass(frozen=True)
class Task:
    """A trained network, the samples that it was trained on and those to choose on, and the accuracy to keep."""

    case: Case
    net: torch.nn.Module
    seen: tuple[Batch, Labels]
    chosen: tuple[Batch, Labels]
    least: float
    others: tuple[Batch, Labels]
    resume: Path | None = None
    trained: Path | None = None

    def fit(self, net: torch.nn.Module, goal: bitsmith.Goal) -> tuple[str, Model]:
        """The smallest circuit of a network."""
        found = bitsmith.fit(net, self.chosen, goal, example=self.chosen[0][:1], resume=self.resume)
        return found.best().text, found.model


def by_uniform(task: Task, folder: Path) -> tuple[str, Model]:
    """One format for all numbers."""
    text, model = uniform(task.net, *task.chosen, task.least, folder)
    return f"`{text}`", model


def by_uniform_without_memory(task: Task, folder: Path) -> tuple[str, Model]:
    """The format of the uniform circuit, with its tables in look-up tables, as those of `fit` are."""
    (text,) = (ways["uniform"].formats for name, ways in kept().items() if CASES[name] is task.case)
    config, x = {"Model": {"Precision": text.strip("`")}}, task.chosen[0]
    options = {"example": x[:1], "part": PART, "calibration": x, "check": False}
    return text, bitsmith.convert(task.net, folder, config, bram=0, **options)


def by_fit(task: Task, _: Path) -> tuple[str, Model]:
    """As `fit` finds it."""
    return task.fit(task.net, bitsmith.Goal(metric="accuracy", loss=LOSS, part=PART))


def by_loop(task: Task, _: Path) -> tuple[str, Model]:
    """Structures and weights removed by their prices while PyTorch trains on, until accuracy falls; then `fit`."""
    (x, _), (chosen, wanted), case = task.seen, task.chosen, task.case
    torch.backends.mha.set_fastpath_enabled(False)  # which reads weights of normalizations that may be gone
    bits = BITS_OF_LOOP if case.rounded is None else dict(zip(BITS_OF_LOOP, case.rounded, strict=True))

    def circuit(net: torch.nn.Module) -> Model:
        return bitsmith.convert(net, calibration=x, bits=bits, example=x[:1], part=PART, check=False)

    def good(outputs: Outputs) -> float:
        return accuracy(outputs(chosen), wanted) - task.least

    net = Steps(task.net, [*range(x.shape[1])]).eval() if case.steps else task.net
    net, model = loop(net, task.seen, circuit, good, case.rounded, case.passes)
    spare, found = good(Pruned(net).outputs), []
    if good(model.predict) >= 0:
        found.append((f"{bits['weight']} bits of weights and {bits['result']} of results", model))
    for share in SHARES_OF_SPARE if spare > 0 else ():
        fitted = task.fit(net, bitsmith.Goal(metric="accuracy", loss=share * spare, part=PART))
        print(f"  fit: {fitted[1].estimate().size.lut:,} LUT", flush=True)
        if good(fitted[1].predict) >= 0:
            found.append(fitted)
            break
    if not found:
        raise UnsupportedError("formats lose too much")
    return min(found, key=lambda each: each[1].estimate().size.lut)


def by_hgq2(task: Task, folder: Path) -> tuple[str, Model]:
    """Trained by HGQ2 with bits that cost ever more; the smallest of the last networks that keep the accuracy."""
    from hgq.utils import trace_minmax

    (x, _), (chosen, wanted) = (_in_keras(task.case, *each) for each in (task.seen, task.chosen))
    name = next(name for name, case in CASES.items() if case is task.case)
    net = network(name, price=BETAS[0])
    stored = None if task.trained is None else states_of(task.trained / f"{name}.npz")[:HGQ2_CONVERTED]
    models = []
    for values in stored or _trained_once(task, net):
        for variable, value in zip((*net.trainable_variables, *net.non_trainable_variables), values, strict=True):
            variable.assign(value)
        trace_minmax(net, x, verbose=0)
        model = bitsmith.convert(net, folder / str(len(models)), part=PART, check=False)
        if accuracy(model.predict(chosen), wanted) >= task.least:
            models.append(model)
    if not models:
        raise UnsupportedError("no network that was trained keeps the accuracy")
    return "trained", min(models, key=lambda model: model.estimate().size.lut)


def _trained_once(task: Task, net: Any) -> list[list[npt.NDArray[Any]]]:
    """The values of all variables of the cheapest networks of one training."""
    import keras
    from hgq.utils.sugar import BetaScheduler, FreeEBOPs

    (x, labels), (chosen, wanted) = (_in_keras(task.case, *each) for each in (task.seen, task.chosen))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(3e-3), loss)
    found: list[tuple[float, list[npt.NDArray[Any]]]] = []

    class Kept(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            if epoch < HGQ2_EPOCHS // 4:
                return
            if accuracy(net.predict(chosen, batch_size=20_000, verbose=0), wanted) >= task.least:
                variables = (*net.trainable_variables, *net.non_trainable_variables)
                found.append(((logs or {})["ebops"], [np.array(each) for each in variables]))
                found.sort(key=lambda each: each[0])
                del found[HGQ2_CONVERTED:]

    low, high = BETAS
    dearer = BetaScheduler(lambda epoch: low * (high / low) ** min(epoch / HGQ2_EPOCHS, 1))
    net.fit(x, labels, batch_size=100, epochs=HGQ2_EPOCHS, callbacks=[dearer, FreeEBOPs(), Kept()], verbose=0)
    return [values for _, values in found]


def _in_keras(case: Case, x: Batch, labels: Labels) -> tuple[Batch, Labels]:
    return np.moveaxis(x, case.channels, -1), labels


MEMORY = "uniform, no memory blocks"
WAYS = {"uniform": by_uniform, MEMORY: by_uniform_without_memory, "fit": by_fit, "HGQ2": by_hgq2, "loop": by_loop}
RETRAINED = {"HGQ2", "loop"}
"""Ways whose networks are others, so that the float model's doubts say nothing of theirs."""


def task_of(case: Case, way: str, half: int = 0) -> Task:
    """A network to find a circuit for by one way, which chooses on a half of the samples that no training saw."""
    x, labels = case.samples()
    if half and way in RETRAINED:
        order = np.random.default_rng(1000 + half).permutation(len(x))
        x, labels = x[order], labels[order]
    net = trained(case, x[: case.trained_on], labels[: case.trained_on])
    unseen = np.arange(case.trained_on, len(x))
    chosen, other = np.array_split(np.random.default_rng(1000 + half).permutation(unseen) if half else unseen, 2)
    choice, rest = (x[chosen], labels[chosen]), (x[other], labels[other])
    if case.more is not None:
        further, wanted = (each[len(x) :] for each in case.more())
        rest = further, wanted
        if way in RETRAINED:
            choice, rest = (further[:STOPPING], wanted[:STOPPING]), (further[STOPPING:], wanted[STOPPING:])
    allowed = LOSS
    if way in RETRAINED:
        (fitted,) = (ways["fit"] for name, ways in kept().items() if CASES[name] is case)
        assert fitted.expected is not None
        allowed = fitted.expected if case.more is None else fitted.lost
    with torch.no_grad():
        at_first = accuracy(net(torch.from_numpy(choice[0])).numpy(), choice[1])
    return Task(case, net, (x[: case.trained_on], labels[: case.trained_on]), choice, at_first - allowed, rest)


def samples_of(name: str) -> Samples:
    """What HGQ2 is trained on, and what chooses."""
    task = task_of(CASES[name], "HGQ2")
    return Samples(_in_keras(task.case, *task.seen), _in_keras(task.case, *task.chosen), task.least)


def row(
    case: Case, way: str, yosys: bool, half: int = 0, resume: Path | None = None, states: Path | None = None
) -> Row:
    """The circuit of a network by one way."""
    task = replace(task_of(case, way, half), resume=resume, trained=states)
    others, wanted = task.others
    with torch.no_grad():
        plain = task.net(torch.from_numpy(others)).numpy().astype(np.float64)
    begun, again = time.process_time(), states is not None or (resume is not None and resume.exists())
    with tempfile.TemporaryDirectory() as folder:
        formats, model = WAYS[way](task, Path(folder))
        seconds = time.process_time() - begun
        inputs = _in_keras(case, others, wanted)[0] if way == "HGQ2" else others
        outputs, measure = np.asarray(model.predict(inputs), np.float64), Measure.of(wanted, plain)
        lost, expected = (
            measure.loss(score) for score in (measure.score_of(outputs), measure.expected(outputs, plain))
        )
        margin = 1.96 * Yardstick([others], [plain], (measure,)).uncertainty([outputs])
        luts = model.estimate().size.lut
        if yosys:
            report = model.build(inputs=inputs[:500])
            assert report.section("Verification")["Mismatches"] == 0
            luts = int(report.section("Resources")["LUT"])
    losses = round(lost, 5), None if again else round(seconds), None if way in RETRAINED else round(expected, 5)
    return Row(formats, luts, yosys, *losses, len(others), round(margin, 5))


def kept() -> dict[str, dict[str, Row]]:
    """The results so far."""
    read = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    return {name: {way: Row(**each) for way, each in ways.items()} for name, ways in read.items()}


def table(results: Mapping[str, Mapping[str, Row]]) -> str:
    """All results in Markdown; a star marks estimates."""
    head = "network", "way", "formats", "LUTs", "lost on others", "as expected", "of uniform", "of HGQ2", "seconds"
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, case in CASES.items():
        ways = results.get(name, {})
        for way, found in ((way, ways[way]) for way in WAYS if way in ways):
            others = (ways[other] if other in ways and other != way else None for other in ("uniform", "HGQ2"))
            shares = ("" if other is None else found.share(other) for other in others)
            seconds = "" if found.seconds is None else f"{found.seconds:.0f}"
            expected = "" if found.expected is None else f"{found.expected:.2%}"
            lost = f"{found.lost:.2%}" + ("" if found.margin is None else f" +- {found.margin:.2%}")
            told = (
                case.name,
                way,
                found.formats,
                f"{found.luts:,}{_STAR[found.counted]}",
                lost,
                expected,
                *shares,
                seconds,
            )
            lines.append(f"| {' | '.join(told)} |")
    return "\n".join(lines)


def page(docs: Path) -> None:
    """Write the table into the page."""
    path = docs / "what-fit-saves.md"
    head, rest = path.read_text(encoding="utf-8").split(BEGIN)
    path.write_text(f"{head}{BEGIN}\n\n{table(kept())}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def main() -> None:
    """Measure what is named, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CASES, []])
    parser.add_argument("--ways", nargs="*", default=[way for way in WAYS if way != MEMORY], choices=[*WAYS])
    parser.add_argument("--yosys", action="store_true", help="count look-up tables with Yosys, and simulate")
    parser.add_argument("--halves", type=int, default=1, help="random halves to choose on; the first one is kept")
    parser.add_argument("--resume", type=Path, help="folder of results, from which searches go on")
    parser.add_argument("--trained", type=Path, help="folder of networks of HGQ2 that hgq2_fits.py has trained")
    parser.add_argument("--page", type=Path, help="write the table into what-fit-saves.md of this folder")
    given = parser.parse_args()
    warnings.simplefilter("ignore", BitsmithWarning)
    for name in given.names:
        for way in given.ways:
            try:
                resume = given.resume and given.resume / f"{name}_{way}.jsonl"
                found = row(CASES[name], way, given.yosys, resume=resume, states=given.trained)
            except UnsupportedError as error:
                print(name, way, error)
                continue
            print(name, way, found, flush=True)
            for half in range(1, given.halves):
                print(name, way, f"half {half}:", row(CASES[name], way, False, half), flush=True)
            results = kept()
            results.setdefault(name, {})[way] = found
            text = {one: {each: asdict(line) for each, line in ways.items()} for one, ways in results.items()}
            KEPT.write_text(json.dumps(text, indent=1) + "\n")
    if given.page:
        page(given.page)


if __name__ == "__main__":
    main()
