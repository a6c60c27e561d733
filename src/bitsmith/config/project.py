"""The configuration of a whole project (model files, part, clock, output folder) -> :class:`ProjectConfig`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bitsmith.backends import Backend
from bitsmith.config.accelerators import bus_format, split_accelerator
from bitsmith.config.files import parse_yaml_config
from bitsmith.config.inert import PROJECT_INERT, WRITER_INERT
from bitsmith.config.latency import Latency, read_latency
from bitsmith.config.model import MODEL_KEYS, HLSConfig, collect_hls_config
from bitsmith.config.reading import Idle, Inert, Problems, Section, boolean, mapping, squash
from bitsmith.config.values import (
    IOType,
    read_backend,
    read_board,
    read_clock_period,
    read_clock_uncertainty,
    read_input_shape,
    read_interface,
    read_io_type,
    read_name,
    read_part,
    read_path,
    read_platform,
    read_version,
)
from bitsmith.errors import ConfigError
from bitsmith.frontends.frameworks import FRAMEWORKS
from bitsmith.frontends.named import NamedModel, key_named, model_keys, named_model

DEFAULT_OUTPUT_DIR = Path("my-hls-test")
DEFAULT_PROJECT_NAME = "myproject"
DEFAULT_VERSION = "1.0.0"

_NO_BOARD = Idle("Board", "hw_only", "it is no board")


@dataclass(frozen=True, slots=True)
class ProjectConfig:
    """A checked project configuration.

    ``part``, ``clock_period_ns`` and ``clock_uncertainty`` (the fraction of the period that is kept back) are None where
    the user says nothing, as is ``model``.
    ``override``, ``allow_approximate`` and ``strict`` are as of :func:`bitsmith.convert`.
    ``bus_input`` and ``bus_output`` are formats of words that the driver of a board takes and gives as integers.
    ``accelerator`` is the name of the backend in other tools whose configuration it is, if that has a board.
    ``write_weights_txt`` and ``write_tar`` are as of :class:`bitsmith.build.job.Target`.
    ``idle`` are keys outside of ``HLSConfig`` that were accepted and have no effect.
    """

    output_dir: Path = DEFAULT_OUTPUT_DIR
    project_name: str = DEFAULT_PROJECT_NAME
    backend: Backend = "rtl"
    version: str = DEFAULT_VERSION
    part: str | None = None
    clock_period_ns: float | None = None
    clock_uncertainty: float | None = None
    latency: Latency | None = None
    io_type: IOType = IOType.PARALLEL
    board: str | None = None
    platform: str | None = None
    interface: str | None = None
    bus_input: str | None = None
    bus_output: str | None = None
    accelerator: str = ""
    hls_config: HLSConfig = field(default_factory=HLSConfig)
    model: NamedModel | None = None
    input_shape: Sequence[object] | None = None
    override: bool = False
    allow_approximate: bool = False
    strict: bool = False
    input_data: Path | None = None
    output_predictions: Path | None = None
    write_weights_txt: bool = False
    write_tar: bool = False
    idle: tuple[Idle, ...] = ()


_OTHER_INTERFACES = ("axi_stream", "axi_lite")
"""Its values in other tools, of systems for boards."""

WRITER_KEYS = ("WriteWeightsTxt", "WriteTar")
"""Keys of ``WriterConfig`` that mean something here."""

_INSIDE = {
    **dict.fromkeys(("Model", "LayerType", "LayerName"), "HLSConfig"),
    **dict.fromkeys(MODEL_KEYS, "HLSConfig.Model"),
    **dict.fromkeys((*WRITER_KEYS, *WRITER_INERT), "WriterConfig"),
}
"""Keys that are not of the project itself, by where they are."""

PROJECT_KEYS = (
    "OutputDir",
    "ProjectName",
    "Backend",
    "Version",
    "Part",
    "ClockPeriod",
    "ClockUncertainty",
    "Latency",
    "IOType",
    "Board",
    "Platform",
    "Interface",
    "BusInput",
    "BusOutput",
    "HLSConfig",
    "InputShape",
    "Override",
    "AllowApproximate",
    "Strict",
    "InputData",
    "OutputPredictions",
    "WriterConfig",
)
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
    section = Section.read(content, "", keys, problems, _inert(content), _INSIDE)
    section.values = {key: value for key, value in section.values.items() if value is not None}
    idle = list(_without_board(section))
    writer = Section.read(section.values.get("WriterConfig"), "WriterConfig", WRITER_KEYS, problems, WRITER_INERT)
    writer.values = {key: value for key, value in writer.values.items() if value is not None}
    given = section.values.get("HLSConfig")
    hls_config = given if isinstance(given, HLSConfig) else collect_hls_config(given, "HLSConfig", problems)
    project = ProjectConfig(
        output_dir=section.get("OutputDir", read_path) or DEFAULT_OUTPUT_DIR,
        project_name=section.get("ProjectName", read_name) or DEFAULT_PROJECT_NAME,
        backend=section.get("Backend", read_backend) or "rtl",
        version=section.get("Version", read_version) or DEFAULT_VERSION,
        part=section.get("Part", read_part),
        clock_period_ns=section.get("ClockPeriod", read_clock_period),
        clock_uncertainty=section.get("ClockUncertainty", read_clock_uncertainty),
        latency=section.get("Latency", read_latency),
        io_type=section.get("IOType", read_io_type) or IOType.PARALLEL,
        board=section.get("Board", read_board),
        platform=section.get("Platform", read_platform),
        interface=section.get("Interface", read_interface),
        bus_input=section.get("BusInput", bus_format),
        bus_output=section.get("BusOutput", bus_format),
        accelerator=accelerator.name if accelerator else "",
        hls_config=hls_config,
        model=_named_model(section, keys, problems),
        input_shape=section.get("InputShape", read_input_shape),
        override=section.get("Override", boolean) or False,
        allow_approximate=section.get("AllowApproximate", boolean) or False,
        strict=section.get("Strict", boolean) or False,
        input_data=section.get("InputData", read_path),
        output_predictions=section.get("OutputPredictions", read_path),
        write_weights_txt=writer.get("WriteWeightsTxt", boolean) or False,
        write_tar=writer.get("WriteTar", boolean) or False,
        idle=(*section.idle, *idle, *idle_of_board, *writer.idle),
    )
    problems.finish()
    return project


def _inert(content: Mapping[str, object]) -> Mapping[str, Inert]:
    """Keys without effect; ``Interface`` is one of them where it has a value of other tools."""
    inert = dict(PROJECT_INERT)
    if any(squash(key) == "interface" and value not in (None, *_OTHER_INTERFACES) for key, value in content.items()):
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


def create_config(
    output_dir: str | Path = DEFAULT_OUTPUT_DIR,
    project_name: str = DEFAULT_PROJECT_NAME,
    backend: str = "rtl",
    version: str = DEFAULT_VERSION,
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
        "IOType": IOType.PARALLEL.value,
        "HLSConfig": {},
    }
    names = {squash(key): key for key in (*project_keys(), *PROJECT_INERT)}
    of_writers = {squash(key): key for key in (*WRITER_KEYS, *WRITER_INERT)}
    writer = {of_writers[squash(key)]: kwargs.pop(key) for key in list(kwargs) if squash(key) in of_writers}
    config |= {names.get(squash(key), key): value for key, value in kwargs.items()}
    if writer:
        config["WriterConfig"] = {**(config.get("WriterConfig") or {}), **writer}
    read_project(config)
    return config


def _model(value: object, where: str) -> object:
    return read_path(value, where) if isinstance(value, (str, Path)) else value
