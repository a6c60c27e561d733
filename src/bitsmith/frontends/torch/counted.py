"""Numbers in a program for several samples that its code may have computed from their number."""

import re
from collections.abc import Iterable
from math import prod

from bitsmith.frontends.torch.graph import Node, TensorSpec

_OF_SAMPLES = re.compile(r"shape\[0\]|size\((?:dim=)?0\)|size\(\)\[0\]|\blen\(|\bnumel\(")
_NUMBER = re.compile(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


class Counted:
    """The numbers that are like the number of samples, of a program that is fixed to several; none of any other."""

    def __init__(self, inputs: Iterable[TensorSpec], samples: int | None) -> None:
        self._samples = samples if samples is not None and samples > 1 else 0
        counts = {self._samples, self._samples - 1}
        counts |= {prod(size or 1 for size in spec.sizes) for spec in inputs}
        powers = {self._samples**0.5, self._samples**-0.5} if self._samples else set[float]()
        self._like = powers.union(*({count, 1 / count} for count in counts if count > 0)) - {1.0}

    def is_in(self, node: Node, numbers: Iterable[float]) -> bool:
        """Return True if code computes one of the ``numbers`` of an operator, as far as its lines tell, from the samples.

        Beside a size of the first axis that is any number that the lines do not have; else one of those that are like theirs.
        Of functions that torch makes of several operators (hardsigmoid: add, clamp, div), numbers are torch's.
        """
        own = not node.function or node.function.startswith("__") or node.name.strip("_") in node.function
        if not self._samples or not own:
            return False
        lines = "\n".join(line for line in node.code.splitlines() if not line.lstrip().startswith('File "'))
        written = {float(text) for text in _NUMBER.findall(_OF_SAMPLES.sub("", lines))}
        if _OF_SAMPLES.search(lines):
            return any(number in self._like or abs(number) not in written for number in numbers)
        return any(number in self._like and number not in written for number in numbers)
