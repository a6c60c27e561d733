"""Quantizers as QKeras writes them down: serialized objects, names, and calls in the text ``quantized_bits(6, 0, alpha=1)``."""

import re
from collections.abc import Mapping

from bitsmith.errors import ModelFileError
from bitsmith.frontends.files.json import Fields, Json, shown

_BITS = "bits integer symmetric keep_negative alpha use_stochastic_rounding scale_axis qnoise_factor var_name"
_VARIABLES = "qnoise_factor var_name use_ste use_variables"
_HSWISH = f"bits integer symmetric alpha use_stochastic_rounding scale_axis {_VARIABLES} relu_shift relu_upper_bound"
_PO2 = f"use_stochastic_rounding quadratic_approximation log2_rounding {_VARIABLES}"
_RELU = "bits integer use_sigmoid negative_slope use_stochastic_rounding relu_upper_bound is_quantized_clip"

SIGNATURES: dict[str, tuple[str, ...]] = {
    name: tuple(text.split())
    for name, text in {
        "quantized_bits": f"{_BITS} use_ste use_variables elements_per_scale min_po2_exponent max_po2_exponent "
        "post_training_scale",
        "quantized_linear": f"{_BITS} use_variables",
        "quantized_relu": f"{_RELU} {_VARIABLES}",
        "quantized_tanh": "bits use_stochastic_rounding symmetric use_real_tanh",
        "quantized_sigmoid": "bits symmetric use_real_sigmoid use_stochastic_rounding",
        "quantized_ulaw": "bits integer symmetric u",
        "quantized_hswish": f"{_HSWISH} keep_negative post_training_scale",
        "quantized_po2": f"bits max_value {_PO2}",
        "quantized_relu_po2": f"bits max_value negative_slope {_PO2}",
        "bernoulli": "alpha temperature use_real_sigmoid",
        "ternary": "alpha threshold use_stochastic_rounding number_of_unrolls",
        "stochastic_ternary": "alpha threshold temperature use_real_sigmoid number_of_unrolls",
        "binary": "use_01 alpha use_stochastic_rounding",
        "stochastic_binary": "alpha temperature use_real_sigmoid",
    }.items()
}
"""The arguments of quantizers, in order."""

_IGNORED = ("training", "scale_axis", "elements_per_scale", "min_po2_exponent", "max_po2_exponent")
"""Further arguments of qkeras-v3's ``binary``."""

_MAX_TEXT = 400
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?\s*")
_ARGUMENT = re.compile(r"(?:\s*([A-Za-z_]\w*)\s*=)?\s*([^=]+?)\s*")


def described(value: Json, where: str) -> tuple[str, Fields] | None:
    """Class or function of a quantizer or activation, and its arguments; None if there is none."""
    if value is None:
        return None
    if isinstance(value, str):
        return _of_text(value, where)
    if not isinstance(value, dict):
        raise _unreadable(value, where)
    fields = Fields(value, where)
    name, config = fields.text("class_name").rpartition(">")[2], fields.get("config")
    if name == "function" and isinstance(config, str):
        return config, Fields({}, where)
    if name not in SIGNATURES:
        return name, Fields(config if isinstance(config, dict) else {}, where)
    return name, _checked(name, {} if config is None else fields.fields("config").values, where)


def _of_text(text: str, where: str) -> tuple[str, Fields]:
    match = _CALL.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise _unreadable(text, where)
    name, listed = match[1], match[2]
    names, values, keywords = SIGNATURES.get(name, ()), dict[str, Json](), False
    for number, one in enumerate(listed.split(",") if listed and listed.strip() else []):
        argument = _ARGUMENT.fullmatch(one)
        named = argument is not None and argument[1] is not None
        if argument is None or (not named and (keywords or number >= len(names))):
            raise _unreadable(text, where)
        keywords |= named
        key = argument[1] or names[number]
        if key in values:
            raise _unreadable(text, where)
        values[key] = _literal(argument[2], text, where)
    return name, _checked(name, values, where)


def _checked(name: str, values: Mapping[str, Json], where: str) -> Fields:
    known = SIGNATURES.get(name, ())
    unknown = [key for key in values if key not in known and not (name == "binary" and key in _IGNORED)]
    if unknown:
        found = f"{name} with the argument {shown(unknown[0])}"
        raise ModelFileError(found, where=where, accepted=", ".join(known) or "no arguments")
    return Fields(values, f"{where}, {name}")


def _literal(text: str, whole: str, where: str) -> Json:
    """A number, a truth value, None, a quoted text, or a list of numbers."""
    constants: dict[str, Json] = {"True": True, "False": False, "None": None}
    if text in constants:
        return constants[text]
    if re.fullmatch(r"'\w*'|\"\w*\"", text):
        return text[1:-1]
    parts = text[1:-1].split() if text.startswith("[") and text.endswith("]") else [text]
    numbers: list[Json] = []
    for part in parts:
        if re.fullmatch(r"[+-]?\d{1,9}", part):
            numbers.append(int(part))
        elif re.fullmatch(r"[+-]?(\d{1,40}\.?\d{0,40}|\.\d{1,40})([eE][+-]?\d{1,2})?", part):
            numbers.append(float(part))
        else:
            raise _unreadable(whole, where)
    return numbers if text.startswith("[") else numbers[0]


def _unreadable(value: Json, where: str) -> ModelFileError:
    return ModelFileError(
        f"the quantizer {shown(value)} cannot be read",
        where=where,
        accepted="a serialized quantizer, or a text such as 'quantized_bits(6, 0, alpha=1)' of literal arguments",
    )
