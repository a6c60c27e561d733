"""HGQ2's layers of spiking neurons, unrolled: a membrane that gathers its operands, fires above a threshold and is reset."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bitsmith.errors import UnsupportedError
from bitsmith.frontends.builder.builder import Builder, finite
from bitsmith.frontends.builder.value import Kind, Value, constant, held
from bitsmith.frontends.keras.call import ByClass, LayerCall, Translation
from bitsmith.frontends.keras.hgq.grids import FixedPoint, quantized
from bitsmith.frontends.keras.hgq.layers import on_grid
from bitsmith.frontends.keras.hgq.quantizers import read_quantizer, variables
from bitsmith.frontends.keras.hgq.recurrent import of_steps
from bitsmith.frontends.keras.recurrent import check_growth, unrolled_sequence
from bitsmith.frontends.ops.arithmetic import add, multiply, subtract
from bitsmith.frontends.ops.logic import compare
from bitsmith.frontends.ops.reduction import extreme_index
from bitsmith.frontends.ops.unrolled import Gates, States, over_steps
from bitsmith.ir.ops import Relation
from bitsmith.layers.layer import Floats, as_weights
from bitsmith.layers.quantization.lookup import Staircase

_LEARNED = {"beta": "learn_beta", "threshold": "learn_threshold", "factor": "learn_graded_spikes_factor"}
_RESETS = ("subtract", "zero", "none")


@dataclass(frozen=True, slots=True)
class _Neurons:
    """Trained numbers, one for all units or one for each, and what a configuration says."""

    units: int
    threshold: Floats
    factor: Floats
    beta: Floats | None
    reset: str
    inhibits: bool
    sq: FixedPoint | None
    oq: FixedPoint | None

    def step(self, build: Builder, x: Gates, states: States) -> tuple[Value, States]:
        """The spikes of a step, and the membrane after it."""
        state = states[0]
        if self.beta is not None:
            state = multiply(build.within("leak"), state, held(constant(self.beta)))
        membrane = add(build.within("membrane"), state, *x)
        winner = self._winner(build.within("winner"), membrane) if self.inhibits else None
        fired = self._where_above(build, membrane, self.factor, winner, "fired")
        result = quantized(build, fired, self.oq, "" if self.oq is None else "oq")
        if self.reset == "subtract":
            spent = self._where_above(build, membrane, self.threshold, winner, "spent")
            membrane = subtract(build.within("reset"), membrane, spent)
        elif self.reset == "zero":
            pulse = self._where_above(build, membrane, as_weights(1.0), winner, "pulse")
            rest = subtract(build.within("rest"), held(constant(1.0)), pulse)
            membrane = multiply(build.within("reset"), membrane, rest)
        return result, (quantized(build, membrane, self.sq, "sq"),)

    def _where_above(self, build: Builder, x: Value, high: Floats, winner: Value | None, suffix: str) -> Value:
        """``high`` where the membrane is above its threshold, of the winner alone if there is one."""
        levels = np.stack(np.broadcast_arrays(0.0, high), axis=-1)
        step = Staircase(as_weights(self.threshold[..., None]), as_weights(levels), above=True)
        y = build.emit(step, x, suffix=suffix if winner is None else f"{suffix}_each")
        return y if winner is None else multiply(build.within(suffix), y, winner)

    def _winner(self, build: Builder, membrane: Value) -> Value:
        """1 at the first unit that is farthest above its threshold."""
        score = add(build.within("score"), membrane, held(constant(as_weights(-self.threshold))))
        first = extreme_index(build, score, (1,), True)
        chosen = compare(build, Relation.EQ, first, constant(as_weights(range(self.units)), kind=Kind.INT64), "chosen")
        return replace(chosen, kind=Kind.REAL)


def _spikes(call: LayerCall) -> tuple[Value, ...]:
    x, config = unrolled_sequence(call, call.config, "zero_output_for_mask"), call.config
    leaks = "beta_q_conf" in config.values
    units, trained = config.positive("units"), _trained(call, leaks)
    if x.dims[-1] != units:
        raise config.error(f"called on {x.dims[-1]} channels", f"{units}, one for each unit")
    if (reset := config.text("reset_mechanism", "subtract")) not in _RESETS:
        raise config.wrong("reset_mechanism", ", ".join(_RESETS))
    of_itself = config.flag("surrogate_disable", False) or config.get("spike_grad") is None
    if not of_itself and config.fields("spike_grad").text("class_name") != "ATan":
        raise UnsupportedError("a function of spikes of another package", accepted="ATan, which gives 0 and 1")
    iq, sq, oq = (
        read_quantizer(call, f"cell/{name}", enabled=config.flag(f"enable_{name}", name != "oq"))
        for name in ("iq", "sq", "oq")
    )
    beta = trained.get("beta")
    if sq is None and beta is not None:
        places = next(number for number in range(1100) if not np.any(np.ldexp(beta, number) % 1.0))
        check_growth(places, x.dims[1], "enable_sq=True")
    neurons = _Neurons(
        units, trained["threshold"], trained["factor"], beta, reset, config.flag("inhibition", False), sq, oq
    )
    sequences, backwards = (config.flag(key, False) for key in ("return_sequences", "go_backwards"))
    operands, rest = of_steps(call, x, iq), held(constant(np.zeros((1, units))))
    shown, states = over_steps(call.build, (operands,), (rest,), neurons.step, sequences=sequences, backwards=backwards)
    return (shown, *states)[: 1 + config.flag("return_state", False)]


def _trained(call: LayerCall, leaks: bool) -> Mapping[str, Floats]:
    """The trained numbers, of which factor and beta are quantized; those that are learned are stored first."""
    names = [name for name in _LEARNED if leaks or name != "beta"]
    names.sort(key=lambda name: not call.config.flag(_LEARNED[name], False))
    stored, units = variables(call, "cell"), call.config.positive("units")
    if len(stored) != len(names) or any(one.shape not in ((), (units,)) for one in stored):
        raise call.config.error(
            f"variables of shapes {[one.shape for one in stored]}", f"{', '.join(names)}: of one number or {units}"
        )
    numbers = {
        name: as_weights(finite(one.read(), name, call.config.where)) for name, one in zip(names, stored, strict=True)
    }
    for name, part in (("factor", "graded_spikes_factor_q"), ("beta", "beta_q")):
        grid = read_quantizer(call, f"cell/{part}", enabled=name in numbers)
        if grid is not None:
            numbers[name] = on_grid(call.config, name, grid, numbers[name]).elements
    return numbers


_BECOMES = "Quantize, Staircase, Add and Stack, for each step"

SPIKING: ByClass = {name: Translation(_spikes, _BECOMES) for name in ("QSimpleSNN", "QLIF")}
