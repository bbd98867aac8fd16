"""The README and docs/ taken apart: fenced blocks, the commands in them, links and headings."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)  # fmt: skip
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        not_run: why it cannot be run here, from the comment ``<!-- not run: ... -->`` above it; else empty.
        file: the name under which the sentence above tells the reader to save it; else empty.
    """

    language: str
    text: str
    not_run: str
    file: str


@dataclass(frozen=True)
class Command:
    """A command of a shell block; ``to`` is the file that its output goes to, or empty."""

    words: tuple[str, ...]
    to: str = ""

    @property
    def program(self) -> str:
        return self.words[0]

    def __str__(self) -> str:
        return shlex.join(self.words)


def pages() -> list[str]:
    """Paths from the repository's root."""
    docs = sorted(path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "docs").rglob("*.md"))
    return ["README.md", *docs]


@cache
def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> list[Block]:
    """In the page's order."""
    text = text_of(page)
    found = []
    for fence in _FENCE.finditer(text):
        named = re.search(r"[Ss]ave this as `([\w.-]+)`[^`]*\Z", text[: fence.start()])
        block = Block(fence["language"], fence["text"], fence["reason"] or "", named[1] if named else "")
        if block.language in languages:
            found.append(block)
    return found


def commands(block: Block, stand_ins: Mapping[str, str]) -> list[Command]:
    """Line by line; ``&&`` separates, a backslash at its end continues a line.

    Args:
        stand_ins: what is meant by the texts that a reader replaces, such as ``<sweep-id>``.
    """
    text = block.text.replace("\\\n", " ")
    for name, value in stand_ins.items():
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", value, text)
    lexer = shlex.shlex(
        re.sub(r"(^|[ \t])#.*$", "", text, flags=re.MULTILINE), posix=True, punctuation_chars="&>\n"
    )
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    found: list[list[str]] = [[]]
    for word in lexer:
        if word == "&&" or not word.strip("\n"):
            found.append([])
        else:
            found[-1].append(word)
    return [_command(words) for words in found if words]


def inline_commands(page: str) -> list[list[str]]:
    """What stands between backticks in the text and begins with ``backtune``, as words."""
    prose = _FENCE.sub("", text_of(page))
    return [text.split() for text in _INLINE.findall(prose) if text.startswith("backtune ")]


def links(page: str) -> list[str]:
    return _LINK.findall(_FENCE.sub("", text_of(page)))


def anchors(page: str) -> set[str]:
    """Those that GitHub gives the page's headings."""
    prose = _FENCE.sub("", text_of(page))
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose))
    return {heading.strip().replace(" ", "-") for heading in kept}


def _command(words: list[str]) -> Command:
    """Without the variables that are set for it alone."""
    while re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if len(words) > 2 and words[-2] == ">":
        return Command(tuple(words[:-2]), words[-1])
    return Command(tuple(words))
