"""Fixtures for tests of plans and builds."""

from collections.abc import Iterator

import pytest

from tests.build.test_plan_goldens import stand_ins


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stand-ins for all programs of plans."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stand_ins(tmp_path_factory.mktemp("tools")).items():
            patch.setenv(name, value)
        yield
