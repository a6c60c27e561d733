"""A pytest plugin for runs of mutants: hypothesis tries the same examples each time and makes none smaller."""

from hypothesis import Phase, settings

settings.register_profile("mutants", derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))
settings.load_profile("mutants")
