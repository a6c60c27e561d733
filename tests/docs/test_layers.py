"""The page of layers is what the code says, and what it says of executions holds for compiled C++ and simulated RTL too."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest

from bitsmith.errors import UnsupportedError
from bitsmith.ir.builder import ProgramBuilder
from bitsmith.ir.types import FixedFormat, Overflow, Rounding, objects
from bitsmith.layers.network import Network, NetworkNode
from bitsmith.layers.table import LAYERS
from generate.layers import FRONTENDS, Frontend, examples, executions, frontend_section, network, page
from generate.refusals import limits
from tests.layers.agreement import assert_compiled, assert_simulated

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"
MOST = 7


@pytest.mark.slow
@pytest.mark.ci
def test_page_is_what_the_code_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "renew it: make docs"


@pytest.mark.parametrize("frontend", FRONTENDS, ids=lambda frontend: frontend.name)
def test_page_has_what_readers_refuse(frontend: Frontend) -> None:
    """The part of the page that each change of a reader makes stale is checked among the fast tests."""
    assert frontend_section(frontend) in PAGE.read_text(encoding="utf-8"), "renew it: make docs"


def test_every_layer_has_one_example_and_runs_everywhere() -> None:
    names = [type(example.layer).__name__ for example in examples().values()]
    assert sorted(names) == list(LAYERS)
    section = PAGE.read_text(encoding="utf-8").partition("## Layers of bitsmith\n")[2]
    assert re.findall(r'class="layer">(?:<summary>)?<code>(\w+)</code>', section) == list(LAYERS)
    assert not re.search(r"; (emulator|HLS C\+\+|RTL): no", section)


def test_page_has_a_line_for_every_name() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for frontend in FRONTENDS:
        section = page.partition(f"## {frontend.name}\n")[2].partition("\n## ")[0]
        lines = re.findall(r'class="layer">(?:<summary>)?<code>([^<]+)</code> becomes', section)
        assert lines == [escape(name) for name in frontend.translations]


def test_translations_name_layers_that_exist() -> None:
    known = {*LAYERS, "the wrapped layer"}
    nothing = ("a constant", "the branch that a constant condition chooses")
    for frontend in FRONTENDS:
        for name, translation in frontend.translations.items():
            named = re.findall(r"\b[A-Z]\w+", translation.becomes)
            assert (named or translation.becomes in nothing) and set(named) <= known, (
                f"{name} becomes {translation.becomes}"
            )


def test_what_does_not_run_is_said_with_its_reason() -> None:
    build = ProgramBuilder()
    x = build.input("x", (2,), FixedFormat(True, 6, 2))
    y = build.cast_to(x, np.zeros(2, dtype=np.int64), objects([-1, -1]), objects([1, 1]), Rounding.TRN, Overflow.WRAP)
    ways = executions(build.program([("y", y)]))
    assert ways == {
        "emulator": "yes",
        "HLS C++": "no: a cast that wraps in a range that is not that of a number format",
        "RTL": "yes",
    }


def _inner(size: int) -> None:
    if size > MOST:
        raise UnsupportedError(f"{size} things", accepted=f"at most {MOST}")
    if size < 0:
        raise UnsupportedError("contradictory things")


class _Caller:
    """Calls nothing else."""

    def check(self, size: int) -> None:
        raise UnsupportedError("nothing", accepted=f"one of {', '.join(NAMES)}", where=str(size))


NAMES = ("a", "b")


def test_limits_are_read_from_what_a_function_calls() -> None:
    def outer(caller: _Caller) -> None:
        for call in (_inner, caller.check):
            call(1)

    assert limits(_inner, __name__) == ("… things; accepted: at most 7",)
    assert limits(outer, __name__) == limits(_inner, __name__)
    assert set(limits(outer, __name__, _Caller)) == {*limits(_inner, __name__), "nothing; accepted: one of a, b"}
    assert limits(outer, "elsewhere") == ()


def test_limits_of_known_names_are_found() -> None:
    (keras,) = [frontend for frontend in FRONTENDS if frontend.name == "Keras"]
    read = keras.translations
    for name, text in (
        ("Dot", "Dot of … operands over the axes …; accepted: one axis of each of two"),
        ("Dense", ", celu, elu, "),
        ("Softmax", "the axes …; accepted: one axis"),
        ("Resizing", "pad_to_aspect_ratio; accepted: images that are stretched or cropped"),
    ):
        found = limits(read[name].read, "bitsmith.frontends", keras.call)
        assert any(text in sentence for sentence in found), name
    assert limits(read["Flatten"].read, "bitsmith.frontends", keras.call) == ()


@pytest.mark.ci
@pytest.mark.slow
def test_cpp_of_all_examples_computes_what_the_emulator_does(tmp_path: Path) -> None:
    assert_compiled({type(example.layer).__name__: network(example) for example in examples().values()}, tmp_path)


@pytest.mark.ci
@pytest.mark.slow
def test_rtl_of_all_examples_computes_what_the_emulator_does(tmp_path: Path) -> None:
    nodes: list[NetworkNode] = []
    inputs: list[str] = []
    outputs: list[str] = []
    for number, example in enumerate(examples().values()):
        small = network(example)
        for node in small.nodes:
            operands = tuple(f"{name}_{number}" for name in node.inputs)
            nodes.append(replace(node, name=f"{node.name}_{number}", inputs=operands))
        inputs += [f"{name}_{number}" for name in small.inputs]
        outputs += [f"{name}_{number}" for name in small.outputs]
    assert_simulated(Network(tuple(nodes), tuple(inputs), tuple(outputs)), tmp_path, samples=50)
