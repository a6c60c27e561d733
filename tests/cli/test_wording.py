"""Remedies as Python has them and in the words of the command line, and that both have all that remedies name."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import bitsmith
from bitsmith.cli.commands import app
from bitsmith.cli.wording import in_shell, worded
from bitsmith.errors import BitsmithError, ConfigError, ConfigProblemsError, nearest
from bitsmith.errors.remedies import OPEN, Call, Remedy, build, convert, given, predict, remedy, write
from bitsmith.options.building import BuildOptions
from bitsmith.options.table import Further

_SOURCE = Path(bitsmith.__file__).parent
_MODULE = "bitsmith.errors.remedies"


@pytest.mark.parametrize(
    ("call", "python", "shell"),
    [
        (given(calibration=OPEN), "calibration=...", "--calibration FILE.npy"),
        (given(cosim=False, csim=False), "cosim=False, csim=False", "--no-cosim --no-csim"),
        (given(part="LFE5U-85F"), "part='LFE5U-85F'", "--part LFE5U-85F"),
        (given(pnr=False), "pnr=False", "no --pnr"),
        (given(clock_period=OPEN), "clock_period=...", "--clock-period ..."),
        (given(config={"Model": {"Bits": 8}}), 'config={"Model": {"Bits": 8}}', "--set Model.Bits=8"),
        (
            given(config={"LayerName": {"a": {"ReuseFactor": 4}}}, io_type="io_stream"),
            'config={"LayerName": {"a": {"ReuseFactor": 4}}}, io_type=\'io_stream\'',
            "--set LayerName.a.ReuseFactor=4 --io-type io_stream",
        ),
        (build(), "build()", "bitsmith build DIR"),
        (build(force=True), "build(force=True)", "bitsmith build DIR --force"),
        (convert(fit=True), "convert(..., fit=True)", "bitsmith convert FILE --fit"),
        (predict(), "predict()", "bitsmith predict"),
        (write(), "write()", "bitsmith write DIR"),
    ],
)
def test_calls(call: Call, python: str, shell: str) -> None:
    assert str(remedy(call)) == python
    assert in_shell(call) == shell


def test_a_remedy_is_text_and_calls() -> None:
    inner = remedy("give ", given(bits=8))
    whole = remedy(inner, ", or ", build(fit=True))
    assert whole == Remedy(("give ", given(bits=8), ", or ", build(fit=True)))
    assert str(whole) == "give bits=8, or build(fit=True)"
    assert worded(whole) == "give --bits 8, or bitsmith build DIR --fit"
    assert worded("retrain it") == "retrain it"


def test_an_error_is_told_in_the_words_of_its_reader() -> None:
    error = BitsmithError("too large", where="fc1", accepted="less", remedy=remedy("take ", given(bits=8)))
    assert str(error) == "fc1: too large\n  accepted: less\n  what to do: take bits=8"
    assert error.told(worded) == "fc1: too large\n  accepted: less\n  what to do: take --bits 8"


def test_several_errors_are_too() -> None:
    errors = [ConfigError("a"), ConfigError("b", remedy=remedy(given(bits=8)))]
    several = ConfigProblemsError("2 problems", errors, most=5)
    assert str(several) == "2 problems\n- a\n- b\n    what to do: bits=8"
    assert several.told(worded) == "2 problems\n- a\n- b\n    what to do: --bits 8"
    assert str(ConfigProblemsError("2 problems", errors, most=1)) == "2 problems\n- a\n- and 1 more"


@pytest.mark.parametrize(
    ("found", "names", "most", "told"),
    [
        ("", "b a", 2, "b, a"),
        ("", "b a b", 1, "b and 1 more"),
        ("kernel", "bias kernels Kernel shape", 9, "Kernel, kernels, bias, shape"),
        ("ab", "zz zb yy", 2, "zb, zz and 1 more"),  # half of the letters
        ("abc", "zz zbyx yy", 9, "zz, zbyx, yy"),
        ("abcd wxyz", "y wxy abc", 2, "wxy, abc and 1 more"),
    ],
)
def test_names_like_those_that_were_found_come_first(found: str, names: str, most: int, told: str) -> None:
    assert nearest(found.split(), names.split(), most) == told


def _calls() -> Iterator[tuple[str, str]]:
    """Function and argument of all calls in remedies."""
    for path in sorted(_SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == _MODULE]
        names = {name.name for node in imports for name in node.names} & {"given", "convert", "build", "predict"}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield from ((node.func.id, keyword.arg or "") for keyword in node.keywords)


@pytest.mark.slow
@pytest.mark.ci
def test_all_that_remedies_name_exists_for_both_readers() -> None:
    root = typer.main.get_group(app)
    options = {
        name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in root.commands.items()
    }
    python = {
        "convert": {*inspect.signature(bitsmith.convert).parameters, *Further.__annotations__},
        "build": {*BuildOptions.__annotations__},
    }
    asked = set(_calls())
    assert ("given", "calibration") in asked and ("build", "force") in asked
    for function, argument in asked - {("given", "config"), ("convert", "config")}:
        functions = ["convert", "build"] if function == "given" else [function]
        option = in_shell(given(**{argument: OPEN})).split()[0]
        assert any(argument in python[name] for name in functions), argument
        assert any(option in options[name] for name in functions), option
