"""The plan of a build, by its backend, which is imported with the first plan of it."""

from dataclasses import replace

from bitsmith.building.job import Job
from bitsmith.building.plan import Plan
from bitsmith.errors import ConfigError
from bitsmith.netlist import native
from bitsmith.options.building import Asked

_LARGER = "Adder graphs are about a tenth larger than need be: the solver was not compiled (see `bitsmith doctor`)."
_DEPTHS = "fifo_opt has no effect: the schedule gives the depths of all FIFOs."


def plan(job: Job, asked: Asked) -> Plan:
    """The sources and stages of ``job``; nothing is written and no tool runs.

    Raises:
        CapacityError: the design is too large for what was asked.
        ConfigError: a stage that the backend does not have.
        ToolMissingError: a vendor's stage was asked for whose tool is not there.
    """
    hls = job.target.backend != "rtl"
    foreign = {} if hls else {"export": asked.export, "vsynth": asked.vsynth}
    for stage, wanted in foreign.items():
        if wanted:
            raise ConfigError(
                f"{stage}=True with backend {job.target.backend!r}", where="build", accepted=f"{stage}=False"
            )
    for name, value in {"tool": asked.tool, "trace": asked.trace or None}.items():
        if hls and value is not None:
            raise ConfigError(
                f"{name}={value!r} with backend {job.target.backend!r}", where="build", accepted="backend 'rtl'"
            )
    notes = [*([_DEPTHS] if asked.fifo_opt else []), *([_LARGER] if native.SOLVE is None else [])]
    if notes:
        job = replace(job, design=replace(job.design, notes=(*job.design.notes, *notes)))
    if hls:
        from bitsmith.building.hls import plan_hls

        return plan_hls(job, asked)
    from bitsmith.building.rtl import plan_rtl

    return plan_rtl(job, asked)
