"""Formulas: what texts and expressions of sympy mean, where they are not defined, and how exact their circuits are."""

from __future__ import annotations

import math
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from tests.frontends.formulas import drawn, exactly, points

import bitsmith
from bitsmith import converters
from bitsmith.errors import ApproximateError, BitsmithError, ConfigError, ModelFileError, RangeError, UnsupportedError
from bitsmith.frontends.formulas.expression import names_of
from bitsmith.frontends.formulas.framework import Formulas, formulas_of
from bitsmith.frontends.formulas.functions import FUNCTIONS
from bitsmith.frontends.formulas.parse import parse_formula
from bitsmith.frontends.formulas.read import ranges, read_formulas
from bitsmith.frontends.formulas.spellings import called
from bitsmith.frontends.formulas.symbolic import by_sympy, evaluated
from bitsmith.frontends.frameworks import framework_of

X = np.random.default_rng(0).uniform(0.2, 0.9, (50, 2))
x, y = X.T

TEXTS = {
    "x + 2*y - 3": x + 2 * y - 3,
    "-x^2": -(x**2),
    "2.5f0 * x₁ + 1e-3*x₂": 2.5 * x + 1e-3 * y,
    "x ** -1.5 / y": x**-1.5 / y,
    "square(x) + cube(y) * inv(x) - neg(y)": x**2 + y**3 / x + y,
    "safe_log(x) + log2(y) + log10(x) + log1p(y) + log(x, 3)": np.log(x)
    + np.log2(y)
    + np.log10(x)
    + np.log1p(y)
    + np.log(x) / np.log(3),
    "exp(x) * exp2(y) - expm1(x)": np.exp(x) * 2**y - np.expm1(x),
    "sin(x) + cos(y) * tan(x)": np.sin(x) + np.cos(y) * np.tan(x),
    "asin(x) + acos(y) + atan(x) + atan2(y, x)": np.arcsin(x) + np.arccos(y) + np.arctan(x) + np.arctan2(y, x),
    "sinh(x) + cosh(y) + tanh(x) + asinh(y)": np.sinh(x) + np.cosh(y) + np.tanh(x) + np.arcsinh(y),
    "acosh(1 + x) + atanh(y) + cbrt(x)": np.arccosh(1 + x) + np.arctanh(y) + np.cbrt(x),
    "max(x, y, 0.5) - min(x, y) + clip(x, 0.4, 0.5)": np.maximum(np.maximum(x, y), 0.5)
    - np.minimum(x, y)
    + np.clip(x, 0.4, 0.5),
    "x if x > y else y^2": np.where(x > y, x, y**2),
    "cond(x - 0.5, y) + greater(x, y)": np.where(x > 0.5, y, 0) + (x > y),
    "(x < 0.5 && y >= 0.5) + logical_or(x - 0.5, y - 0.7)": 1.0 * ((x < 0.5) & (y >= 0.5)) + ((x > 0.5) | (y > 0.7)),
    "floor(4*x) + ceil(3*y) + round(5*x) + sign(x - y) + mod(x, 0.3)": np.floor(4 * x)
    + np.ceil(3 * y)
    + np.rint(5 * x)
    + np.sign(x - y)
    + x % 0.3,
    "sqrt(hypot(x, y)) + abs(x - y) * relu(x - y)": np.sqrt(np.hypot(x, y)) + np.abs(x - y) * np.maximum(x - y, 0),
    "2^x + x^y + pow_abs(x - y, 2.0) + sin_lut(pi*x)": 2**x + x**y + (x - y) ** 2 + np.sin(np.pi * x),
    "x*x*x - (x*x)*y": x**3 - x**2 * y,
    "2*2*x + 1.5*y*1.5*y*1.5 - sin(3*3)": 4 * x + 1.5**3 * y**2 - np.sin(9),
}


@pytest.mark.parametrize("text", TEXTS)
def test_texts_mean_what_they_say(text: str) -> None:
    expression = parse_formula(text)
    names = names_of(expression)
    assert len(names) <= 2
    columns = X if len(names) == 2 else X[:, :1]
    np.testing.assert_allclose(evaluated([expression], names, columns)[:, 0], TEXTS[text], rtol=1e-9)


def text_of(rng: random.Random, depth: int) -> str:
    """A text as people write it, with numbers that are often equal, whose meaning for Python is the same."""
    if depth == 0:
        return rng.choice(["x", "y", "2", "2", "0.5", "3", "-1.5"])
    operands = [f"({text_of(rng, depth - 1)})" if rng.random() < 0.5 else text_of(rng, depth - 1) for _ in range(3)]
    kind = rng.choice(["+", "-", "*", "*", "/", "**", "sin", "max", "if"])
    if kind.isidentifier():
        first, second, third = operands
        kinds = {"sin": f"sin({first})", "max": f"max({first}, {second}, {third})"}
        return kinds.get(kind, f"({first} if {second} < {third} else {third})")
    return f"{operands[0]}**{rng.choice('123')}" if kind == "**" else f" {kind} ".join(operands[: rng.choice([2, 3])])


@pytest.mark.parametrize("seed", range(4))
def test_random_texts_mean_what_they_say(seed: int) -> None:
    rng = random.Random(seed)
    for text in (text_of(rng, rng.choice([1, 2, 3])) for _ in range(60)):
        try:
            wanted = [eval(text, {"x": a, "y": b, "sin": math.sin, "max": max}) for a, b in X[:8]]
        except ZeroDivisionError:
            continue
        found = evaluated([parse_formula(text)], ("x", "y"), X[:8])[:, 0]
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9, err_msg=text)


def test_the_layers_of_texts_compute_what_they_say() -> None:
    texts = list(TEXTS)
    formulas = [text.replace("₁", "").replace("x₂", "y") for text in texts]
    network = framework_of(formulas).read(formulas, bitsmith.frontends.framework.ReadOptions())
    found = network.evaluate([X])[network.outputs[0]]
    np.testing.assert_allclose(found, np.stack(list(TEXTS.values()), -1), rtol=1e-6, atol=1e-9)


SYMPY = [
    "x/y + 1/(x**2*y) - y**(-1/2)",
    "Piecewise((x, x > y), (y**2, x < 0.3), (sin(x*y), True))",
    "Max(x, y, 0.5)*Min(x, 0.4) + Heaviside(x - 0.5) + Mod(x, 0.3)",
    "log(x, 10) + exp(-y) + atan2(y, x) + sqrt(x) + cbrt(y) + pi*E",
    "Abs(x - y)*sign(x - y) + ceiling(3*x) + floor(2*y) + erf(x) + acosh(1 + x)",
    "(x + y)**3*(x - y)**-2",
]


@pytest.mark.parametrize("text", SYMPY)
def test_expressions_of_sympy_are_read_as_sympy_computes_them(text: str) -> None:
    symbols = {"x": sympy.Symbol("x"), "y": sympy.Symbol("y")}
    formulas = formulas_of(sympy.sympify(text, locals=symbols))
    found = evaluated(formulas.expressions(), ["x", "y"], X)
    np.testing.assert_allclose(found, by_sympy(formulas.sources, ["x", "y"], X), rtol=1e-9)


HOSTILE = [
    "__import__('os').system('x')",
    "x.__class__",
    "(lambda: x)()",
    "[x for x in y]",
    "f'{x}'",
    "x[0]",
    "exec(x)",
    "open(x)",
    "x := 1",
    "1e999*x",
    "9**9**9**9",
    "x + 1j",
    "sin(x=1)",
    "sin()",
    "sin(x, y)",
    "x < y < 1",
    "log(x, 1)",
    "(" * 500 + "x" + ")" * 500,
    "-" * 5000 + "x",
    "+".join("x" * 6000),
    "x +",
    "\0x + 1",
    "import os",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_other_texts_are_rejected_and_execute_nothing(text: str) -> None:
    with pytest.raises(BitsmithError) as caught:
        bitsmith.convert([text])
    assert len(str(caught.value)) < 2000


def test_functions_that_are_not_known_are_named_with_those_that_are() -> None:
    with pytest.raises(UnsupportedError, match="the function 'zeta'") as caught:
        called("zeta", [], "here")
    assert "square" in caught.value.accepted
    assert all(name.isidentifier() for name in caught.value.accepted.split(", "))


@pytest.mark.parametrize(
    ("base", "exponent", "wanted"),
    [
        ((0.0, 2.0), (0.0, 1.5), True),
        ((0.5, 2.0), (-1.5, 1.5), True),
        ((0.0, 2.0), (-0.5, 1.5), False),
        ((-1.0, 2.0), (0.0, 1.5), False),
        ((-1.0, 2.0), (2.0, 2.0), True),
        ((-1.0, 2.0), (-2.0, -2.0), False),
        ((-2.0, -1.0), (-2.0, -2.0), True),
    ],
)
def test_powers_are_defined_of_bases_from_0_on_and_of_whole_exponents(
    base: tuple[float, float], exponent: tuple[float, float], wanted: bool
) -> None:
    domain = FUNCTIONS["^"].domain
    assert domain is not None
    spans = [(np.array([low]), np.array([high])) for low, high in (base, exponent)]
    assert domain.holds(*spans).tolist() == [wanted]


def test_tangents_are_defined_where_cosines_have_one_sign() -> None:
    domain = FUNCTIONS["tan"].domain
    assert domain is not None
    low, high = np.sort(np.random.default_rng(0).uniform(-6.0, 6.0, (2, 200)), axis=0)
    cosines = np.cos(np.linspace(low, high, 5001))
    wanted = (cosines > 0).all(axis=0) | (cosines < 0).all(axis=0)
    assert 20 < wanted.sum() < 180
    np.testing.assert_array_equal(domain.holds((low, high)), wanted)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_ranges_hold_all_values(name: str) -> None:
    count = max(FUNCTIONS[name].operands[0], 2 if FUNCTIONS[name].operands[1] > 2 else 1)
    names = [f"x{number}" for number in range(count)]
    rng = np.random.default_rng(1)
    for low, high in ((-0.9, 0.8), (0.1, 0.7), (1.0, 1.5), (-4.0, 4.0)):
        expression = called(name, [parse_formula(each) for each in names], name)
        points = rng.uniform(low, high, (500, count))
        points[:20] = rng.choice([low, high], (20, count))
        values = evaluated([expression], names, points)[:, 0]
        least, most = ranges([expression], dict.fromkeys(names, (low, high)))[expression]
        values = values[np.isfinite(values)]
        assert values.size == 0 or (values.min() >= least.min() - 1e-9 and values.max() <= most.max() + 1e-9)


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items() if function.operands == (1, 1)])
def test_ranges_of_functions_of_one_number_are_as_narrow_as_their_values(name: str) -> None:
    """Of random intervals where the function is defined, those without a pole."""
    function, rng = FUNCTIONS[name], np.random.default_rng(2)
    low = rng.uniform(-8.0, 8.0, 400)
    low, high = low, low + rng.choice([0.0, 0.25, 1.0, 4.0, 9.0], 400)
    low[::4], high[::4] = np.sort(rng.uniform(-1.0, 1.0, (2, 100)), axis=0)
    if function.domain is not None:
        within = function.domain.holds((low, high))
        low, high = low[within], high[within]
    points = np.linspace(low, high, 4001)
    with np.errstate(all="ignore"):
        values, steepest = function.value(points), np.abs(np.diff(function.value(points), axis=0)).max(axis=0)
        least, most = function.span((low, high))
    assert low.size > 20
    near = np.minimum(steepest, 1e-2 * (values.max(axis=0) - values.min(axis=0))) + 1e-9
    for bound, value in ((least, values.min(axis=0)), (most, values.max(axis=0))):
        assert (np.abs(bound - value) <= near)[np.isfinite(value)].all()


UNDEFINED = {
    "log(x - y)": "numbers above 0",
    "1 / (x - 0.5)": "divisors other than 0",
    "sqrt(x - 1)": "0 and more",
    "acos(2*x)": "numbers from -1 to 1",
    "tan(2*x)": "poles",
    "(x - 0.5)^y": "bases above 0",
    "atanh(x)": "between -1 and 1",
}


@pytest.mark.parametrize("text", UNDEFINED)
def test_functions_are_rejected_where_they_are_not_defined(text: str) -> None:
    with pytest.raises(ApproximateError, match=UNDEFINED[text]) as caught:
        bitsmith.convert([text], inputs={"x": (0, 1), "y": (0, 1)})
    assert "may be from" in str(caught.value)


@pytest.mark.parametrize(
    ("count", "said"), [(0, ""), (1, "where log(x0) is"), (4, "log(x3) is"), (5, "log(x3), ... is")]
)
def test_functions_that_may_not_be_defined_are_listed(count: int, said: str) -> None:
    text = "x0" + "".join(f" + log(x{number})" for number in range(count))
    notes = [
        note
        for note in read_formulas([parse_formula(text)], None, allow_approximate=False).notes
        if "No ranges of inputs" in note
    ]
    assert [said in note for note in notes] == [True] * (count > 0)


def test_the_nearest_number_is_taken_where_that_is_allowed(tmp_path: Path) -> None:
    model = bitsmith.convert("log(x*4) + 1", tmp_path, inputs={"x": (-1, 1)}, allow_approximate=True, check=False)
    assert any("nearest number is taken" in note and "log" in note for note in model.notes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.predict([[-0.5], [0.0], [1.0]]).ravel()
    assert found[0] == found[1] < -7
    assert abs(found[2] - np.log(4) - 1) < 1e-3


def test_ranges_of_parts_that_depend_on_each_other_are_narrow() -> None:
    for text in ("sqrt(x^2 - 2*x + 1.1)", "log(x - x^2 + 0.01)", "1 / (x*y - x - y + 3)"):
        assert bitsmith.convert([text], inputs={"x": (0, 1), "y": (0, 1)}).notes


def test_inputs_have_the_order_and_the_ranges_that_are_given(tmp_path: Path) -> None:
    model = bitsmith.convert("10*b + a", tmp_path, inputs={"c": (0, 1), "b": (-2, 2), "a": (100, 101)})
    assert "Elements of 'inputs': c, b, a." in model.notes
    port = model.program.input_ops()[0]
    np.testing.assert_array_equal(np.ldexp(port.lo.astype(float), -port.frac).ravel(), [0, -2, 100])
    np.testing.assert_array_equal(np.ldexp(port.hi.astype(float), -port.frac).ravel(), [1, 2, 101])
    np.testing.assert_allclose(model.predict([[0.5, 1.5, 100.5], [9, 9, 9]]).ravel(), [115.5, 120], atol=0.01)
    saved = tmp_path / "model.json"
    model.save(saved)
    assert np.array_equal(converters.load_saved_model(saved).predict([[0, 1, 100]]), model.predict([[0, 1, 100]]))


def test_energy_may_be_an_input_and_pi_is_a_number_unless_it_is_one() -> None:
    assert names_of(parse_formula("E*pi + x10 + x2")) == ("E", "x2", "x10")
    assert names_of(parse_formula("E*pi", ["pi", "E"])) == ("E", "pi")


WRONG_INPUTS = [["x", "x"], [], ["y"], {"x": (1, 0)}, {"x": 3}, {"x": (0, float("inf"))}, {"x": ("a", "b")}, [1], "x"]


@pytest.mark.parametrize("inputs", WRONG_INPUTS, ids=range(len(WRONG_INPUTS)))
def test_inputs_without_meaning_are_rejected(inputs: object) -> None:
    with pytest.raises(ConfigError) as caught:
        bitsmith.convert("x + 1", inputs=inputs)  # type: ignore[arg-type]
    assert "nputs" in str(caught.value)


def test_inputs_are_for_formulas_alone() -> None:
    with pytest.raises(ConfigError, match="a model that has inputs of its own"):
        bitsmith.convert("model.onnx", inputs=["x", "y"])


def test_paths_are_no_formulas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("a/b", "net-v2", "model.onnx", "missing.keras"):
        with pytest.raises(ModelFileError):
            bitsmith.convert(path)
    Path("x+y").write_text("a file")
    with pytest.raises(ModelFileError):
        bitsmith.convert("x+y")


TABLE = """Complexity,Loss,Equation
1,0.91,x0
4,0.052,"square(x0) + x1"
9,0.0498,"square(x0) + (x1 * 1.002)"
"""


def test_of_a_table_the_row_that_pysr_calls_best_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "hall_of_fame.csv"
    path.write_text(TABLE)
    assert formulas_of(path).sources == ["square(x0) + x1"]
    model = bitsmith.convert(path, tmp_path / "out", inputs={"x0": (-1, 1), "x1": (-1, 1)})
    assert any(note.startswith("Row 2 of 3 equations") for note in model.notes)
    assert abs(model.predict([[0.5, 0.25]]).item() - 0.5) < 1e-3
    project = {"FormulaModel": str(path), "Inputs": {"x0": [-1, 1], "x1": [-1, 1]}, "OutputDir": str(tmp_path / "out")}
    assert converters.convert_from_config(project).predict([[0.5, 0.25]]) == model.predict([[0.5, 0.25]])
    for broken in ("a,b\n1,2\n", "", TABLE.replace("0.052", "much"), "Complexity,Loss,Equation\n1,2,3,4\n1\n"):
        path.write_text(broken)
        with pytest.raises(BitsmithError):
            bitsmith.convert(path)


def test_a_regressor_of_pysr_gives_its_expressions() -> None:
    kind = type("PySRRegressor", (), {"__module__": "pysr.sr", "sympy": lambda self: [sympy.Symbol("x0") ** 2]})
    assert framework_of(kind()).name == "formulas"
    assert formulas_of(kind()).expressions() == [parse_formula("x0^2")]
    for other in (type("Report", (), {"sympy": kind.sympy}), type("Report", (), {"__module__": "pysr.sr"})):
        with pytest.raises(BitsmithError, match="Report"):
            framework_of(other())


def test_the_familiar_function_takes_symbols_and_functions_by_name(tmp_path: Path) -> None:
    luts = {"wave": {"math_func": "sin", "table_size": 1024, "range_start": -4, "range_end": 4}}
    convert = converters.convert_from_symbolic_expression
    model = convert(["wave(x0) + 0.5*x2"], lut_functions=luts, output_dir=tmp_path, precision="ap_fixed<18,4>")
    assert model.network.shapes()["inputs"] == (3,)
    assert str(model.network.node("sin").settings.precision["result"]).startswith("fixed<18,4")
    assert abs(model.predict([[0.5, 3, 1]]).item() - np.sin(0.5) - 0.5) < 1e-3
    wrapping = convert({sympy.Symbol("x0") + 1}, n_symbols=2, output_dir=tmp_path)
    assert wrapping.network.shapes()["inputs"] == (2,)
    assert str(wrapping.network.node("inputs").settings.precision["result"]) == "fixed<16,6>"
    ranged = convert(sympy.Symbol("pt") + 1, inputs={"pt": (0, 1)}, output_dir=tmp_path)
    assert not ranged.network.node("inputs").settings.precision


def test_formulas_without_inputs_are_rejected() -> None:
    for formulas in (["1 + 2"], [sympy.Integer(3)], Formulas([])):
        with pytest.raises(BitsmithError):
            bitsmith.convert(formulas)


def judged(seed: int, folder: Path, count: int, **options: Any) -> str:
    """Compare a random formula's circuit with sympy; the reason if it was rejected, or has no bound."""
    formula, bounds = drawn(seed)
    try:
        model = bitsmith.convert(formula, folder, inputs=bounds, **options)
    except (ApproximateError, RangeError) as error:
        return str(error)
    if options and not model.fidelity.bounds:
        return "no bound"
    inputs = points(bounds, seed, count)
    wanted = exactly(formula, list(bounds), inputs)
    error = np.abs(model.predict(inputs).ravel() - wanted)
    (bound,) = model.fidelity.bounds
    beyond = error > bound.errors[0]
    assert not beyond.any() or bound.jumps, (formula, bounds, error.max(), bound)
    assert beyond.mean() < 0.02 and error.max() <= bound.jumping[0], (formula, bounds, beyond.sum(), bound)
    return ""


@pytest.mark.parametrize("seed", range(3))
def test_errors_of_random_formulas_are_within_the_bounds_of_certificates(seed: int, tmp_path: Path) -> None:
    assert not judged(seed, tmp_path, 100)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 320, 40))
def test_errors_of_many_random_formulas_are_within_the_bounds_of_certificates(first: int, tmp_path: Path) -> None:
    rejected = [reason for seed in range(first, first + 40) if (reason := judged(seed, tmp_path, 500))]
    assert len(rejected) <= 2, rejected


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.filterwarnings("ignore")  # of steps that are coarse on purpose
@pytest.mark.parametrize("first", range(0, 60, 20))
def test_errors_with_coarse_formats_are_within_the_bounds_of_certificates(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 20):
        rng = random.Random(seed)
        formats = {"result": f"fixed<{rng.randint(6, 12)},4,{rng.choice(['RND', 'TRN'])},SAT>"}
        config = {"LayerType": {"Input": {"Precision": formats}}}
        judged(seed, tmp_path, 500, bits=rng.choice([8, 12, 16]), config=config)


SIMULATED = [
    "sin(x)*y^2 + exp(-x)/(1 + y^2)",
    "sqrt(x^2 + y^2) + atan2(y, x)",
    "(x if x > y else floor(3*y)) + log1p(abs(x*y)) + acos(tanh(x))",
]


@pytest.mark.slow
@pytest.mark.ci
def test_circuits_of_formulas_simulate(tmp_path: Path) -> None:
    model = bitsmith.convert(SIMULATED, tmp_path, inputs={"x": (-2, 3), "y": (-1, 1)})
    inputs = np.random.default_rng(0).uniform([-2, -1], [3, 1], (300, 2))
    assert model.build(inputs=inputs, synth=False)["Verification"]["Mismatches"] == 0
