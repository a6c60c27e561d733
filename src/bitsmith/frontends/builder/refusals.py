"""Messages about layers and operators that are not translated: the reason and the nearest thing that works."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from bitsmith.errors import ApproximateError, UnsupportedError, nearest

_SHOWN = 50
"""Most layers that one message lists."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A layer that cannot be translated: its class, or, where that is known, something that it asks for."""

    name: str
    class_name: str
    why: str
    remedy: str
    class_known: bool = False
    approximable: bool = False

    @property
    def reason(self) -> str:
        """All but the name."""
        line = f"({self.class_name}): {self.why}"
        return f"{line}; {self.remedy}" if self.remedy else line


def refused(name: str, class_name: str, error: UnsupportedError) -> Refusal:
    """A layer whose class is known, but not what its configuration asks for."""
    approximable = isinstance(error, ApproximateError)
    said = f"approximately: {error.instead}" if isinstance(error, ApproximateError) else str(error.remedy)
    remedy = "; ".join(filter(None, (error.accepted and f"accepted: {error.accepted}", said)))
    return Refusal(name, class_name, error.found, remedy, class_known=True, approximable=approximable)


@dataclass(slots=True)
class Refusals:
    """All that is refused of a model, each layer once for each reason."""

    found: dict[tuple[str, str], Refusal] = field(default_factory=dict)

    def add(self, refusal: Refusal) -> None:
        """Collect a refusal."""
        self.found.setdefault((refusal.name, refusal.reason), refusal)

    @contextlib.contextmanager
    def collected(self, name: str, class_name: str) -> Iterator[None]:
        """Collect what the translation of a layer refuses; what overflows in it is found by the builder."""
        try:
            with np.errstate(all="ignore"):
                yield
        except UnsupportedError as error:
            self.add(refused(name, class_name, error))

    def error(self, where: str, accepted: Iterable[str], remedy: str = "") -> UnsupportedError:
        """One error for all layers that cannot be translated; those of one class and reason share a line.

        Those of the ``accepted`` classes that are most like the ones that are not known follow, and a ``remedy`` of all.
        """
        refusals = list(self.found.values())
        named: dict[str, list[str]] = {}
        for refusal in refusals[:_SHOWN]:
            named.setdefault(refusal.reason, []).append(refusal.name)
        lines = [f"{', '.join(names)} {reason}" for reason, names in named.items()]
        if len(refusals) > _SHOWN:
            lines.append(f"and {len(refusals) - _SHOWN} more")
        unknown = [refusal.class_name for refusal in refusals if not refusal.class_known]
        classes = nearest(unknown[:_SHOWN], accepted) if unknown else ""
        noun = "layer" if len(refusals) == 1 else "layers"
        found = "\n    ".join([f"{len(refusals)} {noun} cannot be translated", *lines])
        if all(refusal.approximable for refusal in refusals):
            return ApproximateError(found, where=where, accepted=classes)
        return UnsupportedError(found, where=where, accepted=classes, remedy=remedy)
