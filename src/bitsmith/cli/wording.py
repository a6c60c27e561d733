"""Remedies in the words of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bitsmith.remedies import OPEN, Argument, Call, Function, Remedy

_COMMANDS = {
    Function.CONVERT: "bitsmith convert FILE",
    Function.BUILD: "bitsmith build DIR",
    Function.PREDICT: "bitsmith predict",
}
_OPTIONS = {"input_data_tb": "input-data"}
"""Options that are named otherwise than the arguments of the same meaning."""

_REFUSING = frozenset({"synth", "cosim", "csim", "check"})
"""Options that have a negative form."""

_VALUES = {"calibration": "FILE.npy", "weights": "FILE", "output_dir": "DIR"}
"""Placeholders for arguments that are the user's to choose."""


def worded(remedy: Remedy | str) -> str:
    """``remedy`` with commands and options in place of calls and arguments."""
    return remedy if isinstance(remedy, str) else remedy.rendered(in_shell)


def in_shell(call: Call) -> str:
    """A call as it is typed at a prompt."""
    options = [_option(name, value) for name, value in call.arguments]
    if call.function is None:
        return " ".join(options)
    return " ".join((_COMMANDS[call.function], *options))


def _option(name: str, value: Argument) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"--set {path}={leaf}" for path, leaf in _leaves(value))
    option = f"--{_OPTIONS.get(name, name.replace('_', '-'))}"
    if value is True:
        return option
    if value is False:
        return option.replace("--", "--no-", 1) if name in _REFUSING else f"no {option}"
    return f"{option} {_VALUES.get(name, '...') if value is OPEN else value}"


def _leaves(content: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
