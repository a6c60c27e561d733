"""Tables of converted models: layers, inputs, outputs, weights."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from bitsmith.base.familiar import OF_MODELS, absent
from bitsmith.building.job import Target
from bitsmith.fidelity.certificate import Certificate
from bitsmith.ir.program import Program
from bitsmith.layers.network import Network
from bitsmith.report.shown import Shown
from bitsmith.report.summary import Design


class Displayed(Shown, ABC):
    """Tables of a network and its program."""

    network: Network
    program: Program
    target: Target
    notes: tuple[str, ...]
    _inherited: bool | None = None

    if not TYPE_CHECKING:  # which would take any name for one of these

        def __getattr__(self, name: str) -> object:
            raise absent(self, name, OF_MODELS)

    @abstractmethod
    def design(self) -> Design:
        """The model as reports describe it."""

    @property
    def _certificate(self) -> Certificate | None:
        """The fidelity, if it has been measured."""
        found: Certificate | None = self.__dict__.get("fidelity")
        return found

    @property
    def _calibrated(self) -> bool | None:
        """True if formats follow from calibration data, or those of the models that it was made of; None if results were off."""
        known = self._certificate
        return self._inherited if known is None else None if known.problems else known.calibrated

    def __str__(self) -> str:
        from bitsmith.report.terminal import render

        target = self.target
        shown = render(self.network, self.program, self.notes, part=target.part, clock_period_ns=target.clock_period_ns)
        return shown if self._certificate is None else f"{shown}\n{self._certificate.summary}"

    def __repr__(self) -> str:
        from bitsmith.report.terminal import totals

        target = self.target
        return f"<Model {target.project_name}: {totals(self.design().layers)}; {target.backend} for {target.part}>"

    def _repr_html_(self) -> str:
        """The table of layers, the bits of their results as bars, and their picture to unfold, for notebooks."""
        from bitsmith.report.bars import design_html

        return super()._repr_html_() + design_html(self.design())
