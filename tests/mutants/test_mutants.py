"""The list of mutants fits the sources and the tests as they are; ``make mutants`` runs it."""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest

from tests.mutants.run import SOURCES, TESTS, Mutant, read_mutants

MUTANTS = read_mutants()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_made_and_has_tests(mutant: Mutant) -> None:
    text = mutant.mutated()
    if mutant.file.endswith(".py"):
        ast.parse(text)
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        function = name.partition("[")[0]
        assert re.search(rf"^def {function}\(" if function else "^def test_", (TESTS / file).read_text(), re.MULTILINE)


def test_names_are_given_once() -> None:
    counts = Counter(mutant.name for mutant in MUTANTS)
    assert not [name for name, count in counts.items() if count > 1]


def test_every_package_has_mutants() -> None:
    packages = {path.parent.name for path in (SOURCES / "bitsmith").glob("*/__init__.py")}
    assert packages <= {mutant.file.partition("/")[0] for mutant in MUTANTS}
