"""The descent of a fit: fewer bits and dearer digits, layer by layer, as long as the goal's metric is met.

In: what a model was compiled from, a target, a goal, and the part of the data to fit on. Out: trials, each a network with its
rough cost and its score. Method: networks with the same dials at all layers, from many bits to few; from a good one of these
the dial is turned whose step saves most for the difference from the float model that it adds, until each step breaks the bound.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bitsmith.base.progress import tell
from bitsmith.base.project import digest
from bitsmith.building.job import Target
from bitsmith.compiler import Compiled, Source
from bitsmith.config.values import BlockMemory
from bitsmith.emulate import Emulator
from bitsmith.estimate.needs import fits, limited
from bitsmith.estimate.obstacle import crowding, takers
from bitsmith.fidelity.scores import Yardstick
from bitsmith.ir.text import to_text
from bitsmith.layers.settings import FACTORS, LEAST_BITS, LIMITED, MOST_BITS, Bits
from bitsmith.model.goal import Goal
from bitsmith.model.points import Layouts, compiled_with
from bitsmith.model.results import Result, Results
from bitsmith.version import __version__

PRICES = (0.0, *(round(1e-7 * 2**k, 8) for k in range(13)))
"""Prices of digits that are tried."""

TABLES = (None, 256, 64, 32)
"""Most entries of tables that are tried, each for the middle of a part of the operand; None: as many as accuracy needs.

Of 64 entries of eight bits Yosys makes 8 look-up tables on UltraScale+, of 128 entries about 33.
"""

ROOMS = (2.0, 1.0, 0.75, 0.5)
"""Ranges of results that are tried, in those that the fitted samples show. The held-out ones decide whether that is enough."""

_ENDS = {"price": len(PRICES) - 1, "table": len(TABLES) - 1, "room": len(ROOMS) - 1}
"""The last numbers of dials that are turned up."""


@dataclass(frozen=True, slots=True)
class Dials:
    """Bits, and the numbers of the prices of digits and channels, of the size of tables and of the range of results."""

    weight: int = 16
    result: int = 16
    price: int = 0
    table: int = 0
    room: int = 0
    state: int = MOST_BITS
    gate: int = MOST_BITS
    channel: int = 0

    def turned(self, name: str) -> Dials | None:
        """The next setting of the dial ``name``; None at its end."""
        value = min(getattr(self, name), self.result) if name in LIMITED else getattr(self, name)
        if name in _ENDS:
            return replace(self, **{name: value + 1}) if value < _ENDS[name] else None
        return replace(self, **{name: value - 1}) if value > LEAST_BITS else None

    @property
    def bits(self) -> Bits:
        """The bits."""
        return Bits(self.weight, self.result, self.state, self.gate)

    def keys(self, common: Dials | None = None) -> dict[str, object]:
        """The keys of a configuration that say it, without those of ``common``."""
        bits = {name: count for name, count in self.bits.keys.items() if not common or getattr(common, name) != count}
        price = {} if common and common.price == self.price else {"DigitPrice": PRICES[self.price]}
        size = TABLES[self.table]
        sized = {"TableSize": size or "auto", "Binning": "centre" if size else "auto"}
        table = {} if (common or Dials()).table == self.table else sized
        room = {} if common and common.room == self.room else {"Headroom": ROOMS[self.room]}
        channel = {} if common or not self.channel else {"ChannelPrice": PRICES[self.channel]}
        return {**({"Bits": bits} if bits else {}), **price, **channel, **table, **room}


_LAST = Dials(LEAST_BITS, LEAST_BITS, state=LEAST_BITS, gate=LEAST_BITS, **_ENDS)
"""The ends of all dials."""

_LADDER = tuple(
    Dials(*steps, room=int(place > 2))
    for place, steps in enumerate(
        (
            *((16, 16, 0), (12, 12, 1), (10, 10, 3), (9, 10, 4), (8, 10, 5), (8, 9, 6), (8, 8, 6), (7, 8, 7)),
            *((6, 8, 7), (6, 7, 7), (6, 7, 8), (5, 6, 8), (4, 6, 9), (3, 5, 10), (2, 4, 11), (2, 3, 12)),
        )
    )
)
"""Dials of all layers alike that are looked at first; results of many bits have room for more than the samples show."""

_BACK, _BACK_FOR_ROOM, _WIDEST, _DEEPER, _CHANCES = (3, 1), (1, 0), 2, 3, 2
"""Steps of the ladder above the last good one from which descents start, also in a scarce part, and the first one that they
start from if it may be; those that are looked at below it, and how often a descent tries dials whose steps broke the bound."""

_TOGETHER = "result", "weight", "price", "room"
"""Dials that are turned at all layers at once before single layers are: few networks tell what the ladder couples."""

_JUMP = 0.02
"""The share of a network's cost by which a step adds to it that is no chance of rounding: a table has become another, say."""

_STEPS, _OF_LOSS, _WORTH = (8, 4, 2, 1), 0.25, 0.75
"""Steps of the price of channels, the share of what may be lost that their absence takes, and the cost that stays at most."""

_TINY, _OF_ROOM, _LEAST_LACKING = 1e-9, 1e12, 1e-4


@dataclass(frozen=True, slots=True)
class Trial(Result):
    """A network that was tried.

    Attributes:
        common: dials of all layers without their own.
        layers: dials of single layers.
        configuration: the keys that say them.
    """

    common: Dials
    layers: Mapping[str, Dials]
    configuration: Mapping[str, object]

    @property
    def key(self) -> str:
        """The configuration as text, by which the network is known."""
        return str(self.configuration)

    @property
    def has_room(self) -> bool:
        """Return True unless a scarce part has no room for it, however slow it is."""
        return self.cost < _OF_ROOM * _LEAST_LACKING

    def is_like(self, other: Trial) -> bool:
        """Return True if it takes the same and has the same outputs, as far as can be seen."""
        return (self.cost, self.distance) == (other.cost, other.distance)


@dataclass(slots=True)
class Descent:
    """A search. Networks that were tried are ``known`` by their keys, so that they stay when it is interrupted.

    ``tries`` are the most of them. Of networks whose ``results`` are there none is made again. Dials that have no effect to
    their ends are ``idle``. The part is ``scarce`` if the network of most bits has no room in it, however slow it is: room comes
    before what the goal wants least, then. The ``plain`` target is that without tables in memory blocks by the search's choice.
    """

    source: Source
    target: Target
    goal: Goal
    yardstick: Yardstick
    tries: int
    results: Results = field(default_factory=Results)
    known: dict[str, Trial] = field(default_factory=dict)
    made: dict[str, Compiled] = field(default_factory=dict)
    idle: set[tuple[str, str]] = field(default_factory=set)
    scarce: bool | None = None
    plain: Target | None = None

    @property
    def trials(self) -> list[Trial]:
        """All networks that were tried."""
        return list(self.known.values())

    @property
    def limits(self) -> Mapping[str, int]:
        """Bounds of area and speed."""
        return self.goal.limits(self.target.clock_period_ns, self.target.samples)

    def with_memories_as_wanted(self) -> Descent:
        """The same search where the goal says what is block memory, and how much: engines keep within its bound.

        As far as the part has room, tables are where look-up tables are to be least, and none is where blocks are.
        """
        most = self.goal.bram
        if self.target.bram is not None or self.target.circuit_part is None:
            return self
        plain = self if most is None else self._with(most or BlockMemory.NONE)
        wanted = {"lut": BlockMemory.TABLES, "bram": BlockMemory.NONE}.get(self.goal.minimize)
        if wanted is None or most == 0:
            return plain
        other = self._with(wanted)
        if wanted is BlockMemory.NONE:
            return plain if other._is_scarce() else other
        size = other.layouts(_keys(_LADDER[0], {})).rough
        in_room = size.bram and fits(size, limited(other.target.known_part, self.limits))
        return replace(other, plain=plain.target) if in_room else plain

    def _with(self, bram: BlockMemory | int) -> Descent:
        return replace(self, target=replace(self.target, bram=bram))

    def run(self) -> None:
        """Try networks until no step is left. Descents share what tries are left; one of all layers at once comes first."""
        starts = self._starts()
        for start in starts[:1]:
            self._descend(start, self.tries, self._common_dials(start))
            starts = self._without_channels(starts)
        for others, start in zip(reversed(range(len(starts))), starts, strict=True):
            most = len(self.known) + (self.tries - len(self.known)) // (others + 1)
            self._descend(start, most, self._dials(start))

    def _starts(self) -> list[Trial]:
        """Go down the ladder; the networks on it to start from, none if no network meets the bound.

        The one of fewest bits comes last. In a scarce part others have to be near it, to have room in the end, and weights are in
        memory blocks if it has some, where digits cost nothing.
        """
        rungs: list[Trial] = []
        in_memory = self._is_scarce() and self.target.known_part.die.brams
        ladder = [replace(dials, price=0) for dials in _LADDER] if in_memory else _LADDER
        for dials in dict.fromkeys(ladder):
            rungs.append(self._try(dials, {}))
            if len(rungs) > _DEEPER and all(trial.excess > 0 for trial in rungs[-_DEEPER:]):
                break
        last = max((position for position, trial in enumerate(rungs) if trial.excess <= 0), default=-1)
        back = (_BACK_FOR_ROOM if self._is_scarce() else _BACK) if last >= 0 else ()
        return [rungs[position] for position in dict.fromkeys(max(last - steps, min(last, _WIDEST)) for steps in back)]

    def _without_channels(self, starts: list[Trial]) -> list[Trial]:
        """``starts`` without channels that are not worth their price, where steps of all layers at once come out so much smaller.

        Where they do not, nothing of these networks stays: the search is what it is without the price.
        """
        channel, plain = self._channel(), self.known
        if not channel:
            return starts
        self.known = dict(plain)
        priced = [self._try(replace(start.common, channel=channel), {}) for start in starts]
        able = [start for start in priced if start.excess <= 0]
        for start in able[:1]:
            self._descend(start, self.tries, self._common_dials(start))
        every, old = (min(each.cost for each in known.values() if each.excess <= 0) for known in (self.known, plain))
        if every < _WORTH * old:
            return able
        self.known = plain
        return starts

    def _channel(self) -> int:
        """The number of the dearest price of channels that costs little of what may be lost; 0 unless it saves area.

        It is that of the network of most bits. Networks that are looked at for it are no trials. In a scarce part there are none:
        room decides there, and the widest networks have none.
        """
        widest = _LADDER[0]
        if self._is_scarce():
            return 0
        layers = self.layouts(_keys(widest, {})).compiled.network.nodes
        if sum("channel_price" in node.layer.options for node in layers) < 2:
            return 0
        plain = best = self._known_result(_keys(widest, {}))
        number = 0
        for step in _STEPS:
            dearer = min(number + step, len(PRICES) - 1)
            priced = self._known_result(_keys(replace(widest, channel=dearer), {}))
            if priced.excess <= min((1.0 - _OF_LOSS) * plain.excess, 0.0):
                number, best = dearer, priced
        return number if best.cost < _WORTH * plain.cost else 0

    def _descend(self, now: Trial, most: int, dials: Sequence[tuple[str, str]]) -> None:
        """Turn ``dials``, the one with the best ratio first; ratios that have become old are renewed before they count.

        Dials whose step broke the bound get a second chance when the others are down. Those whose step made the network much
        larger are looked at again after each step that is taken: beside other formats they may save.

        It ends with ``most`` networks.
        """
        queue = [(float("-inf"), number, *dial) for number, dial in enumerate(dials)]
        for _ in range(_CHANCES):
            heapq.heapify(queue)
            waiting, aside = list[tuple[float, int, str, str]](), list[tuple[float, int, str, str]]()
            while queue and len(self.known) < most:
                _, number, layer, name = heapq.heappop(queue)
                trial = self._turned(now, layer, name, most)
                if trial is None:
                    continue
                saved, added = now.cost - trial.cost, trial.distance - now.distance
                ratio = saved / max(added, _TINY)
                if trial.excess > 0:
                    waiting.append((float("-inf"), number, layer, name))
                elif saved < -_JUMP * now.cost:
                    aside.append((float("-inf"), number, layer, name))
                elif saved > 0 or added <= 0:
                    if not queue or -ratio <= queue[0][0]:
                        now = trial
                        queue += aside
                        heapq.heapify(queue)
                        aside.clear()
                    heapq.heappush(queue, (-ratio, number, layer, name))
            queue = waiting + aside

    def _common_dials(self, start: Trial) -> list[tuple[str, str]]:
        """The dials that all layers have alike."""
        open_names = {name for _, name in self._dials(start)}
        return [("", name) for name in _TOGETHER if name in open_names]

    def _dials(self, start: Trial) -> list[tuple[str, str]]:
        """The dials of layers that the user left open; in a scarce part those first whose layers take most of what is scarce."""
        dials = [*_open_dials(self.source)]
        if self._is_scarce():
            part = limited(self.target.known_part, self.limits)
            slowest = self.layouts(start.configuration).slowest(part)
            taken = takers(min((each.size for each in slowest), key=lambda size: crowding(size, part)), part)
            dials.sort(key=lambda dial: -taken.get(dial[0], 0.0))
        return dials

    def _turned(self, now: Trial, layer: str, name: str, most: int) -> Trial | None:
        """The network with a dial turned as far as it takes to have an effect; None without one up to its end.

        Without a layer it is the dial of all that have none of their own, which is turned once.
        """
        if not layer:
            common = now.common.turned(name)
            return None if common is None else self._try(common, now.layers)
        dials = now.layers.get(layer, now.common)
        turned, end = dials.turned(name), replace(dials, **{name: getattr(_LAST, name)})
        while turned is not None and (layer, name) not in self.idle:
            if len(self.known) >= most:
                return None
            trial = self._try(now.common, {**now.layers, layer: turned})
            if not now.is_like(trial):
                return trial
            if now.is_like(self._try(now.common, {**now.layers, layer: end})):
                self.idle.add((layer, name))
            turned = turned.turned(name)
        return None

    def resume(self, path: Path | None) -> None:
        """Read the results of the same search from a file, and write further ones there.

        Raises:
            ConfigError: a file of another search.
        """
        program = to_text(self.layouts(_keys(_LADDER[0], {})).compiled.program)
        samples = [*self.yardstick.inputs, *self.yardstick.outputs, *(each.labels for each in self.yardstick.measures)]
        metric = self.goal.metric
        goal = replace(self.goal, metric=None), getattr(metric, "__qualname__", metric)
        of = __version__, program, repr(goal), self.target.known_part.name, str(self.target.bram)
        self.results = Results.of(path, digest(*of, *(each.tobytes() for each in samples)))

    def layouts(self, keys: Mapping[str, object]) -> Layouts:
        """The layouts of the network that ``keys`` make."""
        if str(keys) not in self.made:
            self.made[str(keys)] = compiled_with(self.source, keys)
        return Layouts.of(self.made[str(keys)], self.target)

    def final_layouts(self, keys: Mapping[str, object]) -> Layouts:
        """The same with tables in memory blocks only where the exact size is less, as the network of most bits cannot tell."""
        wanted, part = self.layouts(keys), limited(self.target.known_part, self.limits)
        if self.plain is None:
            return wanted
        plain = Layouts.of(wanted.compiled, self.plain)
        return min(plain, wanted, key=lambda each: (not fits(each.as_asked.size, part), each.as_asked.size.lut))

    def _try(self, common: Dials, layers: Mapping[str, Dials]) -> Trial:
        """Compile and score a network."""
        keys = _keys(common, layers)
        if str(keys) in self.known:
            return self.known[str(keys)]
        result = self._known_result(keys)
        trial = self.known[str(keys)] = Trial(**asdict(result), common=common, layers=layers, configuration=keys)
        score = self.yardstick.text(result.scores)
        tell(f"fit: {len(self.known)} networks tried, the last {score}, about {result.luts:,} LUTs")
        return trial

    def _known_result(self, keys: Mapping[str, object]) -> Result:
        """Compile and score a network unless its results are there."""
        if str(keys) not in self.results.known:
            self.results.add(str(keys), self._result(keys))
        return self.results.known[str(keys)]

    def _result(self, keys: Mapping[str, object]) -> Result:
        laid_out, yardstick = self.layouts(keys), self.yardstick
        outputs = Emulator(laid_out.compiled.program).run(yardstick.inputs)
        excess = self.goal.excess_of(yardstick, outputs, yardstick.expected(outputs))
        cost, luts = self._cost(laid_out), laid_out.rough.lut
        return Result(cost, luts, yardstick.of_outputs(outputs), excess, yardstick.distance(outputs))

    def _cost(self, laid_out: Layouts) -> float:
        """Return what is to be least, as far as formats decide it; in a scarce part first what is lacking."""
        cost, part = self.goal.cost(laid_out.rough, laid_out.part), limited(laid_out.part, self.limits)
        if self._is_scarce():
            return cost + _OF_ROOM * self._lacking(laid_out)
        if self.goal.minimize != "interval":
            return cost
        near = next(reversed(self.known.values())).cost if self.known else math.inf
        return laid_out.pace(part, near) + _TINY * cost

    def _is_scarce(self) -> bool:
        """Find out once whether the part is scarce."""
        if self.scarce is None:
            self.scarce = self._lacking(self.layouts(_keys(_LADDER[0], {}))) > 0
        return self.scarce

    def _lacking(self, laid_out: Layouts) -> float:
        """The share of the scarcest resource that a circuit needs beyond what there is, as it is laid out or slower."""
        part = limited(laid_out.part, self.limits)
        if fits(laid_out.rough, part):
            return 0.0
        return max(min(crowding(each.size, part) for each in laid_out.slowest(part)) - 1.0, 0.0)


def _keys(common: Dials, layers: Mapping[str, Dials]) -> dict[str, object]:
    """The keys of a configuration that say all dials."""
    own = {name: dials.keys(common) for name, dials in layers.items() if dials != common}
    return {"Model": common.keys(), **({"LayerName": own} if own else {})}


def _open_dials(source: Source) -> Iterator[tuple[str, str]]:
    """Layers and the names of their dials, but those that the user's configuration has turned."""
    assert source.changed is not None
    probe = Dials(MOST_BITS, MOST_BITS - 1, state=MOST_BITS - 2, gate=MOST_BITS - 2, **_ENDS)
    for node in (node for node in source.changed({"Model": probe.keys()}).nodes if not node.inner):
        if FACTORS.intersection(node.layer.weights()) and node.settings.bits.weight == probe.weight:
            yield node.name, "weight"
        if "digit_price" in node.layer.options and node.settings.digit_price == PRICES[probe.price]:
            yield node.name, "price"
        if "table_size" in node.layer.options and node.settings.table_size == TABLES[probe.table]:
            yield node.name, "table"
        if node.settings.bits.result == probe.result and not node.layer.traits.moves:
            yield node.name, "result"
            if node.settings.headroom == ROOMS[probe.room]:
                yield node.name, "room"
        for name, variables in LIMITED.items():
            if variables.intersection(node.layer.precisions) and getattr(node.settings.bits, name) == MOST_BITS - 2:
                yield node.name, name
