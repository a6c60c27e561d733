"""The linter of English: pages, docstrings of the public API, texts of errors, and the help of the command line.

``python -m tests.docs.prose`` prints what breaks a rule, and where. Code, names in backquotes, decisions and the change log,
which are records, are not checked.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from bitsmith import errors
from bitsmith.cli.commands import app
from bitsmith.options.building import BUILD_OPTIONS
from bitsmith.options.table import OPTIONS
from generate.api import names, public_modules
from generate.hooks import ROOT

SOURCES = sorted((ROOT / "src").rglob("*.py"))

MOST_WORDS, MOST_TITLE_WORDS = 25, 10

WORDS = {
    r"refus(?:e|es|ed|ing|al|als)": "rejected, rejection",
    r"anew|whoever|whole numbers?": "again, who, integers",
    r"comes? along(?: with)?": "is included",
    r"is no (?:power|operator|layer|multiple|number)": "is not a",
    r"(?:quantis|optimis)ations?|colou?red|colours?|behaviours?": "American spelling",
    r"the the|a a|of of|to to|is is": "a word twice",
    r"(?:is|are) told": "knows, gets",
    r"(?:is|was|are|were) at hand": "we have, is installed",
    r"of (?:no|little) use": "unusable",
}
"""Words that users read nowhere, and what to write instead."""

INSIDE = (
    r"(?:is|are) (?:written|renewed) by code|code writes this page|slow tests?|"
    r"oracle|lowering|polyline|token functions?|union types?|elaborat\w+"
)
"""Words of the code and remarks on its tests, for the glossary and for pages for those who change it."""

_FIRST = r"(?:Of|Whether|Whatever|Whichever|What) "
_INSIDE_PAGES = re.compile(r"glossary|architecture|tour|new-hls-dialect|vendor-rules|CONTRIBUTING|add-an?-")
_ENDS = re.compile(r"(?<=[.!?:;])[\"')*_]*\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Text:
    """Prose of one place."""

    place: str
    content: str
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule."""

    place: str
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}: {self.text}"


def pages() -> list[Path]:
    """The pages in English that are not records, which stay as they were written."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    records = {"CHANGELOG.md", *(path.name for path in (ROOT / "docs" / "decisions").iterdir())}
    return sorted(path for path in found if ".zh-CN" not in path.name and path.name not in records)


def texts() -> Iterator[Text]:
    """All that users read."""
    for path in pages():
        yield Text(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"), bool(_INSIDE_PAGES.match(path.stem)))
    yield from _docstrings()
    yield from _help()
    for path in SOURCES:
        yield from messages(path)


def tree(path: Path) -> ast.Module:
    """The code of a file; it is not kept, as those of all files are millions of objects, which each collection goes through."""
    return ast.parse(path.read_text(encoding="utf-8"))


def _docstrings() -> Iterator[Text]:
    for title, module in public_modules().items():
        for name in names(module):
            value = getattr(module, name)
            members = vars(value).items() if inspect.isclass(value) else ()
            shown = [(name, value)] + [(f"{name}.{key}", member) for key, member in members if not key.startswith("_")]
            for label, part in shown:
                if isinstance(part, property | staticmethod) or inspect.isroutine(part) or inspect.isclass(part):
                    yield Text(f"{title}.{label}", re.sub(r":\w+:(?=`)", "", inspect.getdoc(part) or ""))


def _help() -> Iterator[Text]:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        yield Text(f"bitsmith {name}", command.help or "")
        for parameter in command.params:
            yield Text(f"bitsmith {name} {parameter.name}", parameter.help or "")
    for option in (*OPTIONS, *BUILD_OPTIONS):
        yield Text(f"option {option.name}", re.sub(r":\w+:(?=`)", "", option.doc))


_MADE = {name for name in vars(errors) if name.endswith(("Error", "Warning"))} | {"Remedy", "warn", "add_note"}


def messages(path: Path) -> Iterator[Text]:
    """The texts of the errors, remedies and warnings that a module makes."""
    nodes = list(ast.walk(tree(path)))
    raised = {id(node.exc) for node in nodes if isinstance(node, ast.Raise)}
    for node in nodes:
        if isinstance(node, ast.Call) and (
            id(node) in raised or getattr(node.func, "id", getattr(node.func, "attr", "")) in _MADE
        ):
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                yield Text(f"{path.relative_to(ROOT)}:{argument.lineno}", worded(argument))


def worded(node: ast.expr) -> str:
    """The words of an expression; values in it are codes."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(worded(part) if isinstance(part, ast.Constant) else "`code`" for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return worded(left) + worded(right)
        case ast.IfExp(body=body, orelse=other):
            return f"{worded(body)}\n\n{worded(other)}"
        case ast.Tuple(elts=parts):
            return " ".join(map(worded, parts))
        case _:
            return ""


def sentences(markdown: str) -> list[str]:
    """The sentences of a text, names and code replaced by one word; a colon or a semicolon ends one, too."""
    text = re.sub(r"\A---\n.*?\n---\n|<!--.*?-->|<script>.*?</script>", "", markdown, flags=re.DOTALL)
    text = re.sub(r"<code>.*?</code>", "code", text)
    text = re.sub(r"</?(?:details|summary|div|p|ul|li)\b[^>]*>", "\n\n", text)
    text = re.sub(r"<[a-z/][^>]*>", "", text)
    text = re.sub(r"^( *)```.*?^\1```$", "\n\n", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"(?<=\n\n)(?: {4}.*\n)+|^\[\w+\]: .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)(?:\{.*?\})?", "", text)
    text = re.sub(r"\[([^\]]*)\](?:\([^)]*\)|\[\w+\])", r"\1", text)
    text = re.sub(r"``?[^`]+``?", "code", text)
    text = re.sub(r"\n(?=\s*(?:[-*]|\d+\.) )|\n(?=[|#])|(?<!\\)\|", "\n\n", text)
    return [
        sentence
        for part in re.split(r"\n\s*\n", text)
        for sentence in _ENDS.split(" ".join(re.sub(r"^\s*(?:[-*#]+|\d+\.) ", "", part).split()))
        if re.search(r"[A-Za-z]", sentence)
    ]


def words(sentence: str) -> int:
    """The number of words, without operators and dashes; names in a row count as one."""
    return len(re.findall(r"\S*\w\S*", re.sub(r"(?:\S+, ){4,}(?:and |or )?\S+", "names", sentence)))


def findings(text: Text) -> Iterator[Finding]:
    """What breaks a rule in one text."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text.content, flags=re.DOTALL), re.MULTILINE)
    prose = sentences(text.content)
    for sentence in prose:
        if words(sentence) > MOST_WORDS:
            yield Finding(text.place, f"{words(sentence)} words, not {MOST_WORDS}", sentence)
        if re.match(_FIRST, sentence) and not sentence.endswith("?") and [sentence] not in map(sentences, titles):
            yield Finding(text.place, "the subject comes first", sentence)
    rules = WORDS if text.inside else {**WORDS, INSIDE: "a word of the code"}
    for rule, instead in rules.items():
        for sentence in prose:
            for match in re.finditer(rf"\b(?:{rule})\b", sentence, re.IGNORECASE):
                yield Finding(text.place, f"{match[0]} ({instead})", sentence)
    for title in titles:
        if words(title) > MOST_TITLE_WORDS or title.endswith((".", ":")):
            yield Finding(text.place, f"a title of at most {MOST_TITLE_WORDS} words, without a full stop", title)


def main() -> int:
    """Print all findings; 1 if there are any."""
    found = [finding for text in texts() for finding in findings(text)]
    sys.stdout.writelines(f"{finding}\n" for finding in found)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
