"""Settings of one layer, resolved; everything left out is decided by the lowering (``auto``)."""

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from bitsmith.ir.types import FixedFormat
from bitsmith.layers.auto import AUTO_BITS


class Strategy(enum.Enum):
    """Strategy for constant products."""

    LATENCY = "latency"
    RESOURCE = "resource"
    UNROLLED = "unrolled"
    MULTIPLIER_BLOCKS = "multiplier_blocks"
    DISTRIBUTED_ARITHMETIC = "distributed_arithmetic"
    SHARED = "shared"


class Binning(enum.Enum):
    """Function value that stands for a bin of a table that is coarser than its input."""

    FLOOR = "floor"
    CENTER = "centre"
    LINEAR = "linear"


class SoftmaxImplementation(enum.Enum):
    """Implementation of softmax."""

    STABLE = "stable"
    LATENCY = "latency"
    ARGMAX = "argmax"


class Weights(enum.Enum):
    """Source of a layer's weights: they are in the circuit, come in for each frame, or can be loaded later."""

    ONCHIP = "onchip"
    EXTERNAL = "external"
    RELOADABLE = "reloadable"


class Outliers(enum.Enum):
    """Treatment of calibration samples far outside all others: ranges of ``auto`` hold them, or they saturate."""

    KEEP = "keep"
    SATURATE = "saturate"


LEAST_BITS, MOST_BITS = 2, 24
"""The budgets that there are. The trained values have single precision: 24 bits."""

FACTORS = frozenset({"weight", "recurrent_weight", "peephole_weight", "scale", "current_scale"})
"""Variables of trained factors."""

SUMS = frozenset({"accum", "result"})
"""Variables of a layer's sums."""

LIMITED = {"state": frozenset({"state"}), "gate": frozenset({"activation", "recurrent_activation"})}
"""Variables that have the bits of results, or fewer of their own, by what these are called."""


@dataclass(frozen=True, slots=True)
class Bits:
    """Bits of relative accuracy that ``auto`` keeps: of trained factors, and of results and all that is added to them.

    A hidden ``state``, and what activations within a recurrence give (``gate``), have those of results, if these are not more.
    """

    weight: int = AUTO_BITS
    result: int = AUTO_BITS
    state: int = MOST_BITS
    gate: int = MOST_BITS

    def __str__(self) -> str:
        parts = "".join(f", {bits} of {name}s" for name, bits in self.keys.items() if name in LIMITED)
        apart = "" if self.weight == self.result else f"{self.result} of "
        return f"{self.weight} bits of weights and {apart}results{parts}"

    def of(self, variable: str) -> int:
        """Those of ``variable``."""
        if variable in FACTORS:
            return self.weight
        limits: list[int] = [getattr(self, name) for name, variables in LIMITED.items() if variable in variables]
        return min([self.result, *limits])

    @property
    def keys(self) -> dict[str, int]:
        """The key of a configuration that says them."""
        return {name: bits for name, bits in asdict(self).items() if name not in LIMITED or bits < self.result}


@dataclass(frozen=True, slots=True)
class Settings:
    """One layer's settings. ``precision`` maps variable names (``result``, ``weight``, ...) to formats; absent is auto.

    ``bits`` are the budget of ``auto``, and ``widest`` the most bits of a result that it gives. ``table_size`` is in entries,
    ``table_range`` in real values. ``digit_price`` is the share of the outputs' variance that a signed digit of a weight must
    save as error to be there, at each position; with 0 weights are rounded to the nearest. ``channel_price`` is that of each
    weight by which a channel that the layer reads is made and multiplied; channels that are not worth theirs go. Ranges of
    results are ``headroom`` times those that the user's calibration data show.
    """

    precision: Mapping[str, FixedFormat] = field(default_factory=dict)
    bits: Bits = Bits()
    widest: int | None = None
    reuse_factor: int = 1
    parallelization_factor: int = 1
    register_slices: int = 0
    strategy: Strategy = Strategy.LATENCY
    table_size: int | None = None
    table_range: tuple[float, float] | None = None
    binning: Binning | None = None
    implementation: SoftmaxImplementation | None = None
    trace: bool = False
    skip: bool = False
    weights: Weights = Weights.ONCHIP
    outliers: Outliers = Outliers.KEEP
    digit_price: float = 0.0
    channel_price: float = 0.0
    headroom: float = 2.0

    @property
    def result_bits(self) -> int:
        """Bits that are kept of results, within the widest that they may be."""
        return min(self.bits.result, self.widest or self.bits.result)
