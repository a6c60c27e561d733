"""The vendors' tools on a system: the calls that make what goes to a board."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bitsmith.errors import ToolMissingError
from bitsmith.errors.remedies import remedy, write
from bitsmith.flows.run import Command, Flow
from bitsmith.flows.tools import FoundTool, absent
from bitsmith.flows.vendor import on_path
from bitsmith.systems.system import Step, System

_ERROR = r"^(?:ERROR|CRITICAL ERROR|Error)\b(?!.*\b0 errors)"


@dataclass(frozen=True, slots=True)
class SystemFlow(Flow[None]):
    """The flow of a system's steps."""

    system: System

    def find(self) -> tuple[FoundTool, ...]:
        """The programs of all steps, each once; one that is missing says what a user types where it is."""
        return tuple(dict.fromkeys(self._program(step) for step in self.system.steps))

    def commands(self, project: Path, tools: Sequence[FoundTool]) -> tuple[Command, ...]:
        commands = []
        for step, log in zip(self.system.steps, self.logs(), strict=True):
            begins = {start[0]: start[1:] for start in step.programs}
            tool = next(tool for tool in tools if tool.name in begins)
            before = begins[tool.name]
            commands.append(
                Command(
                    argv=(str(tool.path), *before, *step.arguments),
                    cwd=project,
                    log=project / log,
                    outputs=tuple(project / output for output in step.outputs),
                    error_pattern=_ERROR,
                )
            )
        return tuple(commands)

    def read(self, project: Path, tools: Sequence[FoundTool]) -> None:
        """Nothing: what was made is named by the system."""

    def logs(self) -> tuple[str, ...]:
        """The log of each step, inside the project."""
        names = [re.sub(r"[^a-z]", "", step.programs[0][0]) for step in self.system.steps]
        return tuple(f"logs/system_{at}_{name}.log" for at, name in enumerate(names, 1))

    def _program(self, step: Step) -> FoundTool:
        for start in step.programs:
            if (tool := on_path(start[0])) is not None:
                return tool
        names = " nor ".join(start[0] for start in step.programs)
        first = self.system.steps[0]
        typed = " ".join((*first.programs[0], *first.arguments))
        error = ToolMissingError(
            f"not on PATH: {names}",
            where=f"bitstream for {self.system.board}",
            remedy=remedy(
                f"{self.system.install}. Without it: ",
                write(),
                f" writes the project; on a machine that has the tools `make bitstream` in its folder starts `{typed}`"
                + (f", then {len(self.system.steps) - 1} more" * (len(self.system.steps) > 1)),
            ),
        )
        return absent(step.programs[0][0], step.programs[0][0], error)
