"""Settings of all tests."""

from __future__ import annotations

import pytest

_OF_CIRCUITS = ("build", "flows", "hls", "netlist", "rtl", "system")
"""Folders of tests whose formats may cost any accuracy, on purpose: they look at circuits."""

_OF_USERS = ("test_build.py", "test_predict.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings are errors; those of fidelity are not where formats are chosen to be bad."""
    for item in items:
        if item.path.parent.name in _OF_CIRCUITS and item.path.name not in _OF_USERS:
            item.add_marker(pytest.mark.filterwarnings("ignore::bitsmith.errors.FidelityWarning"))
