"""The configuration of a whole project (model files, part, clock, output folder) -> :class:`ProjectConfig`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bitsmith.base.project import project_name
from bitsmith.config.accelerators import accelerator_named, new_section, split_accelerator
from bitsmith.config.files import read_file
from bitsmith.config.inert import PROJECT_INERT, WRITER_INERT
from bitsmith.config.latency import Latency
from bitsmith.config.model import KEYS, MODEL_KEYS, HLSConfig, collect_hls_config
from bitsmith.config.reading import Idle, Inert, Problems, Section, mapping, squash
from bitsmith.config.values import OTHER_INTERFACES, blocks_value, read_path
from bitsmith.errors import ConfigError, ProjectError
from bitsmith.frontends.frameworks import FRAMEWORKS
from bitsmith.frontends.named import NamedModel, key_named, model_keys, named_model
from bitsmith.options.option import nested
from bitsmith.options.table import DEFAULTS, OPTIONS, Chosen

OUTPUT_DIR, PROJECT_NAME = "my-hls-test", "myproject"
"""The folder and the name of a circuit that nothing gives a name."""
_LONGEST_NAME = 48

_NO_BOARD = Idle("Board", "hw_only", "it is no board")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectConfig(Chosen):
    """A checked project configuration.

    ``output_dir``, ``project_name``, ``part``, ``clock_period_ns`` and ``clock_uncertainty`` (the fraction of the period that
    is kept back) are None where the user says nothing, as is ``model``.
    ``override``, ``allow_approximate`` and ``strict`` are as of :func:`bitsmith.convert`.
    ``accelerator`` is the name of the backend in other tools whose configuration it is, if that has a board.
    ``idle`` are keys outside of ``HLSConfig`` that were accepted and have no effect.
    """

    output_dir: Path | None = None
    project_name: str | None = None
    version: str = "1.0.0"
    part: str | None = None
    clock_period_ns: float | None = None
    clock_uncertainty: float | None = None
    latency: Latency | None = None
    accelerator: str = ""
    hls_config: HLSConfig = field(default_factory=HLSConfig)
    model: NamedModel | None = None
    input_shape: Sequence[object] | None = None
    inputs: object = None
    override: bool = False
    allow_approximate: bool = False
    strict: bool = False
    output_predictions: Path | None = None
    idle: tuple[Idle, ...] = ()

    def with_choices(self, config: HLSConfig) -> ProjectConfig:
        """Return the project with what a configuration of its model says of the whole circuit.

        Raises:
            ConfigError: the project says another thing.
        """
        bram = config.model.bram
        if bram is not None and self.bram not in (None, bram):
            found = f"{blocks_value(self.bram)!r} of the project, {blocks_value(bram)!r} in the configuration"
            raise ConfigError(found, where="Model.BRAM", remedy="keep one of the two")
        return replace(self, bram=self.bram if bram is None else bram)


def names_of(project: ProjectConfig, source: object) -> tuple[Path, str]:
    """The folder and the name of a circuit: the user's, else those of the model's file ``source``, else the usual ones."""
    folder, name = OUTPUT_DIR, PROJECT_NAME
    if isinstance(source, (str, Path)):
        with suppress(ProjectError):  # no Latin letters and digits
            name = project_name(Path(source).stem)[:_LONGEST_NAME]
            name = name if name[0].isalpha() else f"p{name}"  # as read_name wants it of saved projects
            folder = f"{name}-circuit"
    return project.output_dir or Path(folder), project.project_name or name


_WRITER = "WriterConfig"
_READERS = {
    option.key.path: (option.key.field, option.key.read)
    for option in OPTIONS
    if option.key is not None and option.key.read is not None
}
"""Fields and readers of keys that are read one by one."""

WRITER_KEYS = tuple(path.removeprefix(f"{_WRITER}.") for path in _READERS if path.startswith(f"{_WRITER}."))
"""Keys of ``WriterConfig`` that mean something here."""

_INSIDE = {
    **dict.fromkeys(("Model", "LayerType", "LayerName"), "HLSConfig"),
    **dict.fromkeys(MODEL_KEYS, "HLSConfig.Model"),
    **dict.fromkeys((*WRITER_KEYS, *WRITER_INERT), "WriterConfig"),
}
"""Keys that are not of the project itself, by where they are."""

_FORMER = {"XilinxPart": "Part"}
"""Keys as older versions of hls4ml spelled them, and as it has them now."""

PROJECT_KEYS = (*(path for path in _READERS if "." not in path), "HLSConfig", _WRITER)
"""Keys of a project, beside those of models."""


def project_keys(content: Iterable[object] | None = None) -> tuple[str, ...]:
    """The keys of a project, those that name models among them.

    To look for those that installed packages bring takes as long as a small conversion: with ``content`` that is done only if it
    has keys that are no others.
    """
    models = [key.name for record in FRAMEWORKS for key in record.keys]
    known = {squash(key) for key in (*PROJECT_KEYS, *PROJECT_INERT, *models)}
    if content is None or any(squash(str(key)) not in known for key in content):
        models = [key.name for key in model_keys()]
    return (*PROJECT_KEYS, *models)


_SECTIONS_OF_KEYS = frozenset(squash(name) for name, key in KEYS.items() if key.read is None)


def key_path(key: str) -> list[str]:
    """The keys that a dotted one names; names of layers may have dots."""
    section, _, rest = key.removeprefix("HLSConfig.").partition(".")
    if section not in ("LayerName", "LayerType") or "." not in rest:
        return [section, *filter(None, rest.split("."))]
    *name, last = rest.split(".")
    section_of_keys = [name.pop()] if len(name) > 1 and squash(name[-1]) in _SECTIONS_OF_KEYS else []
    return [section, ".".join(name), *section_of_keys, last]


def parse_yaml_config(path: str | Path) -> dict[str, Any]:
    """The project configuration in a YAML (or JSON) file; relative paths in it are taken from the file's folder.

    Raises:
        ConfigError: a file that cannot be read, is not plain data, or is beyond the bounds of :mod:`bitsmith.config.files`.
    """
    path = Path(path)
    content = read_file(path)
    folder = path.absolute().parent
    files = {squash(option.key.path): option.key.files for option in OPTIONS if option.key is not None}
    files |= {squash(key.name): "" for key in model_keys()}
    config: dict[str, Any] = {}
    for key, value in content.items():
        ending = files.get(squash(key)) if isinstance(key, str) else None
        config[key] = value
        # What is not a usable path (empty, ~/...) is left for the project configuration to refuse as it stands.
        if ending is not None and isinstance(value, str) and value.strip() != "" and value[0] != "~":
            config[key] = str(folder.joinpath(value)) if value.lower().endswith(ending) else value
    return config


def read_project(config: Mapping[str, object] | str | Path) -> ProjectConfig:
    """Check and type a project configuration: a dictionary, or the path of a YAML or JSON file.

    A key with the value None counts as absent.

    Raises:
        ConfigError: every key and value that is not understood, in one error.
    """
    content = parse_yaml_config(config) if isinstance(config, (str, Path)) else config
    problems = Problems()
    accelerator, content, idle_of_board = split_accelerator(mapping(content, "", problems), problems)
    keys = project_keys(content)
    section = Section.read(content, "", keys, problems, _inert(content), _INSIDE, _FORMER)
    section.values = {key: value for key, value in section.values.items() if value is not None}
    idle = list(_without_board(section))
    writer = Section.read(section.values.get(_WRITER), _WRITER, WRITER_KEYS, problems, WRITER_INERT)
    writer.values = {key: value for key, value in writer.values.items() if value is not None}
    layers = section.values.get("HLSConfig")
    hls_config = layers if isinstance(layers, HLSConfig) else collect_hls_config(layers, "HLSConfig", problems)
    values = {
        name: (section if path in PROJECT_KEYS else writer).get(path.rpartition(".")[2], read)
        for path, (name, read) in _READERS.items()
    }
    made: Callable[..., ProjectConfig] = ProjectConfig
    project = made(
        **{name: value for name, value in values.items() if value is not None},
        accelerator=accelerator.name if accelerator else "",
        hls_config=hls_config,
        model=_named_model(section, keys, problems),
        idle=(*section.idle, *idle, *idle_of_board, *writer.idle),
    )
    problems.finish()
    return project


def _inert(content: Mapping[str, object]) -> Mapping[str, Inert]:
    """Keys without effect; ``Interface`` is one of them where it has a value of other tools."""
    inert = dict(PROJECT_INERT)
    if any(squash(key) == "interface" and value not in (None, *OTHER_INTERFACES) for key, value in content.items()):
        del inert["Interface"]
    return inert


def _named_model(section: Section, keys: Iterable[str], problems: Problems) -> NamedModel | None:
    """The model that one of the ``keys`` names; several are a problem."""
    names = [name for name in keys if name in section.values and name not in PROJECT_KEYS]
    values = {name: section.get(name, _model if key_named(name)[1].live else read_path) for name in names}
    try:
        return named_model(values)
    except ConfigError as error:
        problems.errors.append(error)
        return None


def _without_board(section: Section) -> Iterator[Idle]:
    """Take out of a section what other tools write where there is no board."""
    if section.values.get("Board") == "hw_only":
        del section.values["Board"]
        yield _NO_BOARD


def keys_of(arguments: Mapping[str, object]) -> dict[str, object]:
    """The project configuration that says the same as arguments; what no project says is left out."""
    found = {option.key.path: arguments[option.name] for option in OPTIONS if option.key and option.name in arguments}
    return nested({path: value for path, value in found.items() if not path.startswith("HLSConfig.")})


def values_of(project: Chosen) -> dict[str, object]:
    """The arguments that say the same as a project."""
    return {
        option.name: getattr(project, option.key.field)
        for option in OPTIONS
        if option.key is not None and option.key.field
    }


def create_config(
    output_dir: str | Path = OUTPUT_DIR,
    project_name: str = PROJECT_NAME,
    backend: str = "rtl",
    version: str = ProjectConfig().version,
    **kwargs: object,
) -> dict[str, Any]:
    """A project configuration with all of its settings, as a dictionary; the model's keys are added to it.

    Args:
        output_dir: folder of the generated project.
        project_name: name of the top module: letters, digits and underscores.
        backend: one of :data:`bitsmith.backends.BACKENDS`, in any case.
        version: version of the user's design, for reports.
        kwargs: any other key of a project configuration, as ``part``, ``clock_period`` or ``io_type``, or of its
            ``WriterConfig``, as ``write_tar``. A part or clock period that is None is the backend's choice.

    Raises:
        ConfigError: as :func:`read_project`.
    """
    config: dict[str, Any] = {
        "OutputDir": str(output_dir),
        "ProjectName": project_name,
        "Backend": backend,
        "Version": version,
        "Part": None,
        "ClockPeriod": None,
        "IOType": DEFAULTS["io_type"],
        "HLSConfig": {},
    }
    names = {squash(key): key for key in (*project_keys(), *PROJECT_INERT)}
    of_writers = {squash(key): key for key in (*WRITER_KEYS, *WRITER_INERT)}
    writer = {of_writers[squash(key)]: kwargs.pop(key) for key in list(kwargs) if squash(key) in of_writers}
    config |= {names.get(squash(key), key): value for key, value in kwargs.items()}
    if writer:
        config["WriterConfig"] = {**(config.get("WriterConfig") or {}), **writer}
    accelerator = accelerator_named(backend)
    if accelerator is not None and "AcceleratorConfig" not in config:
        config["AcceleratorConfig"] = new_section(accelerator, config)
    read_project(config)
    return config


def _model(value: object, where: str) -> object:
    return read_path(value, where) if isinstance(value, (str, Path)) else value
