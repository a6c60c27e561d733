"""Finding and running programs, with fake ones on PATH."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bitsmith.errors import ToolFailedError, ToolMissingError
from bitsmith.flows import groups
from bitsmith.flows.groups import end, signal_tree, start, watched
from bitsmith.flows.run import Command, Made, run
from bitsmith.flows.tools import TOOLS, YOSYS, FoundTool, Origin, Tool, seek
from tests.flows.found import find
from tests.flows.runs import execute

FAKE = Tool(
    name="forge",
    commands=("forge",),
    minimum=(2, 3),
    version_pattern=r"Forge (\d+(?:\.\d+)+)",
    install='pip install "bitsmith[flow]"',
    without="predict() works",
)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def command(folder: Path, text: str, **changes: object) -> Command:
    plain = Command(argv=(str(script(folder / "tool", text)), "-x"), cwd=folder, log=folder / "logs" / "tool.log")
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_made_program_is_taken_only_as_this_user_left_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, count = tmp_path / "program", tmp_path / "count"
    made = Made(program, tmp_path / "0123.made")
    steps = [
        command(tmp_path, f"echo first >> {count}", made=made),
        replace(command(tmp_path, ""), argv=("sh", "-c", f"echo good > {program}"), outputs=(program,), made=made),
    ]

    def runs() -> int:
        before = len(count.read_text()) if count.exists() else 0
        for step in steps:
            run(step)
        assert program.read_text() == "good\n"
        return (len(count.read_text()) - before) // len("first\n")

    script(tmp_path / "tool", f"echo first >> {count}")
    assert [runs(), runs()] == [1, 0]
    program.write_text("planted")
    assert [runs(), runs()] == [1, 0]
    other = tmp_path / "4567.made"
    other.write_bytes(made.stamp.read_bytes())
    steps = [replace(step, made=Made(program, other)) for step in steps]  # of other things
    assert [runs(), runs()] == [1, 0]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert [runs(), runs()] == [1, 0]
    other.unlink()
    os.mkfifo(other)
    other.with_name("x").symlink_to(other)
    assert not steps[0].made.holds()  # type: ignore[union-attr]


def test_missing_tool_says_what_to_do(path: Path) -> None:
    with pytest.raises(ToolMissingError) as raised:
        find(FAKE)
    message = str(raised.value)
    for part in ("forge on PATH: not there", "2.3 or newer", 'pip install "bitsmith[flow]"', "predict() works"):
        assert part in message
    assert message.index("pip install") < message.index(". Without it: ") < message.index("predict() works")


def test_tool_on_path(path: Path) -> None:
    program = script(path / "forge", "echo Forge 2.10.1 build 7")
    assert find(FAKE) == FoundTool("forge", program, "2.10.1", Origin.PATH)


def test_tool_of_the_least_version(path: Path) -> None:
    script(path / "forge", "echo Forge 2.3")
    assert find(FAKE).version == "2.3"


@pytest.mark.parametrize(
    ("text", "problem"),
    [("echo Forge 2.2", "2.2 is too old"), ("exit 1", "does not say"), ("echo hello", "does not say")],
)
def test_unusable_tool_on_path(path: Path, text: str, problem: str) -> None:
    script(path / "forge", text)
    with pytest.raises(ToolMissingError, match=problem):
        find(FAKE)


def test_version_is_asked_once_until_the_program_changes(path: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    program = script(path / "forge", f"echo x >> {calls}; echo Forge 3.0")
    for _ in range(3):
        assert find(FAKE).version == "3.0"
    assert calls.read_text().split() == ["x"]
    script(program, f"echo x >> {calls}; echo Forge 3.1.0")
    assert find(FAKE).version == "3.1.0"
    assert calls.read_text().split() == ["x", "x"]


def test_damaged_version_cache_is_ignored(path: Path, tmp_path: Path) -> None:
    script(path / "forge", "echo Forge 3.0")
    find(FAKE)
    for remembered in (tmp_path / "cache").rglob("*.json"):
        remembered.write_text("[")
    assert find(FAKE).version == "3.0"


def test_too_old_on_path_gives_way_to_the_installed_package(path: Path) -> None:
    script(path / "yosys", "echo Yosys 0.9")
    found = find(YOSYS)
    assert (found.origin, found.path.parent) == (Origin.WHEEL, Path(sys.executable).parent)


def test_path_comes_first(path: Path) -> None:
    program = script(path / "yosys", "echo 'Yosys 0.99 (git sha1 0)'")
    assert find(YOSYS) == FoundTool("yosys", program, "0.99", Origin.PATH)


def test_what_is_not_there_stands_in_for_itself(path: Path) -> None:
    sought = [seek(tool) for tool in (*TOOLS, FAKE)]
    assert [program.name for program in sought] == [tool.name for tool in TOOLS] + ["forge"]
    assert all(program.missing is None or program.missing.found for program in sought)
    assert sought[-1].missing is not None


def test_progress_and_log(tmp_path: Path) -> None:
    lines: list[str] = []
    call = command(tmp_path, 'echo "one $1"; echo two >&2; pwd; echo "$WORD"', env=(("WORD", "three"),))
    run(call, lines.append)
    assert lines == ["one -x", "two", str(tmp_path), "three"]
    assert call.log.read_text().splitlines() == lines


def test_progress_of_a_tool_that_writes_its_own_log(tmp_path: Path) -> None:
    lines: list[str] = []
    text = "echo console; printf 'a\\nb' > logs/tool.log; sleep 0.3; printf 'c\\nd' >> logs/tool.log"
    call = command(tmp_path, text, writes_log=True)
    run(call, lines.append)
    assert lines == ["a", "bc", "d"]
    assert call.console.read_text() == "console\n"


def test_failure_shows_command_log_and_first_error(tmp_path: Path) -> None:
    text = "echo 'warning: error-prone'; echo '%Error: first'; echo '%Error: second'; echo done; exit 3"
    call = command(tmp_path, text, error_pattern="^%Error")
    with pytest.raises(ToolFailedError) as raised:
        run(call)
    message = str(raised.value)
    assert "exit code 3: %Error: first" in message
    assert "second" not in message
    assert " ".join(call.argv) in message
    assert raised.value.log == str(call.log)
    assert str(call.log) in message


def test_failure_without_an_error_line_shows_the_last(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match="exit code 1: giving up"):
        run(command(tmp_path, "echo hm; echo giving up; echo; exit 1"))


@pytest.mark.parametrize(
    "line",
    [
        "Error (12007): no such entity",
        "cc1plus: fatal: out of memory",
        "make: *** [all] Error 2",
        "10 errors",
        "1 error.",
    ],
)
def test_failure_in_other_words_than_the_tools_usual_ones_is_shown(tmp_path: Path, line: str) -> None:
    harmless = [
        "0 errors",
        "Errors: 0",
        "no error handling",
        "WARNING: error-prone",
        "error_correction on",
        "without error",
    ]
    text = "; ".join(f"echo '{one}'" for one in (*harmless, line, "second error", "bye"))
    with pytest.raises(ToolFailedError, match=f"exit code 1: {re.escape(line)}"):
        run(command(tmp_path, f"{text}; exit 1", error_pattern="^%Error", errors_fail=True))
    run(command(tmp_path, text, error_pattern="^%Error", errors_fail=True))  # whether it failed is another question


def test_failure_that_only_the_console_knows(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match="ERROR: no module"):
        run(command(tmp_path, "echo start > logs/tool.log; echo 'ERROR: no module' >&2; exit 1", writes_log=True))


def test_death_by_signal_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match=r"signal 9 \(Killed\)"):
        run(command(tmp_path, "kill -9 $$"))


def test_program_that_cannot_start(tmp_path: Path) -> None:
    call = Command(argv=(str(tmp_path / "none"),), cwd=tmp_path, log=tmp_path / "log")
    with pytest.raises(ToolFailedError, match="could not be started"):
        run(call)


def test_success_without_the_promised_file(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match=r"without writing net\.json"):
        run(command(tmp_path, "exit 0", outputs=(tmp_path / "net.json",)))


def test_failure_leaves_no_output_not_even_an_older_one(tmp_path: Path) -> None:
    output = tmp_path / "net.json"
    call = command(tmp_path, "echo half > net.json; exit 1", outputs=(output,))
    output.write_text("old")
    with pytest.raises(ToolFailedError):
        run(call)
    assert not output.exists()


def test_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    output = tmp_path / "net.json"
    call = command(tmp_path, "echo half > net.json; sleep 60 & echo $! > child; wait", outputs=(output,))
    with pytest.raises(ToolFailedError, match=r"not finished after 0\.5 s"):
        run(call, timeout=0.5)
    assert not output.exists()
    assert ended(int((tmp_path / "child").read_text()))


def test_exception_in_progress_ends_the_program(tmp_path: Path) -> None:
    def refuse(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="enough"):
        run(command(tmp_path, "echo $$ > pid; echo enough; sleep 60"), refuse)
    assert ended(int((tmp_path / "pid").read_text()))


def test_interrupt_ends_the_whole_group_and_leaves_no_output(tmp_path: Path) -> None:
    """Ctrl-C in a process of its own, as a user would press it."""
    call = command(tmp_path, "echo half > net.json; trap '' INT; sleep 60 & echo $! > child; wait")
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it\n"
        "from pathlib import Path; from bitsmith.flows.run import Command, run\n"
        f"p = Path({str(tmp_path)!r}); run(Command({call.argv!r}, p, p / 'log', outputs=(p / 'net.json',)))"
    )
    user = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
    child = tmp_path / "child"
    deadline = time.monotonic() + 20
    while not (child.exists() and child.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.05)
    user.send_signal(signal.SIGINT)
    _, errors = user.communicate(timeout=20)
    assert b"KeyboardInterrupt" in errors
    assert ended(int(child.read_text()))
    assert not (tmp_path / "net.json").exists()


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that nobody has collected, within a second."""
    for _ in range(20):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


@dataclass(frozen=True, slots=True)
class Forge:
    """A flow with one script and one call."""

    def find(self) -> tuple[FoundTool, ...]:
        return (find(FAKE),)

    def files(self) -> Mapping[str, str | bytes]:
        return {"forge/settings": "hot"}

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        log = project / "forge" / "log"
        return (Command((str(tools[0].path), "forge/settings"), project, log, outputs=(project / "forge" / "out",)),)

    def read(self, project: Path, tools: Sequence[FoundTool]) -> str:
        return (project / "forge" / "out").read_text().strip()


def test_flow_runs_from_find_to_read(path: Path, tmp_path: Path) -> None:
    script(path / "forge", "[ $1 = --version ] && echo Forge 2.3 || cat $1 > forge/out")
    assert execute(Forge(), tmp_path) == "hot"
    keys = {command.key for folder in ("a", "b") for command in Forge().commands(tmp_path / folder, Forge().find())}
    assert len(keys) == 1  # where a project lies does not change what its commands are


def test_sigterm_ends_the_tool_too(tmp_path: Path) -> None:
    tool = script(tmp_path / "tool", "sleep 60 & echo $$ $! > pids; wait")
    code = (
        "from pathlib import Path; from bitsmith.flows.run import Command, run\n"
        f"run(Command(argv=({str(tool)!r},), cwd=Path({str(tmp_path)!r}), log=Path({str(tmp_path / 'log')!r})))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    pids = tmp_path / "pids"
    while not (pids.exists() and pids.read_text().endswith("\n")):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=20) == 128 + signal.SIGTERM
    for pid in pids.read_text().split():
        assert ended(int(pid))


def _running(pid: int) -> bool:
    """True of a process that is there and not only waits for its parent to notice that it is dead."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="a system without /proc")
def test_the_death_of_this_process_ends_the_tool_and_its_children(tmp_path: Path) -> None:
    """Also of those children that would not end politely."""
    call = command(tmp_path, "trap '' TERM; sleep 100 & echo $$ $! > part; mv part pids; wait; sleep 100")
    code = (
        "from pathlib import Path; from bitsmith.flows.run import Command, run\n"
        f"run(Command({call.argv!r}, Path({str(tmp_path)!r}), Path({str(call.log)!r})))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    _until((tmp_path / "pids").exists)
    tools = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert all(map(_running, tools))
    parent.kill()
    parent.wait()
    _until(lambda: not any(map(_running, tools)))


@pytest.mark.parametrize("forced", [False, True])
def test_a_process_and_all_below_it_end(forced: bool, tmp_path: Path) -> None:
    """As on Windows, which has no groups."""
    pytest.importorskip("psutil")
    tool = subprocess.Popen([str(script(tmp_path / "tool", "sleep 100 & echo $!; wait"))], stdout=subprocess.PIPE)
    assert tool.stdout is not None
    child = int(tool.stdout.readline())
    assert signal_tree(tool.pid, forced=forced)
    tool.wait()
    tool.stdout.close()
    _until(lambda: not _running(child))
    assert not signal_tree(tool.pid, forced=forced)


def test_an_error_line_fails_where_it_must(tmp_path: Path) -> None:
    call = command(tmp_path, "echo 'ERROR: no licence'", error_pattern="^ERROR: ")
    run(call)
    with pytest.raises(ToolFailedError, match="as if all were well: ERROR: no licence"):
        run(replace(call, errors_fail=True))


def test_key_tells_what_a_call_does_and_not_where(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    call = Command(("tool", "-x"), tmp_path, tmp_path / "log", (("STAGE", "synth"),))
    assert call.key == replace(call, cwd=tmp_path / "other", log=tmp_path / "other" / "log").key
    assert len({call.key, replace(call, argv=("tool", "-y")).key, replace(call, env=(("STAGE", "cosim"),)).key}) == 3


def test_a_program_begins_when_it_is_watched_and_reads_nothing(tmp_path: Path) -> None:
    tool = script(tmp_path / "tool", "cat > said; echo done >> said")
    for is_watched in (False, True):
        with (tmp_path / "log").open("wb") as log:
            process = start([str(tool)], tmp_path, os.environ, log.fileno())
        assert process.stdin is not None
        with watched(process) if is_watched else nullcontext():
            if not is_watched:
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.3)
                process.stdin.close()
            assert process.wait(20) == (0 if is_watched else 1)
    assert (tmp_path / "said").read_text() == "done\n"


@pytest.mark.parametrize("polite", [True, False])
def test_the_end_of_a_group_leaves_time_to_clean_up_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, polite: bool
) -> None:
    grace_s = 10.0 if polite else 0.3
    monkeypatch.setattr(groups, "GRACE_S", grace_s)
    handler = "'sleep 0.2; echo clean > cleaned; exit 0'" if polite else "''"
    tool = script(tmp_path / "tool", f"trap {handler} TERM; echo $$ > pid; while true; do sleep 0.05; done")
    with (tmp_path / "log").open("wb") as log:
        process = start([str(tool)], tmp_path, os.environ, log.fileno())
    with watched(process):
        _until((tmp_path / "pid").exists)
        began = time.monotonic()
        end(process)
        seconds = time.monotonic() - began
    assert (tmp_path / "cleaned").exists() == polite
    assert process.returncode == (0 if polite else -signal.SIGKILL)
    assert seconds < grace_s if polite else seconds >= grace_s


@pytest.mark.parametrize(
    ("name", "accepted", "code"),
    [
        ("./tool", True, 0),
        ("sub/tool", True, 0),
        ("tool", False, errno.ENOENT),
        ("onpath", True, 0),
        ("./onpath", False, errno.ENOENT),
        ("./text", False, errno.EACCES),
        ("none", False, errno.ENOENT),
        ("./none", False, errno.ENOENT),
    ],
)
def test_programs_are_looked_for_where_a_shell_would(tmp_path: Path, name: str, accepted: bool, code: int) -> None:
    for place in ("tool", "sub/tool", "path/onpath"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        script(tmp_path / place, "exit 0")
    (tmp_path / "text").write_text("no program")
    environment = {"PATH": str(tmp_path / "path")}
    with (tmp_path / "log").open("wb") as log:
        if not accepted:
            with pytest.raises(OSError) as error:
                start([name], tmp_path, environment, log.fileno())
            assert error.value.errno == code
            return
        process = start([name], tmp_path, environment, log.fileno())
    with watched(process):
        assert process.wait(20) == 0
