"""A pytest plugin for runs of mutants: hypothesis tries more examples than in the fast tests, and makes none smaller."""

from hypothesis import Phase, settings


def pytest_configure() -> None:
    """Take the profile, after that of the tests' own configuration."""
    settings.register_profile(
        "mutants", settings.default, max_examples=40, database=None, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutants")
