"""Graphs of NIR, live and from files, against its equations step by step in plain NumPy."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

import bitsmith
from bitsmith.errors import BitsmithError, ModelFileError, UnsupportedError

nir = pytest.importorskip("nir")

DT, STEPS = 1e-4, 20
PRECISION = {"LayerType": {"Neurons": {"Precision": dict.fromkeys(("state", "current"), "fixed<32,12,RND,SAT>")}}}

Array = npt.NDArray[np.float64]


def eighths(rng: np.random.Generator, *shape: int) -> Array:
    return rng.integers(-16, 17, shape) / 8


def share(tau: Array) -> Array:
    return DT / tau


def simulated(node: Any, x: Array, back: Any = None) -> Array:
    """Neurons (samples, steps, ...) by Euler's method."""
    get = lambda name, default: np.asarray(getattr(node, name, default), dtype=np.float64)  # noqa: E731
    membrane, current, spikes = (np.zeros_like(x[:, 0]) for _ in range(3))
    timed = hasattr(node, "tau") or hasattr(node, "tau_mem")
    leak = share(get("tau_mem", get("tau", 1.0))) if timed else np.asarray(0.0)
    gain = (leak if timed else 1.0) * get("r", 1.0)
    results = []
    for step in range(x.shape[1]):
        now = x[:, step] if back is None else x[:, step] + spikes @ back.weight.T + getattr(back, "bias", 0.0)
        if hasattr(node, "tau_syn"):
            synapse = share(get("tau_syn", 1.0))
            current = (1 - synapse) * current + synapse * get("w_in", 1.0) * now
            now = current
        membrane = (1 - leak) * membrane + gain * now + leak * get("v_leak", 0.0)
        if not hasattr(node, "v_threshold"):
            results.append(membrane)
            continue
        spikes = (membrane > get("v_threshold", 0.0)).astype(np.float64)
        membrane = np.where(spikes > 0, get("v_reset", 0.0), membrane)
        results.append(spikes)
    return np.stack(results, axis=1)


def neurons(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Neurons whose decays and gains are on binary grids."""
    ones = np.ones(shape)
    tau = DT * 2.0 ** rng.integers(1, 4, shape)
    leak, threshold, reset = ones * 0.25, rng.integers(1, 9, shape) / 4, rng.integers(-2, 1, shape) / 4
    fires = {"v_threshold": threshold, "v_reset": reset}
    if kind in ("LIF", "LI"):
        return getattr(nir, kind)(tau=tau, r=tau / DT, v_leak=leak, **(fires if kind == "LIF" else {}))
    if kind in ("CubaLIF", "CubaLI"):
        synapse = DT * 2.0 ** rng.integers(1, 3, shape)
        return getattr(nir, kind)(
            tau_mem=tau, tau_syn=synapse, r=tau / DT, v_leak=leak, w_in=2 * ones, **(fires if kind == "CubaLIF" else {})
        )
    return nir.IF(r=ones, **fires) if kind == "IF" else nir.I(r=ones * 0.5)


def graph(nodes: dict[str, Any], **options: Any) -> Any:
    """A chain from the input to the output."""
    names = list(nodes)
    return nir.NIRGraph(nodes, list(itertools.pairwise(names)), metadata={"dt": DT}, **options)


def converted(model: Any, shape: tuple[int, ...], x: Array) -> bitsmith.Model:
    return bitsmith.convert(model, input_shape=shape, calibration=x, config=PRECISION, check=False)


def bits(*shape: int) -> Array:
    return np.random.default_rng(0).integers(0, 2, shape).astype(np.float64)


@pytest.mark.parametrize("kind", ("LIF", "LI", "CubaLIF", "CubaLI", "IF", "I"))
def test_neurons(kind: str) -> None:
    rng = np.random.default_rng(len(kind))
    affine, node = nir.Affine(eighths(rng, 5, 4), eighths(rng, 5)), neurons(kind, (5,), rng)
    x = bits(10, STEPS, 4)
    live = graph({"input": nir.Input(np.array([4])), "fc": affine, "n": node, "output": nir.Output(np.array([5]))})
    wanted = simulated(node, x @ affine.weight.T + affine.bias)
    tolerance = 0.0 if hasattr(node, "v_threshold") else 2.0**-9
    np.testing.assert_allclose(converted(live, (STEPS, 4), x).predict(x), wanted, rtol=0, atol=tolerance)


def recurrent(node: Any, back: Any, units: int) -> Any:
    ends = {"input": nir.Input(np.array([units])), "output": nir.Output(np.array([units]))}
    edges = [("input", "n"), ("n", "w"), ("w", "n"), ("n", "output")]
    return nir.NIRGraph({**ends, "n": node, "w": back}, edges)


@pytest.mark.parametrize("kind", ("LIF", "CubaLIF"))
def test_spikes_that_come_back_and_files(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    node, back = neurons(kind, (4,), rng), nir.Affine(eighths(rng, 4, 4), eighths(rng, 4))
    live = graph(
        {"input": nir.Input(np.array([4])), "rec": recurrent(node, back, 4), "output": nir.Output(np.array([4]))}
    )
    x, file = bits(10, STEPS, 4), tmp_path / "graph.nir"
    nir.write(file, live)
    wanted = simulated(node, x, back)
    for model in (live, file):
        np.testing.assert_array_equal(converted(model, (STEPS, 4), x).predict(x), wanted)


def test_maps(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    kernel, bias, node = eighths(rng, 3, 2, 3, 3), eighths(rng, 3), neurons("IF", (3, 4, 5), rng)
    live = graph(
        {
            "input": nir.Input(np.array([2, 6, 7])),
            "conv": nir.Conv2d((6, 7), kernel, 1, 0, 1, 1, bias),
            "if": node,
            "scale": nir.Scale(np.full((3, 4, 5), 0.5)),
            "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 3]), np.array([0, 0])),
            "flat": nir.Flatten({"input": np.array([3, 2, 2])}, 0, -1),
            "fc": nir.Linear(eighths(rng, 2, 12)),
            "output": nir.Output(np.array([2])),
        },
        type_check=False,
    )
    x = bits(6, 9, 2, 6, 7)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(3, 4))
    spikes = simulated(node, np.einsum("ntcyxij,ocij->ntoyx", windows, kernel) + bias[:, None, None]) * 0.5
    pooled = np.stack([spikes[..., y : y + 2, z : z + 2].sum((-1, -2)) for y in (0, 2) for z in (0, 3)], -1)
    wanted = pooled.reshape(6, 9, 12) @ live.nodes["fc"].weight.T
    file = tmp_path / "maps.nir"
    nir.write(file, live)
    for model in (live, file):
        np.testing.assert_array_equal(converted(model, (9, 2, 6, 7), x).predict(x), wanted)


def test_branches_are_added_and_steps_may_be_samples() -> None:
    rng = np.random.default_rng(2)
    node = neurons("LIF", (3,), rng)
    a, b = nir.Linear(eighths(rng, 3, 4)), nir.Linear(eighths(rng, 3, 4))
    nodes = {"input": nir.Input(np.array([4])), "a": a, "b": b, "n": node, "output": nir.Output(np.array([3]))}
    edges = [("input", "a"), ("input", "b"), ("a", "n"), ("b", "n"), ("a", "n"), ("n", "output")]  # one twice
    live, x = nir.NIRGraph(nodes, edges, metadata={"dt": DT}, type_check=False), bits(1, 40, 4)
    model = converted(live, (4,), x[0])
    np.testing.assert_array_equal(model.predict(x[0]), simulated(node, x @ (a.weight + b.weight).T)[0])


def test_the_length_of_a_step() -> None:
    node = nir.LI(tau=np.full(2, 8e-4), r=np.full(2, 8.0), v_leak=np.zeros(2))
    ends = nir.Input(np.array([2])), nir.Output(np.array([2]))
    live = nir.NIRGraph({"input": ends[0], "n": node, "output": ends[1]}, [("input", "n"), ("n", "output")])
    x = bits(4, STEPS, 2)
    assert "0.0001 s is taken" in " ".join(converted(live, (STEPS, 2), x).notes)
    live.metadata["dt"] = 1e-3
    with pytest.raises(UnsupportedError, match=r"tau of 0\.0008 s with steps of 0\.001 s"):
        converted(live, (STEPS, 2), x)


def test_what_is_rejected(tmp_path: Path) -> None:
    ends = {"input": nir.Input(np.array([2])), "output": nir.Output(np.array([2]))}
    delayed = nir.NIRGraph({**ends, "d": nir.Delay(np.ones(2))}, [("input", "d"), ("d", "output")], type_check=False)
    with pytest.raises(UnsupportedError, match="a node of type 'Delay'"):
        bitsmith.convert(delayed)
    weights = {"a": nir.Linear(np.eye(2)), "b": nir.Linear(np.eye(2))}
    edges = [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
    with pytest.raises(UnsupportedError, match="a cycle"):
        bitsmith.convert(nir.NIRGraph({**ends, **weights}, edges))
    other = tmp_path / "other.nir"
    with h5py.File(other, "w") as file:
        file["x"] = 1
    with pytest.raises(ModelFileError, match="no graph of NIR"):
        bitsmith.convert(other)


@pytest.mark.parametrize("seed", range(5))
def test_damaged_files_end_in_one_typed_error(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    live = graph(
        {"input": nir.Input(np.array([4])), "n": neurons("LIF", (4,), rng), "output": nir.Output(np.array([4]))}
    )
    file = tmp_path / "graph.nir"
    nir.write(file, live)
    whole = bytearray(file.read_bytes())
    for _ in range(10):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 8):
            damaged[place] = rng.integers(256)
        file.write_bytes(damaged)
        with warnings.catch_warnings(), contextlib.suppress(BitsmithError):
            warnings.simplefilter("ignore")  # of other numbers, another fidelity
            bitsmith.convert(file, tmp_path / "out", calibration=bits(4, 4), check=False)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("seed", range(100))
def test_spikes_of_random_networks(seed: int) -> None:
    """Two layers of neurons, the first one in half of them with spikes that come back, spike for spike over 50 steps."""
    rng = np.random.default_rng(seed)
    inputs, hidden, outputs = (int(size) for size in rng.integers(2, 9, 3))
    kinds = [("LIF", "CubaLIF", "IF")[int(choice)] for choice in rng.integers(0, 3, 2)]
    first, second = (neurons(kind, (size,), rng) for kind, size in zip(kinds, (hidden, outputs), strict=True))
    into, on = nir.Affine(eighths(rng, hidden, inputs), eighths(rng, hidden)), nir.Linear(eighths(rng, outputs, hidden))
    back = nir.Affine(eighths(rng, hidden, hidden), eighths(rng, hidden)) if seed % 2 else None
    begin = first if back is None else recurrent(first, back, hidden)
    ends = {"input": nir.Input(np.array([inputs])), "output": nir.Output(np.array([outputs]))}
    live = graph(
        {"input": ends["input"], "in": into, "first": begin, "on": on, "second": second, "out": ends["output"]}
    )
    x = bits(12, 50, inputs)
    inner = simulated(first, x @ into.weight.T + into.bias, back)
    np.testing.assert_array_equal(converted(live, (50, inputs), x).predict(x), simulated(second, inner @ on.weight.T))
