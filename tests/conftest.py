"""Keras runs on numpy here, unless told otherwise; formats that are bad on purpose are not told of."""

import gc
import os
import random
import sys
import zlib
from collections.abc import Generator
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import settings

# A machine that does other things, too, must not fail a test. Where a change is judged (.ci/run), the examples of each test are
# always the same ones: what passes once passes again. Everywhere else they are drawn anew, to find what nobody has thought of.
_SAME = bool(os.environ.get("BITSMITH_SAME_EXAMPLES"))
settings.register_profile("bitsmith", deadline=None, max_examples=18, derandomize=_SAME)
settings.load_profile("bitsmith")

# Chosen before the first import of Keras. Models run once or twice, for which jax compiles four times as long as numpy computes;
# CI runs the tests of the Keras reader on jax, too.
if os.environ.get("KERAS_BACKEND") != "jax":
    os.environ["KERAS_BACKEND"] = "numpy"
# Keras, PyTorch and jax are a million objects, which each full collection goes through: a twentieth of the time.
gc.set_threshold(50_000, 50, 100)
# With jax: compiling each shape costs far more than the optimized code would save.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# PyTorch remembers the shapes of each operator, which modules that are exported once do not read again: a sixth of an export.
os.environ.setdefault("TORCH_FAKE_TENSOR_DISPATCH_CACHE", "0")

# Workers of pytest share the cores already: threads of linear algebra would only wait for each other.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Makefiles of projects are started as by hand, also where make has started the tests.
for _name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"):
    os.environ.pop(_name, None)

ALL_TOOLS = bool(os.environ.get("BITSMITH_ALL_TOOLS"))
"""Where a change is judged (.ci/run), every optional tool is there: a test that skips for the lack of one has failed."""

MOST_CPU_S = float(os.environ.get("BITSMITH_TEST_CPU_S", 60.0))
"""Processor time, of all threads and programs, that a fast test may take there: four times what the longest one takes."""

_OF_CIRCUITS = ("build", "estimate", "flows", "hls", "netlist", "rtl", "system")
"""Folders of tests whose formats may cost any accuracy, on purpose: they look at circuits."""

_OF_USERS = ("test_build.py", "test_predict.py")

_STEP = 20
"""Slow cases of a test function, of which one runs where a change is judged."""


# First, since pytest then leaves out what the marks do not ask for.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings are errors; those of fidelity are not where formats are chosen to be bad."""
    _mark_spare(items)
    for item in items:
        if item.path.parent.name in _OF_CIRCUITS and item.path.name not in _OF_USERS:
            item.add_marker(pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning"))


def _mark_spare(items: list[pytest.Item]) -> None:
    """Mark the slow cases that the fixed share leaves out; names of functions draw which it has, so that seeds differ."""
    functions: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("ci") and (item.get_closest_marker("slow") or item.get_closest_marker("tools")):
            functions.setdefault(item.nodeid.split("[")[0], []).append(item)
    for name, cases in functions.items():
        judged = zlib.crc32(name.encode()) % min(_STEP, len(cases))
        for number, item in enumerate(cases):
            if number % _STEP != judged:
                item.add_marker("spare")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The weights that a test leaves to a framework are the same whichever tests ran before it."""
    seed = zlib.crc32(item.nodeid.encode())
    random.seed(seed)  # Keras draws its seeds from here
    np.random.seed(seed)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    begun = _cpu_s()
    yield
    taken = _cpu_s() - begun
    if ALL_TOOLS and taken > MOST_CPU_S and not any(item.get_closest_marker(name) for name in ("slow", "tools")):
        pytest.fail(
            f"a fast test took {taken:.1f} s of processor time, {MOST_CPU_S:g} at most: shorten it, or mark it slow"
        )


def _cpu_s() -> float:
    """Processor time of this process and of those that it waited for: other programs do not count."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Of modules that skip as a whole."""
    return _judged((yield))


_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


def _judged(report: _Report) -> _Report:
    """``report``, as a failure if a test was skipped where it must run."""
    if ALL_TOOLS and report.outcome == "skipped":
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"skipped although all tools must be there: {reason}"
    return report


@pytest.fixture
def sums_wait_in_large_memories(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a circuit for several sums take less than one for each, as with tensors of thousands of numbers."""
    monkeypatch.setattr("bitsmith.mapping.engine.alike._waiting", lambda _, part: (len(part.sources) - 1) * 10**6)
