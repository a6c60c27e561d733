"""What the site does to pages on their way: files of the source tree become pages or plain names, and decisions get a list."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
_TUTORIALS = ROOT / "examples" / "tutorials"
_ROOT_PAGES = {"CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md", "CHANGELOG.md": "changelog.md"}
_DECISIONS = """# Decisions

Why things are as they are: each record has a choice that a newcomer would question, its reasons and its price. A record is
superseded, never rewritten.

"""
_SEARCHED_LAST = re.compile(
    r"decisions/|changelog\.md|contributing\.md|add-an?-|new-hls-dialect|architecture\.md|tour\.md"
)
"""Pages for those who change bitsmith: a search shows them after all pages for users."""

_SEARCHED_LATE = re.compile(
    r"(adder-graphs|split-and-compose|vendor-rules|onnx-node-tests|benchmarks|accuracy|api|options|command-reference|logic-tools)\.md|tutorials/"
)
"""Reference and measurements, which have all words many times."""

_SEARCHED_FIRST = re.compile(
    r"(make-it-fit|troubleshooting|faq|concepts|cheat-sheet|layers|license|install|simulate-my-data|choose-bits|keras-subclassed)\.md"
)
"""Pages that answer the questions of newcomers."""

_BOOSTS = ((_SEARCHED_LAST, 0.1), (_SEARCHED_LATE, 0.1), (_SEARCHED_FIRST, 4))

_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put every decision into the navigation."""
    decisions = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    _decisions(config.nav).extend(f"decisions/{name}" for name in decisions)
    return config


def _decisions(nav: object) -> list[str]:
    for entry in nav if isinstance(nav, list) else ():
        for title, content in entry.items() if isinstance(entry, dict) else ():
            if title == "Decisions":
                return content
            if found := _decisions(content):
                return found
    return []


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie at the root of the source tree, and the list of decisions."""
    from mkdocs.structure.files import File

    for name, page in _ROOT_PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=re.sub(r"\]\(docs/", "](", text)))
    for picture in sorted((ROOT / "examples").glob("*/*.png")):
        files.append(
            File.generated(config, _picture(picture.relative_to(ROOT).as_posix()), content=picture.read_bytes())
        )
    for source in sorted(_TUTORIALS.glob("[0-9]*.py")):
        files.append(File.generated(config, f"tutorials/{source.stem}.ipynb", content=_notebook(source)))
    for model in sorted((_TUTORIALS / "models").iterdir()):
        files.append(File.generated(config, f"tutorials/models/{model.name}", content=model.read_bytes()))
    files.append(File.generated(config, "decisions/index.md", content=_list_of_decisions()))
    return files


def _notebook(source: Path) -> str:
    """A tutorial as Jupyter reads it, the same for the same source."""
    import jupytext

    notebook = jupytext.read(source)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    return str(jupytext.writes(notebook, fmt="ipynb"))


def _picture(path: str) -> str:
    """Where the site has a picture of a scenario."""
    return path.replace("examples/", "scenarios/", 1)


def _list_of_decisions() -> str:
    titles = (
        f"- [{path.read_text(encoding='utf-8').partition(chr(10))[0].lstrip('# ')}]({path.name})"
        for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    )
    return _DECISIONS + "\n".join(titles) + "\n"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the source tree that are not pages into their names; let searches show pages for users first."""
    for pages, boost in _BOOSTS:
        if pages.match(page.file.src_uri):
            page.meta["search"] = {"boost": boost}
    return _LINK.sub(lambda match: _linked(match, page.file.src_uri), markdown)


def _linked(match: re.Match[str], source: str) -> str:
    text, target = match[1], match[2]
    if re.match(r"[a-z]+:|#", target):
        return match[0]
    path, mark, anchor = target.partition("#")
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    page = _ROOT_PAGES.get(path) or _ROOT_PAGES.get(inside.removeprefix("../"))
    if page:
        return f"[{text}]({posixpath.relpath(page, posixpath.dirname(source) or '.')}{mark}{anchor})"
    if inside.startswith("../"):
        name = inside.removeprefix("../")
        if name.startswith("examples/") and name.endswith(".png"):
            return f"[{text}]({_picture(name)})"
        if (ROOT / name).parent == _TUTORIALS and name.endswith(".py"):
            return f"[{text}]({posixpath.splitext(posixpath.basename(name))[0]}.ipynb)"
        return text if text.startswith("`") or text == name else f"{text} (`{name}`)"
    return f"[{text}](decisions/index.md)" if inside == "decisions" else match[0]
