"""How ``--help`` reads: a flag takes no value, a choice breaks between its words, and text breaks where the terminal ends."""

from collections.abc import Iterable
from typing import Any, Final

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

HELP_OPTIONS: Final = {"help_option_names": ["--help", "-h"]}
"""Settings of the outermost context: the commands below take them over."""


class Command(TyperCommand):
    """A command whose help reads so."""

    def get_params(self, ctx: Any) -> Any:  # noqa: ANN401 (types of Typer's own click, which it does not export)
        return _readable(super().get_params(ctx), ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 (as above)
        self.help = flowing(self.help or "")
        super().format_help(ctx, formatter)


class CommandGroup(TyperGroup):
    """A group whose own options read so."""

    def get_params(self, ctx: Any) -> Any:  # noqa: ANN401 (as above)
        return _readable(super().get_params(ctx), ctx)


def flowing(text: str) -> str:
    """Each paragraph as one line: Typer keeps the line breaks of a docstring from the second paragraph on."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _readable(params: Iterable[Any], ctx: Any) -> list[Any]:  # noqa: ANN401 (as above)
    found = list(params)
    for param in found:
        if isinstance(param, TyperOption) and param.metavar is None:
            param.metavar = "" if param.is_flag else param.display_type(ctx).replace("|", " | ")
        elif isinstance(param, TyperArgument):
            param.display_type_rich = _no_type  # type: ignore[method-assign]
    return found


def _no_type(ctx: Any) -> None:  # noqa: ANN401 (as above)
    """Of an argument its name says what it is; its type would be Python's."""
