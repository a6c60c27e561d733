"""Layers that names of other tools mean, and keys that have no meaning here: refused, noted or harmless."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bitsmith.config.inert import LAYER_INERT, MODEL_INERT, PROJECT_INERT, WRITER_INERT, idle_of
from bitsmith.config.matching import Matched, matched, of_part, owners, with_aliases
from bitsmith.config.model import Choices
from bitsmith.config.reading import Problems
from bitsmith.config.resolving import resolve
from bitsmith.errors import ConfigError
from bitsmith.ir.types import FixedFormat
from bitsmith.layers.activation import ReLU
from bitsmith.layers.dense import Dense
from bitsmith.layers.input import Input
from bitsmith.layers.network import NetworkNode
from bitsmith.options.project import read_project
from tests.config.test_model import NETWORK

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def found(names: list[str], *given: str, inputs: int = 1) -> tuple[Matched, list[str]]:
    """What ``given`` names mean in a network of such layers, the first of which are inputs; and the problems."""
    nodes = [NetworkNode(name, Input((3,)) if k < inputs else ReLU()) for k, name in enumerate(names)]
    problems = Problems()
    return matched(nodes, dict.fromkeys(given, Choices()), problems), [str(error) for error in problems.errors]


@pytest.mark.parametrize(
    ("names", "given", "meant"),
    [
        (["x", "fc1"], "fc1", "fc1"),
        (["x", "fc1"], "input1", "x"),  # of a sequence of layers that begins without an input
        (["x", "input1"], "input1", "input1"),
        (["input", "fc1"], "input_1", "input"),  # a word that is reserved elsewhere
        (["x", "1st"], "_1st", "1st"),
        (["x", "block/fc-1"], "block_fc_1", "block/fc-1"),
    ],
)
def test_names_of_other_tools_mean_layers(names: list[str], given: str, meant: str) -> None:
    result, problems = found(names, given)
    assert (list(result.names), result.idle, problems) == ([meant], (), [])


AGAIN = ["x", "fc", "fc_relu", "act", "fc_1", "fc_1_relu", "act_1", "fc_2", "fc_2_relu", "n", "n_1"]


def test_uses_of_a_layer_may_be_numbered_from_zero() -> None:
    """Of hls4ml 1.3, which also numbers the first use of a layer that is called i, n, p, u or t."""
    given = ["x", "fc", "fc_relu", "act", "fc_0", "fc_relu_0", "act_0", "fc_1", "fc_relu_1", "n_0", "n_1"]
    result, problems = found(AGAIN, *given)
    assert (list(result.names), result.idle, problems) == (AGAIN, (), [])
    assert list(found(AGAIN, *AGAIN)[0].names) == AGAIN


@pytest.mark.parametrize("given", ["x_0", "fc_3", "fc_relu_2_0", "fc_00", "n_2"])
def test_numbers_of_no_use_are_problems(given: str) -> None:
    assert any(f"no layer is called '{given}'" in problem for problem in found(AGAIN, given)[1])


def test_layers_that_are_numbered_alike_are_no_uses_of_one() -> None:
    """Trained tensors of their own tell them apart."""
    kernels = [Dense(np.eye(3)) for _ in range(2)]
    nodes = [NetworkNode("x", Input((3,))), NetworkNode("fc", kernels[0]), NetworkNode("fc_1", kernels[1])]
    problems = Problems()
    matched(nodes, {"fc_0": Choices()}, problems)
    assert "no layer is called 'fc_0'" in str(problems.errors[0])


@pytest.mark.parametrize(
    ("names", "given", "inputs", "message"),
    [
        (["x", "y", "fc1"], ["input1"], 2, "no layer is called 'input1'"),  # of two inputs
        (["x", "a/b", "a-b"], ["a_b"], 1, "no layer is called 'a_b'"),  # of two layers
        (["x", "a/b"], ["a/b", "a_b"], 1, "'a/b' is given twice"),
        (["x", "dense"], ["dens"], 1, "did you mean 'dense'"),
    ],
)
def test_names_that_mean_no_layer_or_two_are_problems(
    names: list[str], given: list[str], inputs: int, message: str
) -> None:
    _, problems = found(names, *given, inputs=inputs)
    assert len(problems) == 1 and message in problems[0]


@pytest.mark.parametrize(
    ("given", "idle"),
    [
        ("fc1_linear", True),
        ("fc1_param0", True),
        ("fc2_param0", False),
        ("fc2_linear", False),
        ("_linear", False),
        ("Quant_0", True),
        ("Quant_x", False),
        ("Dropout_12", True),
        ("input1_param3", True),
    ],
)
def test_layers_that_only_other_tools_have_are_noted(given: str, idle: bool) -> None:
    """An activation that does nothing, constants, and what is folded away; others are mistakes."""
    result, problems = found(["x", "fc1"], given)
    assert [(each.key, each.owner) for each in result.idle] == ([("LayerName", given)] if idle else [])
    assert bool(problems) is not idle


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"Flows": ["vivado:optimize"]}, "HLSConfig.Flows"),
        ({"Optimizers": ["fuse"]}, "HLSConfig.Optimizers"),
        ({"SkipOptimizers": ["fuse"]}, "HLSConfig.SkipOptimizers"),
        ({"InputShape": [3]}, "HLSConfig.InputShape"),
        ({"PytorchModel": "net.pt2"}, "HLSConfig.PytorchModel"),
        ({"LayerName": {"out": {"ExpTableSize": 512}}}, "HLSConfig.LayerName.out.ExpTableSize"),
        ({"LayerName": {"out": {"InvTableSize": 512}}}, "HLSConfig.LayerName.out.InvTableSize"),
    ],
)
def test_keys_that_ask_for_too_much_are_refused(config: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve(NETWORK, config)
    assert refused.value.where.removeprefix("HLSConfig.") == where.removeprefix("HLSConfig.")
    assert str(refused.value.remedy) == "leave the key out"


def test_harmless_values_of_other_tools_need_no_note_and_others_get_one() -> None:
    known = {**PROJECT_INERT, **WRITER_INERT, **MODEL_INERT}
    assert all(re.fullmatch(r"[a-zA-Z0-9].{9,}", inert.why) for inert in (*known.values(), *LAYER_INERT.values()))
    for key, inert in known.items():
        for value in inert.harmless:
            assert idle_of({key: value}) == (), key
        if inert.refused:
            with pytest.raises(ConfigError, match=key):
                idle_of({key: "something else"})
        else:
            (note,) = idle_of({key: "something else"})
            assert (note.key, note.why) == (key, inert.why)
    assert not LAYER_INERT["Static"].accepts(False) and LAYER_INERT["TargetCycles"].accepts(None)
    assert not MODEL_INERT["PipelineInterval"].accepts(True)  # which equals 1


def test_the_page_tells_which_values_are_harmless() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([^|;]*)\|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {
        key: yaml.safe_load(f"[{values.replace('`', '')}]") for keys, values in rows for key in re.findall(r"\w+", keys)
    }
    for key, inert in {**MODEL_INERT, **LAYER_INERT}.items():
        assert sorted(told[key] if inert.harmless else told.get(key, []), key=str) == sorted(inert.harmless, key=str), (
            key
        )


WRITTEN = {
    "namespace": (None,),
    "write_emulation_constants": (False, True),
    "tb_output_stream": ("both", "stdout", "file"),
    "hyperopt_handshake": (False,),
    "fifo": (None,),
    "smarthls_path": (None,),
    "project_dir": (None,),
    "output_data_tb": (None,),
}
"""What hls4ml 1.3 takes if nothing is said, and all choices that do not change what a circuit computes."""


@pytest.mark.parametrize("key", WRITTEN)
def test_defaults_and_choices_of_what_is_written_need_no_note(key: str) -> None:
    for value in (*WRITTEN[key], "something else"):
        assert (idle_of({key: value}) == ()) is (value in WRITTEN[key]), value


@pytest.mark.parametrize("period_ns", [1e6, 1e-3])
def test_clock_periods_have_a_greatest(period_ns: float) -> None:
    assert read_project({"ClockPeriod": period_ns}).clock_period_ns == period_ns
    assert read_project({"ClockPeriod": f"{period_ns:f} ns"}).clock_period_ns == period_ns
    assert read_project({"ClockPeriod": f"{period_ns:f}"}).clock_period_ns == period_ns
    assert read_project({"ClockPeriod": f"{1000 / period_ns:f}MHz"}).clock_period_ns == pytest.approx(period_ns)
    with pytest.raises(ConfigError, match="at most 1e"):
        read_project({"ClockPeriod": 1e6 + 1})


def test_parts_belong_to_the_layer_of_their_name_and_source() -> None:
    """A part without its layer beside it, or of a layer of another kind, is one of its own."""
    named = {
        "a": "SeparableConv2D",
        "a_depthwise": "SeparableConv2D",
        "b_depthwise": "SeparableConv2D",
        "c": "Conv2D",
        "c_depthwise": "SeparableConv2D",
        "d_forward": "Bidirectional",
        "d": "Bidirectional",
        "d_backward": "Bidirectional",
        "e_other": "Bidirectional",
        "e": "Bidirectional",
        "depthwise": "SeparableConv2D",
    }
    nodes = [NetworkNode(name, ReLU(), (), source) for name, source in named.items()]
    assert owners(nodes) == {
        "a_depthwise": ("a", "depthwise"),
        "d_forward": ("d", "forward"),
        "d_backward": ("d", "backward"),
    }


def test_an_entry_of_a_layer_becomes_that_of_its_part() -> None:
    formats: dict[str, FixedFormat | None] = {
        name: FixedFormat(True, 8 + k, 2)
        for k, name in enumerate(("result", "weight", "bias", "depthwise", "depthwise_result", "forward_weight"))
    }
    choices = Choices(precision=formats)
    depthwise, forward = (of_part(choices, part).precision for part in ("depthwise", "forward"))
    assert depthwise == {"weight": formats["depthwise"], "bias": formats["bias"], "result": formats["depthwise_result"]}
    assert forward == {"weight": formats["forward_weight"], "bias": formats["bias"]}


def test_other_names_of_variables_give_way_to_the_layers_own() -> None:
    one, other = FixedFormat(True, 8, 2), FixedFormat(True, 9, 3)

    def after(precision: dict[str, FixedFormat | None], *variables: str) -> dict[str, FixedFormat | None]:
        return dict(with_aliases(Choices(precision=precision), variables).precision)

    assert after({"pointwise": one}, "weight") == {"weight": one}
    assert after({"pointwise": one, "weight": None}, "weight") == {"weight": one}
    assert after({"pointwise": one, "weight": other}, "weight") == {"pointwise": one, "weight": other}
    assert after({"pointwise": one}, "scale") == {"pointwise": one}
    assert after({"pointwise_accum": one, "embeddings": other}, "accum", "weight") == {"accum": one, "weight": other}
