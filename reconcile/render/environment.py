"""The Jinja2 environment of a format: templates from this package, and every value escaped on its way out."""

from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Final

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from reconcile.render.formats import words
from reconcile.render.pins import loose_of, moved_of, use_of, version_of
from reconcile.wording import RUNBOOK
from records.spelling import counted, to_the_minute
from records.timestamps import format_utc

_CHUNK_PIECES: Final = 512
"""Jinja2 yields a piece for each run of text and each value; so many of them make one chunk."""


def report_environment(
    *, escape: Callable[[str], Markup], code: Callable[[str], Markup], link: Callable[[str, str], Markup]
) -> Environment:
    """An environment whose templates write every value by ``escape``.

    ``code`` writes what a machine made. The filter ``code`` applies it; the filter ``sentence`` applies it to
    what stands between backticks and ``escape`` to the rest. ``link`` writes a text that leads to a URL; the filter ``remedy``
    applies it to the section of the runbook that a remedy begins with, where the runbook's URL is known.
    """

    def finalize(value: object) -> Markup:
        if value is None:
            raise TypeError("a template writes a value that is not there")
        return value if isinstance(value, Markup) else escape(str(value))

    def sentence(text: str) -> Markup:
        pieces = text.split("`")
        if len(pieces) % 2 == 0:
            return escape(text)
        return Markup().join(code(piece) if odd % 2 else escape(piece) for odd, piece in enumerate(pieces))

    def remedy(text: str, runbook_url: str | None) -> Markup:
        section, parted, what_to_do = text.partition(": ")
        if runbook_url is None or not parted or not section.startswith(f"{RUNBOOK}#"):
            return sentence(text)
        return link(section, runbook_url + section.removeprefix(RUNBOOK)) + escape(parted) + sentence(what_to_do)

    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "code": code,
        "counted": counted,
        "iso": format_utc,
        "loose_of": loose_of,
        "minute": to_the_minute,
        "moved_of": moved_of,
        "remedy": remedy,
        "sentence": sentence,
        "use_of": use_of,
        "version_of": version_of,
        "words": words,
    }
    return environment


def chunks(template: Template, **context: object) -> Iterator[str]:
    """The rendered template as it comes: what it loops over is taken an item at a time."""
    stream = template.stream(context)
    stream.enable_buffering(_CHUNK_PIECES)
    return iter(stream)


def _source(name: str) -> str | None:
    """Read as a package's resource, so that it is found in a zipped package too."""
    resource = files("reconcile.render").joinpath("templates", name)
    return resource.read_text(encoding="utf-8") if resource.is_file() else None
