"""How code and texts read: sizes of files and functions, first words of docstrings, and what users read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import prose
from tests.docs.test_names import far_pronouns

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

OTHERS = (".c", ".cpp", ".css", ".h", ".hpp", ".html", ".sv", ".tcl", ".v")
"""Suffixes of files in other languages than Python."""

FILE_LINES, FUNCTION_LINES = 450, 60
"""A file or a function that is longer is two things; docstrings of functions are not counted."""

PRONOUNS = frozenset(
    {"As", "How", "It", "Its", "Of", "That", "They", "This", "What", "When", "Where", "Whether", "Which", "Who", "Why"}
)
"""First words of docstrings that say neither what a thing is nor what it does."""


def blocks(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and all that is within it and has statements: expressions, most of the nodes of a file, have none."""
    left: list[ast.AST] = [tree]
    while left:
        yield (node := left.pop())
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            left += getattr(node, name, ())


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of the docstrings of modules, classes, functions and constants."""
    for node in blocks(tree):
        for index, statement in enumerate(getattr(node, "body", ())):
            value = statement.value if isinstance(statement, ast.Expr) else None
            if (
                isinstance(value, ast.Constant)
                and isinstance(value.value, str)
                and (index or hasattr(node, "name") or node is tree)
            ):
                yield statement.lineno, value.value.strip()


def test_code_reads_as_agreed() -> None:
    """Docstrings begin with a verb or a noun, pronouns are used at once, files and functions are short: a file is parsed once."""
    faults = []
    for path in (*prose.SOURCES, *TESTS):
        tree, name = prose.tree(path), path.relative_to(ROOT)
        faults += [f"{name}{fault}" for fault in too_long(path, tree)]
        if path.is_relative_to(ROOT / "src"):
            faults += [f"{name}{fault}" for fault in far_pronouns(tree)]
            faults += [
                f"{name}:{line}: {text[:50]}"
                for line, text in docstrings(tree)
                if text.split(maxsplit=1)[0].strip(".,:") in PRONOUNS
            ]
    assert faults == []


def test_files_of_other_languages_are_short() -> None:
    files = [path for folder in ("src", "native/src") for path in (ROOT / folder).rglob("*") if path.suffix in OTHERS]
    assert len(files) > 80
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: count for name, count in lines.items() if count > FILE_LINES} == {}


def too_long(path: Path, tree: ast.Module) -> Iterator[str]:
    """A file of too many lines, and its functions that have too many."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if lines > FILE_LINES:
        yield f": {lines} lines"
    for node in blocks(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
            if (node.end_lineno or 0) - (first or 0) > FUNCTION_LINES:
                yield f":{node.lineno}: {node.name}"


def test_long_files_and_functions_are_found(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    body = "\n".join(["    x = 1"] * FUNCTION_LINES)
    path.write_text(
        f'def short():\n    """Doc\n    string."""\n{body}\n\ndef long():\n{body}\n    return x\n' + "\n" * 400
    )
    assert list(too_long(path, prose.tree(path))) == [
        f": {2 * FUNCTION_LINES + 406} lines",
        f":{FUNCTION_LINES + 5}: long",
    ]


@pytest.mark.slow
def test_texts_read_as_agreed() -> None:
    """Pages, messages and help have no finding, which lint holds, and the places that they are read from are not empty."""
    texts = list(prose.texts())
    assert [str(finding) for text in texts for finding in prose.findings(text)] == []
    places = " ".join(text.place for text in texts if prose.sentences(text.content))
    for place in ("README.md", "docs/streaming.md", "bitsmith.Model.build", "option fit", "bitsmith convert bits"):
        assert place in places
    assert len(re.findall(r"src/bitsmith/\S+:\d+", places)) > 1000


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (f"A sentence {'of words ' * 11}that ends.", "26 words, not 25"),
        ("Fine.\n\n- A file is refused.", "refused (rejected, rejection)"),
        ("| a | What is open |", "the subject comes first"),
        ("Elaborated layers.", "Elaborated (a word of the code)"),
        ("## A heading of a page that says much more than it should\n", "a title of at most 10 words"),
        ("## A heading.\n", "a title of at most 10 words"),
    ],
)
def test_faults_of_texts_are_found(content: str, rule: str) -> None:
    (finding,) = prose.findings(prose.Text("page.md", content))
    assert finding.rule.startswith(rule)


_FIRST_PAGES = (
    "README",
    "docs/index",
    "docs/quickstart",
    "docs/install",
    "docs/concepts",
    "docs/faq",
    "docs/troubleshooting",
)


@pytest.mark.parametrize("name", _FIRST_PAGES)
def test_first_pages_have_short_sentences(name: str) -> None:
    """At most 18 words on average from full stop to full stop, without titles and tables."""
    text = re.sub(r"^[|#].*$", "", (prose.ROOT / f"{name}.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    parts = prose.sentences(text)
    ends = sum(part.rstrip("\"')*_").endswith((".", "!", "?")) for part in parts)
    assert ends > 10 and sum(map(prose.words, parts)) / ends <= 18


def test_code_names_and_questions_are_no_faults() -> None:
    content = f"""```
{"refused " * 30}
```
`refused` has {"Dense, " * 30}and Softmax. What is open? [Links]({"of many words " * 9}).
"""
    assert list(prose.findings(prose.Text("page.md", content))) == []


def test_messages_are_read_from_the_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of errors, of what a raise calls, and of warnings; values are codes."""
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    (tmp_path / "module.py").write_text(
        "error = UnsupportedError(f'{x} is ' + 'open', remedy='close' if y else 'leave')\n"
        "raise self.wrong('a key', accepted='another')\nwarnings.warn('late')\nprint('no message')\n"
    )
    assert [(text.place, text.content) for text in prose.messages(tmp_path / "module.py")] == [
        ("module.py:1", "`code` is open"),
        ("module.py:1", "close\n\nleave"),
        ("module.py:2", "a key"),
        ("module.py:2", "another"),
        ("module.py:3", "late"),
    ]
