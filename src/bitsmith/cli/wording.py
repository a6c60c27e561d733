"""Remedies in the words of the command line."""

from collections.abc import Mapping
from pathlib import Path

from bitsmith.cli.options import BUILD_FLAGS, FLAGS
from bitsmith.config.reading import leaves
from bitsmith.errors.remedies import OPEN, Argument, Call, Function, Remedy
from bitsmith.options.option import Flag

_COMMANDS = {
    Function.CONVERT: "bitsmith convert FILE",
    Function.BUILD: "bitsmith build DIR",
    Function.PREDICT: "bitsmith predict",
    Function.WRITE: "bitsmith write DIR",
}
_FLAGS = {**FLAGS, **BUILD_FLAGS, "output_dir": Flag(Path, ("--output-dir", "-o"), "DIR", None, "The project folder.")}


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
        return " ".join(f"--set {'.'.join(path)}={leaf}" for path, leaf in leaves(value))
    flag = _FLAGS[name]
    option = next(iter(flag.names), f"--{name.replace('_', '-')}")
    if value is True:
        return option
    if value is False:
        return f"no {option}" if flag.names else option.replace("--", "--no-", 1)
    shown = flag.values if isinstance(flag.values, str) else "..."
    return f"{option} {shown if value is OPEN else value}"
