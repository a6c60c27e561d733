"""Einstein sums as users write them: of any number of tensors, and with a letter twice in a term, which takes a diagonal."""

import math
from collections.abc import Sequence

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder
from bitsmith.frontends.builder.value import Value
from bitsmith.frontends.ops import selection
from bitsmith.frontends.ops.contraction import contracted
from bitsmith.layers.einsum import parse_equation


def einsum(build: Builder, text: str, tensors: Sequence[Value]) -> Value:
    """The Einstein sum that ``text`` says: diagonals first, then pairs whose product is the smallest, weights last."""
    text = "".join(text.split())
    left, arrow, result = text.partition("->")
    terms, values = left.split(","), list(tensors)
    if not arrow:
        once = sorted(letter for letter in set(left) - {",", "."} if left.count(letter) == 1)
        result = "..." * ("..." in left) + "".join(once)
    if len(terms) == len(values):
        for place, (term, x) in enumerate(zip(terms, values, strict=True)):
            terms[place], values[place] = _without_pairs(build.within(f"diagonal{place}"), term, x)
    equation = parse_equation(f"{','.join(terms)}->{result}", [x.rank for x in values])
    pairs = sorted(zip(equation.operands, values, strict=True), key=lambda pair: pair[1].batch is None)
    if len(pairs) <= 2:
        return contracted(build, equation.operands, equation.result, values)
    sizes = dict.fromkeys("".join(equation.operands), 1)
    for term, x in pairs:
        sizes |= {label: max(sizes[label], size) for label, size in zip(term, x.dims, strict=True)}
    while len(pairs) > 2:
        (term, x), *others = pairs
        products = []
        for place, (other, _) in enumerate(others):
            rest = equation.result + "".join(label for label, _ in others[:place] + others[place + 1 :])
            kept = "".join(dict.fromkeys(label for label in term + other if label in rest))
            products.append((math.prod(sizes[label] for label in kept), place, kept))
        _, place, kept = min(products)
        other, y = others.pop(place)
        pairs = [(kept, contracted(build.within(f"pair{len(others)}"), (term, other), kept, (x, y))), *others]
    return contracted(build, [term for term, _ in pairs], equation.result, [x for _, x in pairs])


def _without_pairs(build: Builder, term: str, x: Value) -> tuple[str, Value]:
    """A term without letters that it has twice: the diagonal of their axes becomes its last axis."""
    for letter in dict.fromkeys(term.replace(".", "")):
        while term.count(letter) > 1:
            before, _, after = term.partition("...")
            places = [k for k, label in enumerate(before) if label == letter]
            places += [k - len(after) for k, label in enumerate(after) if label == letter]
            if x.rank < len(term.replace("...", "")):
                return term, x  # refused with the equation
            dims = [x.counted(place) for place in places[:2]]
            sides = [x.dims[dim] for dim in dims]
            if len(set(sides)) > 1:
                raise UnsupportedError(f"a diagonal of {sides[0]} rows and {sides[1]} columns", accepted="as many")
            x = selection.diagonal(build, x, dims)
            first = term.index(letter)
            second = term.index(letter, first + 1)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
    return term, x
