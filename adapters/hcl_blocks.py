"""The blocks of one file of Terraform's configuration, in native syntax, read by python-hcl2.

Its parse tree is enough, with the line of each token: making values of all that a file says would take as long again.
"""

from collections.abc import Iterator
from typing import Final

import hcl2
from hcl2.utils import process_escape_sequences
from lark import Token, Tree
from lark.exceptions import LarkError, UnexpectedInput

from pins.configuration import Argument, Block, BlockKind, Trouble
from pins.firmness import NOT_LITERAL, Text

_PLAIN: Final = frozenset({"STRING_CHARS"})
_ESCAPED: Final = {"ESCAPED_INTERPOLATION": "$${", "ESCAPED_DIRECTIVE": "%%{"}
_LABELS: Final = {BlockKind.MODULE: 1, BlockKind.RESOURCE: 2}
_Node = Tree[Token]


class BrokenFileError(Exception):
    """A file that is no configuration; ``why`` holds nothing of it."""

    def __init__(self, trouble: Trouble, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.trouble = trouble
        self.why = why
        self.line = line


def read_hcl(text: str) -> tuple[Block, ...]:
    """The module and resource blocks of a file, in its order.

    Raises:
        BrokenFileError: python-hcl2 cannot read it.
    """
    try:
        start = hcl2.parses_to_tree(text)
    except UnexpectedInput as error:
        line = error.line if error.line > 0 else None
        raise BrokenFileError(Trouble.BROKEN_HCL, "it is no HCL that can be read", line) from None
    except (LarkError, RecursionError):
        raise BrokenFileError(Trouble.BROKEN_HCL, "it is no HCL that can be read") from None
    return tuple(block for node in _children(start) for block in _blocks(node))


def _blocks(body: _Node) -> Iterator[Block]:
    for node in _children(body):
        if node.data != "block":
            continue
        kind, *labels = [_label(child) for child in node.children if _is_label(child)]
        if kind not in set(BlockKind):
            continue
        known = BlockKind(kind)
        if len(labels) != _LABELS[known] or None in labels:
            raise BrokenFileError(Trouble.BROKEN_HCL, f"a {known} block has not the labels that it needs", _line(node))
        yield _block(known, [label for label in labels if label is not None], node)


def _block(kind: BlockKind, labels: list[str], node: _Node) -> Block:
    if kind is BlockKind.RESOURCE:
        return Block(kind=kind, type=labels[0], name=labels[1], line=_line(node))
    arguments = {
        name: Argument(_text(attribute), _line(attribute))
        for body in _children(node)
        if body.data == "body"
        for attribute in _children(body)
        if attribute.data == "attribute" and (name := _label(attribute.children[0])) in {"source", "version"}
    }
    return Block(
        kind=kind, name=labels[0], line=_line(node), source=arguments.get("source"), version=arguments.get("version")
    )


def _text(attribute: _Node) -> Text:
    """What an attribute's expression is, where it is a string that is written out, in brackets or not."""
    expression = attribute.children[-1]
    while isinstance(expression, Tree) and expression.data == "expr_term":
        inner = [child for child in _children(expression) if child.data != "new_line_or_comment"]
        if len(inner) != 1:
            return NOT_LITERAL
        expression = inner[0]
    text = _string(expression) if isinstance(expression, Tree) and expression.data == "string" else None
    return NOT_LITERAL if text is None else text


def _is_label(child: _Node | Token) -> bool:
    return isinstance(child, Tree) and child.data in {"identifier", "keyword", "literal_value", "string"}


def _label(node: _Node | Token) -> str | None:
    if isinstance(node, Token):
        return str(node)
    return _string(node) if node.data == "string" else str(node.children[0])


def _string(node: _Node) -> str | None:
    """A string's value; None where something in it is to be evaluated."""
    parts = []
    for part in _children(node):
        token = part.children[0]
        if not isinstance(token, Token):
            return None
        if token.type in _PLAIN:
            parts.append(process_escape_sequences(str(token)))
        elif token.type in _ESCAPED:
            parts.append(str(token)[1:])
        else:
            return None
    return "".join(parts)


def _children(node: _Node) -> Iterator[_Node]:
    return (child for child in node.children if isinstance(child, Tree))


def _line(node: _Node) -> int:
    return int(node.meta.line)
