"""Tries the solver on a random matrix, without the rest of bitsmith: ``python -m bitsmith_native``."""

import numpy as np

from bitsmith_native import solve


def main() -> None:
    """Check that the adders of a graph compute the matrix product."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-128, 128, (16, 16))
    inputs = np.tile(np.array([-128, 127, 0]), (16, 1))
    adders, outputs = solve(weights, inputs, 12_000_000, 8, 1_000_000, 0)
    values = list(rng.integers(-128, 128, 16))
    given = np.array(values)
    for a, b, shift_a, shift_b, subtract in adders.tolist():
        right = values[b] << shift_b
        values.append((values[a] << shift_a) + (-right if subtract else right))
    results = [(values[node] << shift) * (-1 if negate else 1) for node, shift, negate in outputs.tolist()]
    if results != (given @ weights).tolist():
        raise SystemExit("the graph does not compute the product")
    print(f"{len(adders)} adders compute the product of 16 inputs with a matrix of 16x16")


if __name__ == "__main__":
    main()
