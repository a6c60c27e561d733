"""Workers that are killed: no trial is missing in the end, and none that was finished runs again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bitsmith.errors import ToolMissingError
from bitsmith.sweeps.sweep import Plan, sweep
from bitsmith.sweeps.trial import LOG, RESULT, TRIALS
from bitsmith.sweeps.workers import evaluate
from tests.sweeps.test_sweep import MODEL

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ci,
    pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals"),
]
GRID = {"bits": [4, 5, 6, 7], "clock_period": [5, 10]}
_LONGEST_S = 300


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with four workers, started with the commands of the documentation, in a folder of their own."""
    pytest.importorskip("distributed")
    address, folder = f"tcp://127.0.0.1:{_port()}", tmp_path_factory.mktemp("dask")
    commands = (
        ["scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--no-dashboard"],
        ["worker", address, "--nworkers", "4", "--nthreads", "1", "--no-dashboard"],
    )
    started = []
    for command in commands:
        log = (folder / f"{command[0]}.log").open("wb")
        with log:
            whole = [sys.executable, "-m", "dask", *command]
            started.append(subprocess.Popen(whole, cwd=folder, stdout=log, stderr=log, start_new_session=True))
    yield address
    for process in reversed(started):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _children(process: int) -> list[int]:
    """The trials that a process has started."""
    psutil = pytest.importorskip("psutil")
    found = []
    for child in psutil.Process(process).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # one that has just ended, also as a zombie
            found += [child.pid] if "bitsmith.sweeps.trial" in " ".join(child.cmdline()) else []
    return found


def test_a_sweep_on_dask_ends_although_a_worker_is_killed(scheduler: str, tmp_path: Path) -> None:
    from distributed import Client

    killed: list[int] = []
    with Client(scheduler) as client:
        client.wait_for_workers(4, timeout=60)

        def progress(line: str) -> None:
            if not killed:
                at_work = [process for process in client.run(os.getpid).values() if _children(process)]
                killed.append(at_work[0])
                os.kill(at_work[0], signal.SIGKILL)

        found = sweep(MODEL, GRID, tmp_path / "s", build=False, cluster=client, progress=progress)
    assert killed
    assert len(found.outcomes) == 8
    assert not [each.error for each in found.outcomes if each.error]


def test_the_command_of_the_documentation_gives_what_processes_here_give(scheduler: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bitsmith", "sweep", str(MODEL), "--estimate", "--try", "Bits=4,5", "--json"]
    given = [*command, "--cluster", scheduler, "-o", str(tmp_path / "s")]
    done = subprocess.run(given, capture_output=True, text=True, check=False, timeout=_LONGEST_S)
    assert done.returncode == 0, done.stderr
    trials = json.loads(done.stdout)["trials"]
    here = sweep(MODEL, {"bits": [4, 5]}, tmp_path / "here", build=False)
    assert {each["trial"]: each["figures"] for each in trials} == {each.name: each.figures for each in here.outcomes}


def test_a_machine_that_does_not_see_the_folder_gives_the_same_result(tmp_path: Path) -> None:
    plan = Plan.of({"KerasModel": str(MODEL)}, {}, None, None, None, ["lut"])
    found = json.loads(evaluate(str(tmp_path / "nowhere"), plan.trial({"bits": 4})))
    (here,) = sweep(MODEL, {"bits": [4]}, tmp_path / "here", build=False, minimize=["lut"]).outcomes
    assert (found["figures"], here.error) == (here.figures, "")
    assert not (tmp_path / "nowhere").exists()


def test_a_study_goes_on_after_its_process_was_killed(tmp_path: Path) -> None:
    """Trials that were running end with it; those that were finished stay as they are."""
    pytest.importorskip("optuna")
    folder = tmp_path / "s"
    text = f"import bitsmith; print(bitsmith.sweep({str(MODEL)!r}, {GRID}, {str(folder)!r}, build=False, trials=6, workers=2))"
    with (tmp_path / "log").open("wb") as log:
        main = subprocess.Popen([sys.executable, "-c", text], stdout=log, stderr=log)
        try:
            _wait(lambda: len(list(folder.glob(f"{TRIALS}/*/{RESULT}"))) >= 1 and bool(_children(main.pid)))
            running = _children(main.pid)
        finally:
            main.kill()
            main.wait()
    finished = {path: path.with_name(LOG).stat().st_mtime_ns for path in folder.glob(f"{TRIALS}/*/{RESULT}")}
    assert finished
    _wait(lambda: not any(Path(f"/proc/{process}").exists() for process in running))
    again = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=_LONGEST_S
    )
    assert again.returncode == 0, again.stderr
    document = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    assert not [each for each in document["trials"] if each.get("error")]
    import optuna

    name = f"sqlite:///{folder / 'study.db'}"
    (summary,) = optuna.get_all_study_summaries(name)
    study = optuna.load_study(study_name=summary.study_name, storage=name)
    states = [trial.state.name for trial in study.get_trials()]
    assert states.count("COMPLETE") == 6
    assert states.count("RUNNING") == 0
    assert {path: path.with_name(LOG).stat().st_mtime_ns for path in finished} == finished
    chosen = {
        json.dumps(trial.params, sort_keys=True)
        for trial in study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    }
    assert len(document["trials"]) == len(chosen)
    assert re.search(r"\d trials", again.stdout)


def test_a_trial_that_is_killed_leaves_the_others(tmp_path: Path) -> None:
    killed: list[int] = []

    def progress(line: str) -> None:
        if not killed and (there := _children(os.getpid())):  # those of this line may have ended together
            killed.append(there[0])
            os.kill(killed[0], signal.SIGKILL)

    found = sweep(MODEL, {"bits": [4, 5, 6, 7]}, tmp_path / "s", build=False, workers=2, progress=progress)
    assert [each.found.get("again", False) for each in found.outcomes].count(True) == 1
    again = sweep(MODEL, {"bits": [4, 5, 6, 7]}, tmp_path / "s", build=False, workers=2)
    assert not [each.error for each in again.outcomes if each.error]
    assert len(again.outcomes) == 4


def test_no_scheduler_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setitem(__import__("dask").config.config["distributed"]["comm"]["timeouts"], "connect", "1s")
    with pytest.raises(ToolMissingError, match="dask scheduler"):
        sweep(MODEL, {"bits": [4]}, tmp_path / "s", build=False, cluster=f"tcp://127.0.0.1:{_port()}")
    assert distributed


def _wait(done: object) -> None:
    """Wait until something holds."""
    until = time.monotonic() + _LONGEST_S
    assert callable(done)
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)
