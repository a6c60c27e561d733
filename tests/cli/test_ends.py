"""Commands that end early: interrupted while they import, or without room for what they print."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from bitsmith import __main__
from bitsmith.cli.commands import app
from bitsmith.cli.terminal import Terminal, command


def interrupted(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_an_interruption_of_all_imports(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("bitsmith.cli.commands.main", interrupted)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 130 and capsys.readouterr().err == "error: interrupted\n"


@pytest.mark.parametrize("arguments", [("boards",), ("boards", "--json")])
@pytest.mark.parametrize("place", ["bitsmith.cli.commands.command", "typer.core.TyperGroup.make_context"])
def test_an_interruption_before_a_command_begins(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], place: str
) -> None:
    monkeypatch.setattr(place, interrupted)
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stderr, result.stdout) == (130, "error: interrupted\n", "")


class Full:
    """A file without room, which says so when it is written or when all is to be there."""

    def __init__(self, *, late: bool) -> None:
        self._late = late
        self.encoding = "utf-8"

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        if not self._late:
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(text)

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize(
    ("as_json", "shown"), [(True, lambda end: end.show({"a": 1})), (False, lambda end: end.begin("text"))]
)
def test_no_room_for_results(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    as_json: bool,
    shown: Callable[[Terminal], None],
    late: bool,
) -> None:
    monkeypatch.setattr(sys, "stdout", Full(late=late))
    with pytest.raises(Exception) as ended, command(as_json) as terminal:
        shown(terminal)
    assert getattr(ended.value, "exit_code", None) == 1
    told = capsys.readouterr().err.replace("\n", " ")
    assert told.startswith("error: ") and "No space left on device: 'standard output'" in told


def test_a_document_is_whole_where_there_is_room(capsys: pytest.CaptureFixture[str]) -> None:
    with command(as_json=True) as terminal:
        terminal.show({"a": 1})
    assert json.loads(capsys.readouterr().out) == {"a": 1}
