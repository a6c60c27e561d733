"""The tour is what the code prints, and what it shows as text means the same when it is read back."""

import re
from pathlib import Path

import numpy as np

from bitsmith.dataflow.execute import execute
from bitsmith.dataflow.text import parse as parse_dataflow
from bitsmith.emulate import Emulator
from bitsmith.ir.text import parse as parse_program
from bitsmith.netlist.evaluate import evaluate as evaluate_netlist
from bitsmith.netlist.text import parse as parse_netlist
from generate.tour import page
from tests.netlist.checks import compiled

PAGE = Path(__file__).parents[2] / "docs" / "tour.md"
RAW = [12, -2, 6]


def _text(heading: str) -> str:
    found = re.search(
        rf"^## \d\. {heading}\n.*?^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]


@compiled
def test_page_is_what_the_code_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "renew it: make docs"


def test_all_levels_compute_the_same() -> None:
    (wanted,) = Emulator(parse_program(_text("The program"))).run_raw([np.array([RAW])])
    assert evaluate_netlist(parse_netlist(_text("The netlist")), RAW) == wanted[0].tolist()
    (tokens,) = execute(parse_dataflow(_text("Or a network of processes")), [np.array(RAW, dtype=np.object_)])
    assert tokens.ravel().tolist() == wanted[0].tolist()
