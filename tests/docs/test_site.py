"""The site builds without a warning, and its pages are whole."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from generate.hooks import ROOT
from generate.lines import COLUMNS

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    made_by_the_site = {"contributing.md", "security.md", "changelog.md"}
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        there = re.match(r"[a-z]+:", target) or (page.parent / target).exists()
        assert there or target in made_by_the_site, f"{page.name}: {target}"


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_absolute_links_of_the_first_page_lead_to_pages(name: str) -> None:
    """The package index shows it, too, where there are no files beside it."""
    base = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Documentation"]
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(rf"^\[(\w+)\]: {re.escape(base)}/([\w.-]+)\.html(?:#([\w-]+))?$", text, re.MULTILINE)
    assert {label for label, *_ in links} == set(re.findall(r"\]\[(\w+)\]", text))
    assert not re.findall(r"(?<!!)\[[^\]]*\]\((?!https:)", text)
    for _, page, anchor in links:
        path = ROOT / ("CONTRIBUTING.md" if page == "contributing" else f"docs/{page}.md")
        headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert not anchor or anchor in {re.sub(r"\W+", "-", heading.lower()).strip("-") for heading in headings}


def test_the_first_page_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_fits_into_the_column(page: Path) -> None:
    """A browser holds the number of characters (``test_browser``)."""
    blocks = re.findall(r"^( *)```[^\n]*\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix(margin) for margin, block in blocks for line in block.splitlines()]
    assert [line for line in lines if len(line) > COLUMNS] == []


_DIGITS = ("README.md", "README.zh-CN.md", "docs/index.md", "docs/tutorials/01_first_circuit.md")


@pytest.mark.parametrize("name", _DIGITS)
def test_figures_of_digits_are_those_of_the_sample(name: str) -> None:
    """``make sample`` renews the sample."""
    sample = (ROOT / "docs" / "samples" / "digits-report.html").read_text(encoding="utf-8")
    shown = dict(re.findall(r'"label">(LUT|Fmax)</div>\s*<div class="value">([\d.,]+)', sample))
    text = (ROOT / name).read_text(encoding="utf-8")
    assert re.search(rf"\b{shown['LUT']} .{{,20}}\b{shown['Fmax']} MHz", text)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "docs/index.md"])
def test_figures_of_adders_are_those_of_their_page(name: str) -> None:
    """The page has what `benchmarks/adder_graphs.py` printed."""
    page = (ROOT / "docs" / "adder-graphs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \*\*all\*\* \| (any|least) \| \d+ \(default\) \| ([\d.]+) ", page, re.MULTILINE)
    fewer = {depth: f"{100 * (1 - float(ratio)):.0f} %" for depth, ratio in rows}
    text = (ROOT / name).read_text(encoding="utf-8")
    assert set(re.findall(r"(\d+ %) fewer|少 (\d+ %)", text)) <= {
        (fewer["any"], ""),
        ("", fewer["any"]),
        (fewer["least"], ""),
    }
    assert fewer["any"] in text


def test_every_page_is_in_the_navigation() -> None:
    """The strict build needs it, too."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert sorted(page for page in pages if not page.startswith("decisions/") and f": {page}\n" not in text) == []


def test_spelling() -> None:
    """American English, and no common misspellings, in pages and in the messages and docstrings that become pages."""
    names = ("docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "examples", "src")
    folders = [str(ROOT / name) for name in names]
    options = [
        "--builtin",
        "clear,rare,en-GB_to_en-US",
        "--skip",
        "*.svg,*.txt,*.zh-CN.md,*.npz,*.h5,*.keras",
        "--ignore-words-list",
        _KEPT,
    ]
    done = subprocess.run([sys.executable, "-m", "codespell_lib", *options, *folders], capture_output=True, text=True)
    assert done.stdout.strip() == ""


_KEPT = (
    "carryin,centre,fro,grey,inout,judgement,mape,master,masters,nd,sav,ths,tread,unequality,writeable,cancelled,acive"
)
"""Values of keys, words of languages, buses and reports, and names of modules and of libraries."""


class _Page(HTMLParser):
    """Links, what is loaded, and names to link to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.names |= {given[key] or "" for key in ("id", "name") if key in given}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        elif tag in ("script", "img", "link") and (given.get("src") or given.get("href")):
            self.loaded.append(given.get("src") or given.get("href") or "")


@pytest.mark.ci
@pytest.mark.slow
def test_site_is_whole_and_fetches_nothing(site: Path) -> None:
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > 60
    for path, page in pages.items():
        if path.name == "404.html":
            continue
        assert not [name for name in page.loaded if re.match(r"(https?:)?//", name)], path.name
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = unquote(link).partition("#")
            target = (path.parent / name).resolve() if name else path
            assert target.is_file(), f"{path.name}: {link}"
            if anchor and target.suffix == ".html":
                assert anchor in pages[target].names, f"{path.name}: {link}"
