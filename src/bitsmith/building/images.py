"""Files of the host with which a circuit executes another program, whose weights it reads from memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from bitsmith.building.capacity import Room
from bitsmith.building.design import Circuit
from bitsmith.building.job import Job
from bitsmith.building.rtl_stages import Rtl
from bitsmith.building.stages import together
from bitsmith.ir.program import Program
from bitsmith.ir.types import Ints
from bitsmith.options.building import Asked
from bitsmith.rtl.driver import DrivenCircuit, driver, image_file, images
from bitsmith.systems import EXPORT


def host_files(job: Job, program: Program, words: Sequence[Ints]) -> Mapping[str, str | bytes]:
    """The driver and the images, by their paths in the project, for other ``words`` in the memories of the circuit of ``job``."""
    return _OtherWords(job, program, words).host_files()


class _OtherWords(Rtl):
    """A circuit, executing another program."""

    def __init__(self, job: Job, program: Program, words: Sequence[Ints]) -> None:
        super().__init__(job, Room.of(job), Asked())
        self._program, self._words = program, words

    @cached_property
    def _circuit(self) -> Circuit:
        return super()._circuit.with_words(self._program, self._words)

    def host_files(self) -> Mapping[str, str | bytes]:
        """Files beside the circuit: of a board those that go to it."""
        if self._system is not None:
            system, files = self._system
            return {path: text for path, text in together(files, system.files).items() if path.startswith(f"{EXPORT}/")}
        interface = self._circuit.interface
        texts = {self._driver: driver(DrivenCircuit(self._program, interface, self.job.layouts))}
        return together({f"driver/{image_file(self._top, port)}": data for port, data in images(interface)}, texts)
