"""The trait of layers whose results are numbers in all frameworks, whatever the operands."""

import numpy as np
import pytest

from bitsmith.layers.layer import Layer
from tests.layers.test_traits import CLASSES, instances, result


@pytest.mark.parametrize("layer", CLASSES, ids=lambda layer: layer.__name__)
def test_totals(layer: type[Layer]) -> None:
    rng, finite = np.random.default_rng(3), list[bool]()
    for instance, shapes in instances(layer):
        if instance.traits.indices is None:
            drawn = [rng.choice([-8.0, -1.0, 0.0, 0.25, 1.0, 8.0], (200, *shape)) for shape in shapes]
            finite.append(bool(np.all(np.isfinite(result(instance, drawn)))))
            assert finite[-1] or not instance.traits.total
    assert all(instance.traits.total for instance, _ in instances(layer)) == all(finite)
