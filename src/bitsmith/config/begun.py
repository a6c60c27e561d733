"""Generated configurations that a script may edit anywhere: asking for an entry that is not written yet begins it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bitsmith.config.matching import meant_by, type_names
from bitsmith.config.reading import did_you_mean, leaves, listed, put, shown
from bitsmith.config.resolving import GENERATED_TYPES
from bitsmith.errors import ConfigKeyError, nearest
from bitsmith.layers.network import NetworkNode

TYPES, NAMES = "LayerType", "LayerName"


class Entries(dict[str, dict[str, Any]]):
    """Entries of a section, by layer or by type; a name of other tools leads to the entry of the layer that it means.

    Attributes:
        meant: the keys that a name stands for, none where it has an entry of its own; None: any name may have one.
    """

    def __init__(
        self, section: str, meant: Mapping[str, Sequence[str]] | None, entries: Mapping[str, dict[str, Any]]
    ) -> None:
        super().__init__(entries)
        self.section, self.meant = section, meant

    def __missing__(self, name: str) -> dict[str, Any]:
        if self.meant is not None and name not in self.meant:
            raise unknown(name, self.section, [known for known, keys in self.meant.items() if keys])
        written = {key: self[key] for key in (self.meant or {}).get(name, ()) if key in self}
        return next(iter(written.values())) if len(written) == 1 else self._joined(name, written)

    def _joined(self, name: str, written: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """A new entry in place of those that it is for, which would hide it: they say more of their layers than it does."""
        entry: dict[str, Any] = {"Precision": {}}
        held: dict[tuple[str, ...], object] = {}
        for path, value in leaves(written):
            if held.setdefault(tuple(path[1:]), value) != value:
                raise ConfigKeyError(
                    f"{name!r} stands for {listed(written)}, whose entries are no longer alike",
                    where=f"{self.section}.{name}",
                    remedy="change each of them",
                )
            put(entry, path[1:], value)
        for key in written:
            del self[key]
        return self.setdefault(name, entry)

    def __reduce__(self) -> tuple[Any, ...]:
        return Entries, (self.section, self.meant, dict(self))


class Begun(dict[str, Any]):
    """A configuration whose sections begin when they are asked for."""

    def __init__(self, sections: Mapping[str, Any], meant: Mapping[str, Mapping[str, Sequence[str]] | None]) -> None:
        super().__init__(sections)
        self.meant = meant
        for section in meant.keys() & sections.keys():
            self[section] = Entries(section, meant[section], sections[section])
        _show_as_yaml()

    def __missing__(self, section: str) -> Entries:
        if section not in self.meant:
            raise unknown(section, "the configuration", (*self, *self.meant))
        self[section] = entries = Entries(section, self.meant[section], {})
        return entries

    def __reduce__(self) -> tuple[Any, ...]:
        return Begun, (dict(self), self.meant)


def begun(sections: Mapping[str, Any], nodes: Sequence[NetworkNode]) -> Begun:
    """The configuration of layers, of which there are none where they are not known yet."""
    return Begun(sections, {TYPES: _kinds_of(nodes) if nodes else None, NAMES: meant_by(nodes) if nodes else None})


def _kinds_of(nodes: Sequence[NetworkNode]) -> dict[str, tuple[str, ...]]:
    """The kinds that a type stands for, if it is the type of all of their layers; none of a type that has its own entry."""
    of_types: dict[str, dict[str, int]] = {name: {} for name in GENERATED_TYPES}
    known = [node for node in nodes if not node.inner]
    for node in known:
        for name in type_names(node):
            counts = of_types.setdefault(name, {})
            counts[node.layer.kind] = counts.get(node.layer.kind, 0) + 1
    kinds = Counter(node.layer.kind for node in known)
    return {name: tuple(counts) if counts.items() <= kinds.items() else () for name, counts in of_types.items()}


def unknown(name: object, where: str, names: Iterable[str]) -> ConfigKeyError:
    """The error about a key that no entry has."""
    known = list(names)
    text = name if isinstance(name, str) else ""
    return ConfigKeyError(
        f"no entry {shown(name)}", where=where, accepted=nearest([text], known), remedy=did_you_mean(text, known)
    )


def _show_as_yaml() -> None:
    """Have these written to YAML as the plain dictionaries that they are."""
    import yaml

    for dumper in (yaml.SafeDumper, yaml.Dumper):
        for kind in (Begun, Entries):
            dumper.add_representer(kind, yaml.SafeDumper.represent_dict)
