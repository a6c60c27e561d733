"""Options: their records, types and fields agree, and a new one needs its record's module alone."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shutil
import subprocess
import sys
import typing
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import UnionType

import numpy as np
import pytest

import bitsmith
from bitsmith.cli.options import FLAGS
from bitsmith.config.reading import named
from bitsmith.config.values import IOType
from bitsmith.conversion import conversion, explanation
from bitsmith.errors import ConfigError
from bitsmith.layers.settings import Outliers, Strategy
from bitsmith.model import Model
from bitsmith.options import table
from bitsmith.options.building import BUILD_OPTIONS, Asked, BuildOptions
from bitsmith.options.option import Option
from bitsmith.options.project import ProjectConfig
from bitsmith.options.signature import answering
from bitsmith.options.table import OPTIONS, Arguments

MODELS = Path(__file__).parents[1] / "src" / "bitsmith" / "data" / "models"

_NAMES = [option.name for option in OPTIONS]


def test_each_option_has_one_record() -> None:
    assert len(set(_NAMES)) == len(_NAMES)
    assert set(Arguments.__annotations__) <= set(_NAMES)
    keys = [option.key.path for option in OPTIONS if option.key is not None]
    assert len(set(keys)) == len(keys)


def test_a_group_of_options_is_a_dictionary() -> None:
    target: Arguments = {"board": "ulx3s-85f", "clock_period": 10.0}
    model = bitsmith.convert(MODELS / "digits.keras", **target, bits=8, check=False)
    assert model.target.board == "ulx3s-85f" and model.target.clock_period_ns == 10.0
    with pytest.raises(TypeError, match="clock_period"):
        bitsmith.convert(MODELS / "digits.keras", **target, clock_period=5.0)  # type: ignore[misc]


def test_an_option_that_is_no_argument_is_a_key() -> None:
    assert [
        option.name for option in OPTIONS if option.name not in Arguments.__annotations__ and option.key is None
    ] == []


@pytest.mark.parametrize("option", [*OPTIONS, *BUILD_OPTIONS], ids=lambda option: option.name)
def test_records_hold_what_they_say(option: Option) -> None:
    """Names as they are typed, a type of what is typed, a word or a list for its values, and sentences for users."""
    assert option.name.isidentifier() and option.doc and isinstance(option.doc, str)
    flag, key = option.flag, getattr(option, "key", None)
    if flag is not None:
        assert isinstance(flag.kind, type)
        assert isinstance(flag.names, tuple) and all(re.fullmatch(r"--?[a-z][a-z-]*", name) for name in flag.names)
        assert flag.values is None or callable(flag.values) or all(isinstance(word, str) for word in flag.values)
        assert flag.read is None or (callable(flag.read) and not isinstance(flag.read, type))
        assert re.fullmatch(r"(?s).+\.", flag.help) and not flag.help.startswith("--")
    if key is not None:
        assert re.fullmatch(r"\w+(\.\w+)*", key.path)
        assert key.read is None or callable(key.read)
        assert key.field == "" or key.field in typing.get_type_hints(ProjectConfig)


def test_fields_of_targets_have_the_defaults_of_their_options() -> None:
    defaults = {option.name: option.default for option in OPTIONS}
    for field in dataclasses.fields(table.Chosen):
        stated = defaults.get(field.name)
        assert getattr(field.default, "value", field.default) == stated, field.name
    assert not table.Chosen().write_tar and not table.Chosen().write_weights_txt
    assert {field.name for field in dataclasses.fields(table.Chosen) if field.default} == {"backend", "io_type"}


def test_what_is_on_where_nothing_is_said() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(ProjectConfig)}
    on = {name for name, value in fields.items() if value and value is not dataclasses.MISSING}
    assert on == {"backend", "io_type", "version"}
    assert {option.name: option.default for option in BUILD_OPTIONS if option.default} == {}


def test_what_projects_do_only_if_told_is_off_in_their_options() -> None:
    keyed = {option.key.field: option.default for option in OPTIONS if option.key is not None}
    fields = [field for field in dataclasses.fields(ProjectConfig) if isinstance(field.default, bool)]
    assert {"override", "allow_approximate", "strict"} <= {field.name for field in fields}
    assert all(field.default is keyed[field.name] is False for field in fields)


def _returned(read: typing.Callable[..., object]) -> set[object]:
    """Types of what a reader of a key returns: for one of names those of what the names mean."""
    if not isinstance(read, partial):
        return {typing.get_type_hints(read)["return"]}
    if read.func is named:
        return {type(meant) for meant in read.keywords["names"].values()}
    return {typing.get_type_hints(read.func)["return"]}


def test_readers_of_keys_give_what_fields_of_projects_hold() -> None:
    fields = typing.get_type_hints(ProjectConfig)
    for option in OPTIONS:
        if option.key is not None and option.key.read is not None:
            field = fields[option.key.field]
            for returned in _returned(option.key.read):
                kinds = typing.get_args(returned) if isinstance(returned, UnionType) else (returned,)
                assert returned == field or {*kinds} <= {*typing.get_args(field)}, option.name


@pytest.mark.parametrize("function", [conversion.convert, explanation.explain])
def test_help_shows_every_option_with_its_default_and_its_meaning(function: typing.Callable[..., object]) -> None:
    signature, text = inspect.signature(function), inspect.getdoc(function) or ""
    assert [name for name in Arguments.__annotations__ if name not in signature.parameters] == []
    for option in OPTIONS:
        if option.name in signature.parameters and option.name != "output_dir":
            assert signature.parameters[option.name].default == option.default, option.name
            assert f"    {option.name}: {option.doc[:20]}" in text
    assert "    options: " not in text and "Raises:" in text


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        ({"precision": "fixed<18,8>"}, {"Precision": "fixed<18,8>"}),
        ({"reuse_factor": 4}, {"ReuseFactor": 4}),
        ({"strategy": "resource", "reuse_factor": 2}, {"Strategy": "Resource", "ReuseFactor": 2}),
        ({"precision": None, "reuse_factor": None, "strategy": None}, {}),
    ],
)
def test_arguments_for_all_layers_are_the_configuration_of_the_model(
    arguments: dict[str, object], config: dict[str, object], tmp_path: Path
) -> None:
    convert: typing.Callable[..., Model] = conversion.convert
    source = MODELS / "digits.keras"
    given, expected = convert(source, tmp_path, **arguments), convert(source, tmp_path, {"Model": config})
    assert str(given) == str(expected) and given.directives == expected.directives
    for name, value in arguments.items():
        if value is not None:
            other = {"Precision": "fixed<9,3>", "ReuseFactor": 7, "Strategy": "Unrolled"}
            with pytest.raises(
                ConfigError, match=r"in the argument, .* in the configuration[\s\S]*keep one of the two"
            ):
                convert(source, tmp_path, {"Model": other}, **{name: value})


def test_options_of_builds_have_one_record() -> None:
    names = [option.name for option in BUILD_OPTIONS]
    assert sorted(names) == sorted(BuildOptions.__annotations__) == sorted(Asked.__dataclass_fields__)
    assert {option.name: option.default for option in BUILD_OPTIONS} == {name: getattr(Asked(), name) for name in names}
    assert typing.get_type_hints(BuildOptions) == typing.get_type_hints(Asked)
    signature, text = inspect.signature(Model.build), inspect.getdoc(Model.build) or ""
    for option in BUILD_OPTIONS:
        assert signature.parameters[option.name].default == option.default
        assert f"    {option.name}: {option.doc[:20]}" in text


def test_words_of_flags_are_the_values_there_are() -> None:
    for name, kind in {"io_type": IOType, "outliers": Outliers, "strategy": Strategy}.items():
        assert FLAGS[name].values == tuple(member.value for member in kind)


_PROBE = """
import importlib.util, inspect, sys
from pathlib import Path

text = Path({path!r}).read_text(encoding="utf-8")
for old, new in {changes!r}:
    assert text.count(old) == 1, old
    text = text.replace(old, old + new)
spec = importlib.util.find_spec("bitsmith.options.table")
module = importlib.util.module_from_spec(spec)
sys.modules["bitsmith.options.table"] = module
exec(compile(text, spec.origin, "exec"), vars(module))

import typer.main
import bitsmith
from bitsmith.building.job import Target, plain_target, read_target
from bitsmith.cli.commands import app
from bitsmith.cli.options import ModelOptions
from bitsmith.cli.request import Request
from bitsmith.conversion.explanation import explain
from bitsmith.options.project import create_config, read_project

for function in (bitsmith.convert, explain):
    assert inspect.signature(function).parameters["colour"].default == "red"
    assert "    colour: the colour of the case." in function.__doc__
for command in ("convert", "explain", "predict"):
    assert any("--colour" in parameter.opts for parameter in typer.main.get_group(app).commands[command].params)
assert Request.of(ModelOptions(file=Path("a.onnx"), colour="blue")).project.colour == "blue"
assert read_project(create_config(colour="blue")).colour == "blue"
digits = bitsmith.utils.fetch_example_model("digits.keras")["KerasModel"]
target = bitsmith.convert(digits, colour="blue", part="LFE5U-45F", check=False, bits=6).target
assert target.colour == "blue" and Target(Path("p"), "p", "LFE5U-45F", 10.0).colour == "red"
assert read_target(plain_target(target, Path()), Path("model.json")) == target
"""
_RECORD = """
    Option(
        "colour",
        Key("Colour", "colour", checks.read_name, None, None),
        "red",
        Flag(str, (), ("red", "blue"), None, "The colour of the case."),
        "the colour of the case.",
    ),"""


@pytest.mark.slow
@pytest.mark.ci
def test_a_new_option_needs_one_module(tmp_path: Path) -> None:
    changes = [
        ("OPTIONS: Sequence[Option] = (", _RECORD),
        ('"""Options of what is built."""', "\n    colour: str"),
        ('"""Values that the target of a build takes from the project."""', '\n    colour: str = "red"'),
    ]
    code = _PROBE.format(path=table.__file__, changes=changes)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return bitsmith.convert(MODELS / "digits.keras", tmp_path_factory.mktemp("digits"), check=False)


@pytest.mark.parametrize("call", ["convert", "explain", "explore", "predict", "trace", "build", "plan", "numerical"])
def test_calls_answer_arguments_that_there_are_not(call: str, converted: Model) -> None:
    owners = (converted, bitsmith, bitsmith.profiling)
    function = next(getattr(owner, call) for owner in owners if hasattr(owner, call))
    with pytest.raises(
        TypeError, match=rf"{call}\(\) got an unexpected keyword argument 'verbose'; .*logger 'bitsmith'"
    ):
        function(verbose=1)
    own = next(iter(inspect.signature(function).parameters))
    with pytest.raises(TypeError, match=rf"did you mean '{own}'"):
        function(**{f"{own}_y": 1})


CALLS: dict[str, typing.Callable[..., object]] = {
    "fit": bitsmith.fit,
    "explore": bitsmith.explore,
    "sweep": partial(bitsmith.sweep, "digits.keras", {"bits": [4]}, "sweep"),
    "cost": bitsmith.cost,
    "split": bitsmith.split,
    "plot_model": bitsmith.utils.plot_model,
    "streamed": bitsmith.streamed,
    "estimate": Model.estimate,
    "build": Model.build,
    "save": Model.save,
}


@pytest.mark.parametrize(
    ("call", "name", "values", "accepted"),
    [
        ("fit", "tries", ("yes", 2.5, True, [1]), "an integer"),
        ("fit", "held_out", ("half", True), "a number"),
        ("fit", "progress", (True, "yes"), "a function"),
        ("explore", "weight_bits", (4, "4", True, ["a"], {"a": 1}, [True]), "a list of integers"),
        ("explore", "samples", ("yes", 2.5), "an integer"),
        ("sweep", "minimize", (3, [1]), "a list of texts"),
        ("sweep", "build", ("yes", 1), "a dictionary or True or False"),
        ("sweep", "trials", ("yes", 2.5, [1]), "an integer or None"),
        ("sweep", "workers", (0, -1), "an integer from 1 to"),
        ("sweep", "cluster", (3, True), "a text or a distributed.Client or None"),
        ("cost", "exact", ("yes", 1, None), "True or False"),
        ("cost", "model", ("digits.keras", None), "a converted model"),
        ("plot_model", "model", ("digits.keras",), "a converted model"),
        ("split", "at", (3, [1]), "a list of texts"),
        ("streamed", "axis", ("0", 1.0), "an integer"),
        ("estimate", "rough", ("yes", 1, None), "True or False"),
        ("build", "timeout", ("1h", [1]), "a number or None"),
        ("build", "progress", (True,), "a function"),
        ("save", "path", (3, None), "a text or the path of a file"),
    ],
)
def test_values_of_wrong_types_are_told_what_is_accepted(
    call: str,
    name: str,
    values: Sequence[object],
    accepted: str,
    converted: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(MODELS / "digits.keras", "digits.keras")
    operands = (converted,) if call in ("cost", "estimate", "build", "save") and name != "model" else ()
    for value in values:
        with pytest.raises(ConfigError, match=f"(?s){name}.*accepted: {accepted}"):
            CALLS[call](*operands, **{name: value})
    if call == "explore":
        with pytest.raises(TypeError, match="missing"):  # the values are right
            CALLS[call](**{name: 3 if name == "samples" else np.arange(2, 5)})


def test_an_argument_of_an_unknown_type_is_none_of_a_public_function() -> None:
    def counted(widths: frozenset[int]) -> None:
        """Count."""

    with pytest.raises(LookupError, match=r"frozenset\[int\]: add a test"):
        answering(counted)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("clock_frequency", "'50 MHz'"),
        ("device", "names the part"),
        ("output_dri", "did you mean 'output_dir'"),
        ("split_layer_names", "bitsmith.split"),
        ("name", "project_name"),
        ("data", "calibration=x"),
        ("metric", "goal={'metric'"),
    ],
)
def test_arguments_of_other_packages_say_what_takes_their_place(name: str, remedy: str) -> None:
    with pytest.raises(TypeError, match=remedy):
        bitsmith.converters.convert_from_keras_model(MODELS / "digits.keras", **{name: "x"})
