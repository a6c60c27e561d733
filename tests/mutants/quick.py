"""A pytest plugin for runs of mutants: hypothesis tries more examples than in the fast tests, and makes none smaller.

``--processor-s`` ends a run, as by endless loops, after so many seconds of the processor: others on the machine do not count.
"""

import resource

import pytest
from hypothesis import Phase, settings


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the limit of a run."""
    parser.addoption("--processor-s", type=int, default=0, help="end after so many seconds of the processor")


def pytest_configure(config: pytest.Config) -> None:
    """Take the profile, after that of the tests' own configuration."""
    settings.register_profile(
        "mutants", settings.default, max_examples=40, database=None, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutants")
    if limit := config.getoption("--processor-s"):
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
