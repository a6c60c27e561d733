"""Random networks split at every place, saved, loaded and composed again: each time the whole, bit for bit."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import bitsmith
from bitsmith import Model
from bitsmith.building.job import Target
from bitsmith.compiler import compile_network
from bitsmith.conversion.splitting import Split
from bitsmith.errors import ConfigError, InputRangeWarning, RangeError
from bitsmith.ir.composition import OWN
from bitsmith.ir.types import FixedFormat, Overflow, Rounding
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.layer import as_weights
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.settings import Settings
from tests.ir.oracle import evaluate
from tests.system.test_random_networks import random_network


def model_of(network: Network, folder: Path) -> Model | None:
    try:
        made = compile_network(network)
    except RangeError:
        return None
    return Model(made.network, made.program, Target(folder, "net", "xcu250-figd2104-2L-e", 5.0))


def composed(parts: Sequence[Model], folder: Path) -> Model:
    """The parts wired as the names of their ports say."""
    sources: dict[str, str] = {}
    wires: dict[str, str] = {}
    for number, one in enumerate(parts):
        wires |= {f"p{number}.{op.name}": sources[op.name] for op in one.program.input_ops() if op.name in sources}
        for output in one.program.outputs:
            sources.setdefault(output.name, f"p{number}.{output.name}")
    return bitsmith.compose({f"p{number}": one for number, one in enumerate(parts)}, wires, folder)


def assert_whole(split: Split, x: list[np.ndarray], folder: Path) -> None:
    model = split.whole
    wanted, found = model.predict(x), split.predict(x)
    many = wanted if isinstance(wanted, list) else [wanted]
    for want, have in zip(many, found if isinstance(found, list) else [found], strict=True):
        assert have.tobytes() == want.tobytes() and have.dtype == want.dtype
    loaded = []
    for number, one in enumerate(split):
        one.save(folder / f"{number}.json")
        loaded.append(Model.load(folder / f"{number}.json"))
        assert loaded[-1].program == one.program and str(loaded[-1]) == str(one)
    whole = composed(loaded, folder / "whole")
    whole.save(folder / "whole.json")
    again = Model.load(folder / "whole.json")
    names = [op.name for op in model.program.input_ops()]
    given = [x[names.index(op.name.partition(".")[2])] for op in again.program.input_ops()]
    results = again.predict(given)
    by_name = dict(
        zip(
            [output.name.partition(".")[2].removesuffix(OWN) for output in again.program.outputs],
            results if isinstance(results, list) else [results],
            strict=True,
        )
    )
    assert by_name.keys() == {output.name for output in model.program.outputs}
    for output, want in zip(model.program.outputs, many, strict=True):
        assert by_name[output.name].tobytes() == want.tobytes()


def split_everywhere(seed: int, folder: Path, cuts: int) -> int:
    network, rng = random_network(seed), np.random.default_rng(seed)
    names = [node.name for node in network.nodes]
    if seed % 2:  # results inside are outputs, too, of inputs as well
        chosen = rng.choice(names, size=min(len(names), 1 + seed % 3), replace=False)
        network = replace(network, outputs=tuple(map(str, chosen)))
    model, made = model_of(network, folder), 0
    if model is None:
        return 0
    x = [rng.normal(size=(20, *op.shape)) * 4 for op in model.program.input_ops()]
    for at in (list(each) for count in range(1, cuts + 1) for each in itertools.combinations(names, count)):
        try:
            parts = bitsmith.split(model, at, folder / "parts")
        except ConfigError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values outside of what are random formats
            assert_whole(parts, x, folder)
        made += 1
    return made


@pytest.mark.parametrize("seed", [1, 5, 8])
def test_each_place(seed: int, tmp_path: Path) -> None:
    assert split_everywhere(seed, tmp_path, 1) > 1


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("start", range(10, 50, 10))
def test_each_two_places(start: int, tmp_path: Path) -> None:
    assert sum(split_everywhere(seed, tmp_path, 2) for seed in range(start, start + 10)) > 40


def wide(folder: Path) -> Model:
    """What a first layer gives has 70 bits, of which a second one shows the last."""
    x, y = FixedFormat(True, 40, 20, Rounding.TRN, Overflow.SAT), FixedFormat(True, 70, 50, Rounding.TRN, Overflow.SAT)
    formats = Settings({"result": y, "accum": y, "weight": FixedFormat(True, 60, 50), "bias": y})
    nodes = (
        NetworkNode("x", Input((2,)), settings=Settings({"result": x})),
        NetworkNode("first", Dense(as_weights([[1.0, 1.0], [0.0, 2.0**-30]])), ("x",), settings=formats),
        NetworkNode("second", Dense(as_weights([[-1.0], [1.0]])), ("first",), settings=formats),
    )
    model = model_of(Network(nodes, ("x",), ("second",)), folder)
    assert model is not None
    return model


def test_parts_hand_on_more_than_53_bits(tmp_path: Path) -> None:
    model = wide(tmp_path)
    x = (
        np.random.default_rng(0).integers(-(2**19), 2**19, (100, 2))
        + np.random.default_rng(1).integers(0, 2**20, (100, 2)) / 2**20
    )
    parts = bitsmith.split(model, ["first"])
    assert_whole(parts, [x], tmp_path)
    raws = np.array([[int(Fraction(v) * 2**20) for v in row] for row in x], dtype=object)
    exact = [evaluate(model.program, [raw])[0] for raw in raws]
    np.testing.assert_array_equal(
        parts.predict(x), np.array([[float(Fraction(int(v), 2**50)) for v in row] for row in exact])
    )
    # What single parts take from a user is of double precision, which is not enough.
    assert np.any(parts[1].predict(parts[0].predict(x)) != model.predict(x))


def test_values_outside_of_an_input_are_told(tmp_path: Path) -> None:
    with pytest.warns(InputRangeWarning, match="2 values"):
        bitsmith.split(wide(tmp_path), ["first"]).predict(np.full((1, 2), 1e9))


def test_parts_that_do_nothing_are_refused(tmp_path: Path) -> None:
    """An input that nothing reads is no part."""
    nodes = (
        NetworkNode("x", Input((2,))),
        NetworkNode("unread", Input((2,))),
        NetworkNode("fc", Dense(as_weights(np.eye(2))), ("x",)),
    )
    model = model_of(Network(nodes, ("x", "unread"), ("fc",)), tmp_path)
    assert model is not None
    with pytest.raises(ConfigError, match="nothing after the last layer"):
        bitsmith.split(model, ["fc"])


def test_certificates_of_parts_and_composed_models_blame_no_layer_for_a_port(tmp_path: Path) -> None:
    """A part's port takes no more than its values: numbers beyond are nobody's error. A wire's format is the reader's."""
    rng = np.random.default_rng(0)
    nodes = [NetworkNode("x", Input((8,)))]
    for name, size in (("a", 8), ("b", 8), ("c", 3)):
        kernel = np.abs(rng.normal(size=(8, size))) if name == "a" else rng.normal(size=(8, size))
        nodes.append(NetworkNode(name, Dense(as_weights(kernel / 8)), (nodes[-1].name,)))
    unsigned = FixedFormat(False, 12, 12, Rounding.RND, Overflow.SAT)
    nodes[1] = replace(nodes[1], settings=Settings({"result": unsigned}))
    model = model_of(Network(tuple(nodes), ("x",), ("c",)), tmp_path)
    assert model is not None
    parts = bitsmith.split(model, ["a"])
    assert not parts[1].fidelity.problems
    coarse = replace(nodes[0], settings=Settings({"result": FixedFormat(True, 4, 1, Rounding.RND, Overflow.SAT)}))
    reader = model_of(Network((coarse, *nodes[1:]), ("x",), ("c",)), tmp_path)
    assert reader is not None
    wide_output = model_of(
        Network((nodes[0], NetworkNode("y", Dense(as_weights(np.eye(8) * 8)), ("x",))), ("x",), ("y",)), tmp_path
    )
    assert wide_output is not None
    told = bitsmith.compose({"first": wide_output, "then": reader}, {"then.x": "first.y"}).fidelity.problems
    assert told and all("report it" not in str(problem) for problem in told)
    assert any("then.x" in str(problem) for problem in told)
