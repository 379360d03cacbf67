r"""Foreign text in Markdown: shown as it is spelt, and never taken for markup by who renders it.

What a backslash escapes (CommonMark 0.31, section 2.4) is escaped so; the characters of HTML become entities,
for a renderer that looks for tags before it reads Markdown.

GitHub, Azure DevOps and Teams each read their own Markdown; this keeps to what they share.
"""

import re
from typing import Final

from markupsafe import Markup

from records.spelling import visible

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ESCAPES: Final = str.maketrans(_ENTITIES | {char: f"\\{char}" for char in "\\`*_[]|~$"})
_AUTOLINK: Final = re.compile(r":(?=//)|\b(?<=www)\.", re.IGNORECASE)
_MENTION: Final = re.compile(r"(?<!\w)([@#])(?=\w)")
_BLOCK_START: Final = re.compile(r"^(\d*)([-+.)#=])(?=[\s#=-]|$)")
_INDENT: Final = re.compile(r"^ (?= )")
_EDGE_SPACE: Final = re.compile(r"^ | $")
_SPACE: Final = "&#32;"
_NOT_FOR_CODE: Final = re.compile(r"[`|\\<>&]|^\s|\s$|^$")
_WORD_JOINER: Final = "\N{WORD JOINER}"


def escape_markdown(text: str) -> Markup:
    """The text for a sentence or a table's cell: one line without markup, links or mentions.

    A mention, which would call someone, is found in what was rendered, where no escape is left: an invisible
    joiner parts the name from its sign.
    """
    escaped = visible(text).translate(_ESCAPES)
    escaped = _MENTION.sub(rf"\1{_WORD_JOINER}", escaped)
    escaped = _AUTOLINK.sub(r"\\\g<0>", escaped)
    escaped = _BLOCK_START.sub(r"\1\\\2", escaped)
    return Markup(_INDENT.sub(_SPACE, escaped))  # noqa: S704 (escaped above)


def markdown_link(text: str, url: str) -> Markup:
    """A link; the URL is one of ours, without what would end it: blanks, ``<`` and ``>``."""
    return Markup(f"[{escape_markdown(text)}](<{url}>)")  # noqa: S704 (escaped above)


def markdown_code(text: str) -> Markup:
    """The text as a code span; as `escape_markdown` where a span would need what not every renderer knows."""
    shown = visible(text)
    if _NOT_FOR_CODE.search(shown):
        return Markup(_EDGE_SPACE.sub(_SPACE, escape_markdown(text)))  # noqa: S704 (escaped already)
    return Markup(f"`{shown}`")  # noqa: S704 (nothing in it ends the span or is HTML)
