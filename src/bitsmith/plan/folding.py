"""How a matrix product is cut into tiles that share multipliers."""

from __future__ import annotations


def tile(n: int, m: int, cycles: int) -> tuple[int, int]:
    """Into how many ``(steps, groups)`` the operands and the results of an n x m product are cut for at most ``cycles`` cycles.

    A tile of ``ceil(n / steps)`` by ``ceil(m / groups)`` products is made per cycle; the cut is that of the fewest products, and
    of the fewest groups among equals, because the operands come again for each group.
    """
    best: tuple[int, int, int] | None = None
    for groups in sorted({-(-m // size) for size in range(1, m + 1)}):
        if groups > cycles:
            break
        size = -(-n // min(cycles // groups, n))
        steps = -(-n // size)
        products = size * -(-m // groups)
        if best is None or products < best[0]:
            best = (products, steps, groups)
    assert best is not None
    return best[1], best[2]
