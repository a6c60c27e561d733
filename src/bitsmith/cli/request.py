"""Requests: one project configuration, options before the files.

In: `ModelOptions`. Out: a `Request`, which converts or explains, and can be written as the YAML of a project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from bitsmith.cli.options import ModelOptions
from bitsmith.config.reading import Problems, leaves, mapping, put, squash
from bitsmith.conversion.conversion import Conversion, split_shape
from bitsmith.errors import ConfigError
from bitsmith.frontends.named import NamedModel, keys_of_files, model_keys
from bitsmith.options.option import among
from bitsmith.options.project import ProjectConfig, key_path, parse_yaml_config, project_keys, read_project
from bitsmith.options.table import OPTIONS, Arguments
from bitsmith.options.texts import read_setting

Tree = dict[str, object]

_SECTIONS = ("model", "layertype", "layername")
"""Keys of a configuration of layers, which is not one of a project."""
_PROJECT_FILES = (".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class Request:
    """A named model, the project around it, and the options that no project configuration has.

    ``content`` is the project as plain data, with the user's configuration of layers under ``HLSConfig``.
    """

    named: NamedModel
    content: Tree
    project: ProjectConfig
    options: ModelOptions

    @staticmethod
    def of(options: ModelOptions, output_dir: Path | None = None) -> Request:
        """Return the request of the options and of the files that they name.

        Raises:
            ConfigError: no model, or something that is not understood.
        """
        content = _content(options)
        if output_dir is not None:
            put(content, ["OutputDir"], output_dir)
        content["HLSConfig"], shape = split_shape(_layers(content))
        if shape is not None:  # of config_from_pytorch_model
            content.setdefault("InputShape", shape)
        layers = _layers(content)
        for path, value in _keys(options):
            put(content if path[0] in project_keys() else layers, path, value)
        if options.file is not None and options.file.suffix.lower() not in _PROJECT_FILES:
            named = keys_of_files(options.file, options.path("weights"), "--weights")
            others = {key.name for key in model_keys()}
            content = {**{key: value for key, value in content.items() if key not in others}, **named}
        project = read_project(content)
        if project.model is None:
            accepted = f"FILE, or a project with {', '.join(key.name for key in model_keys())}"
            raise ConfigError("no model", where="command line", accepted=accepted)
        return Request(project.model, content, project, options)

    @property
    def model(self) -> Path:
        """The model's file."""
        return Path(str(self.named.source))

    def conversion(self) -> Conversion:
        """All choices of the conversion."""
        names = [option.name for option in OPTIONS if option.key is None and option.name in self.options.chosen]
        arguments = among(Arguments, {name: self.options.meant(name) for name in names})
        return Conversion.named(self.named, self.project, arguments)

    def defaulted(self, generated: Tree) -> str:
        """The YAML of the project with a generated configuration beneath what the user says."""
        said = list(leaves(_layers(dict(self.content))))
        for path, value in said:
            put(generated, path, value)
        return replace(self, content={**self.content, "HLSConfig": generated}).written({})

    def written(self, chosen: Mapping[str, object], io_type: str | None = None) -> str:
        """The YAML of the project with the configuration ``chosen`` besides."""
        content = {key: _plain(value) for key, value in self.content.items() if value is not None}
        for key in (*(key.name for key in model_keys()), "InputData"):
            if key in content:
                content[key] = str(Path(str(content[key])).absolute())
        content |= {} if io_type is None else {"IOType": io_type}
        layers = _layers(content)
        content["HLSConfig"] = content.pop("HLSConfig")  # the last
        for path, value in leaves(chosen):
            put(layers, path, value)
        return yaml.safe_dump(content, sort_keys=False)


def _content(options: ModelOptions) -> Tree:
    """The project of the files that are given; what is one of layers alone is its ``HLSConfig``."""
    content: Tree = {}
    for path in (options.file, options.config):
        if path is None or (path is options.file and path.suffix.lower() not in _PROJECT_FILES):
            continue
        document = parse_yaml_config(path)
        if any(squash(str(key)) in _SECTIONS for key in document):
            content["HLSConfig"] = dict(document)
        else:
            known = {squash(key): key for key in project_keys()}
            content |= {known.get(squash(str(key)), key): value for key, value in document.items()}
    return content


def _keys(options: ModelOptions) -> Iterator[tuple[list[str], object]]:
    """Options that are keys of a project, as paths, and then single keys that are typed."""
    for option in OPTIONS:
        if option.key is not None and option.name in options.chosen:
            yield key_path(option.key.path), options.meant(option.name)
    for text in options.set_ or ():
        key, value = read_setting(text, "--set", "KEY=VALUE, such as Model.ReuseFactor=4: a value as in YAML")
        yield key_path(key), value


def _layers(content: Tree) -> Tree:
    """The configuration of layers within ``content``.

    Raises:
        ConfigError: it is no dictionary.
    """
    problems = Problems()
    layers: Tree = mapping(content.get("HLSConfig"), "HLSConfig", problems)
    problems.finish()
    content["HLSConfig"] = layers
    return layers


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return str(value) if isinstance(value, Path) else value
