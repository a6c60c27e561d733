"""Whole networks by da4ml and alkaid, for ``against_rivals.py``; runs in an environment of its own that has both.

Reads one network per line as JSON: ``steps`` (see ``against_rivals.step_of``), or the path of a ``model`` of HGQ 2, which is
alkaid's alone; ``stages``, a ``folder`` to write Verilog to, and ``samples``. Writes one line for each circuit: its stages, the
rival's own cost, and what its interpreter makes of the samples.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import alkaid.codegen
import alkaid.trace
import da4ml.codegen
import da4ml.trace
import numpy as np

Step = Mapping[str, object]


def traced(steps: Sequence[Step], array: type) -> tuple[object, object]:
    """The input and the result of ``steps``, in a rival's arrays of symbols."""
    values: list[object] = []
    for step in steps:
        args = [values[index] for index in step["args"]]
        numbers = [np.array(numbers, dtype=np.float64) for numbers in step["numbers"]]
        match step["op"]:
            case "input":
                # Without decisions by the depth of adders alone, which is both rivals' default for whole networks.
                values.append(array.from_lhs(*numbers, hwconf=(1, -1, -1), solver_options={"hard_dc": 2}))
            case "const":
                values.append(numbers[0])
            case "linear":
                values.append(args[0] @ numbers[0])
            case "add":
                values.append(args[0] + args[1])
            case "max":
                values.append(np.maximum(args[0], args[1]))
            case "cast":
                formats = (part.astype(np.int64) for part in numbers)
                values.append(args[0].quantize(*formats, step["overflow"], step["rounding"]))
    return values[0], values[-1]


def of_da4ml(case: Mapping[str, object]) -> Iterator[tuple[str, object, float]]:
    """da4ml's circuit; its registers at the inputs are taken out, since the other circuits have none."""
    combinational = da4ml.trace.comb_trace(*traced(case["steps"], da4ml.trace.FixedVariableArray))
    stages = case["stages"]
    latency = max(combinational.latency)
    for cutoff in np.arange(max(latency // (stages + 1), 1), latency + 2, 0.5):
        pipeline = da4ml.trace.to_pipeline(combinational, float(cutoff), verbose=False)
        if len(pipeline.solutions) <= stages:
            break
    folder = Path(case["folder"]) / "da4ml"
    da4ml.codegen.RTLModel(pipeline, "top", folder, print_latency=False).write()
    top = folder / "src" / "top.v"
    text, found = re.subn(r"reg (\[\d+:0\] stage0_inp);", r"wire \1 = model_inp;", top.read_text())
    text, removed = re.subn(r"stage0_inp <= model_inp;", "", text)
    if (found, removed) != (1, 1):
        raise SystemExit("da4ml's top module has another form than this benchmark knows")
    top.write_text(text)
    yield "da4ml", combinational, len(pipeline.solutions)


def of_model(path: str) -> tuple[object, object]:
    """The input and the result of a Keras model with layers of HGQ 2, under the names of its versions.

    alkaid 0.8.2 loses the axis of samples in reshapes, which layers after these want.
    """
    os.environ.setdefault("KERAS_BACKEND", "jax")
    importlib.import_module("alkaid.converter.builtin.keras.layers.ops").ReplayReshape.call = lambda layer, values: (
        values.reshape(layer.op.compute_output_shape(values.shape))
    )
    keras, known = importlib.import_module("keras"), vars(importlib.import_module("hgq.layers"))
    classes = {name: kind for name, kind in known.items() if isinstance(kind, type)}
    classes |= {f"hgq2>{name}": kind for name, kind in classes.items()}
    model = keras.models.load_model(path, custom_objects=classes, compile=False)
    trace = importlib.import_module("alkaid.converter").trace_model
    return trace(model, alkaid.trace.HWConfig(1, -1, -1), {"hard_dc": 2}, verbose=False)


def of_alkaid(case: Mapping[str, object]) -> Iterator[tuple[str, object, float]]:
    """alkaid's circuits, without and with its sums of three."""
    operands = of_model(case["model"]) if "model" in case else traced(case["steps"], alkaid.trace.FVArray)
    combinational = alkaid.trace.trace(*operands)
    for name, fused in (("alkaid", False), ("alkaid3", True)):
        machine = alkaid.trace.to_pipeline(combinational, n_stages=case["stages"], reg_inp=False, verbose=False)
        folder = Path(case["folder"]) / name
        alkaid.codegen.RTLModel(machine, folder, "top", print_latency=False, ternary_fuse=fused).write()
        yield name, combinational, case["stages"]


def main() -> None:
    """Answer networks until there are no more."""
    for line in sys.stdin:
        case = json.loads(line)
        for rival in (of_alkaid,) if "model" in case else (of_da4ml, of_alkaid):
            with contextlib.redirect_stdout(sys.stderr):
                made = list(rival(case))
            for name, combinational, stages in made:
                outputs = combinational.predict(np.array(case["samples"], dtype=np.float64))
                answer = {"name": name, "stages": stages, "cost": combinational.cost, "outputs": outputs.tolist()}
                print(json.dumps(answer), flush=True)
        print(json.dumps({}), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
