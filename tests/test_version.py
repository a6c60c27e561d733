"""The version as tools of vendors have it: three numbers, whatever else is in its name."""

import pytest

from bitsmith import version


@pytest.mark.parametrize("name", ["2.10.3", "2.10.3rc1", "2.10.3.dev4+g1a2b3c4"])
def test_a_version_has_three_numbers(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(version, "__version__", name)
    assert version.version_numbers() == (2, 10, 3)
