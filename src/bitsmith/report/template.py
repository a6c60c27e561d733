"""Templates of pages and pictures: the only places where markup is composed.

In: values. Out: text. Every name comes from a user's model or from a file, so everything is escaped.
"""

import urllib.parse
from pathlib import PurePosixPath

from bitsmith.report.sections import number
from bitsmith.report.terminal import constant_text, declared_text, left_text, range_text


def rendered(template: str, **values: object) -> str:
    """A template with values, all of them escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bitsmith.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number, href=_href, constant=constant_text, declared=declared_text, left=left_text
    )
    environment.globals.update(range_text=range_text)
    return environment.get_template(template).render(**values)


def _href(path: object) -> str:
    """A link to a file inside the project, "" for anything that may lead elsewhere."""
    text = str(path)
    pure = PurePosixPath(text)
    if pure.is_absolute() or ".." in pure.parts or "\\" in text or not text:
        return ""
    return "./" + urllib.parse.quote(text)
