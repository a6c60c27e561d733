"""Keras runs on numpy here, unless told otherwise; formats that are bad on purpose are not told of."""

import gc
import os

import pytest
from hypothesis import settings

# A machine that does other things, too, must not fail a test. Where a change is judged (.ci/run), the examples of each test are
# always the same ones: what passes once passes again. Everywhere else they are drawn anew, to find what nobody has thought of.
settings.register_profile(
    "bitsmith", deadline=None, max_examples=25, derandomize=bool(os.environ.get("BITSMITH_SAME_EXAMPLES"))
)
settings.load_profile("bitsmith")

# Chosen before the first import of Keras. Models run once or twice, for which jax compiles four times as long as numpy computes;
# CI runs the tests of the Keras reader on jax, too.
if os.environ.get("KERAS_BACKEND") != "jax":
    os.environ["KERAS_BACKEND"] = "numpy"
# Keras, PyTorch and jax are a million objects, which each full collection goes through: a twentieth of the time.
gc.set_threshold(50_000, 50, 100)
# With jax: compiling each shape costs far more than the optimized code would save.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

_OF_CIRCUITS = ("build", "flows", "hls", "netlist", "rtl", "system")
"""Folders of tests whose formats may cost any accuracy, on purpose: they look at circuits."""

_OF_USERS = ("test_build.py", "test_predict.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings are errors; those of fidelity are not where formats are chosen to be bad."""
    for item in items:
        if item.path.parent.name in _OF_CIRCUITS and item.path.name not in _OF_USERS:
            item.add_marker(pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning"))
