"""The checks as JSON, a stack at a time: the form that programs read, and the contract of ``--format json``."""

from collections.abc import Iterator

from drift.render.order import by_name
from records.plan_checks import CheckReport

_AFTER_RESULTS = ("problems",)


def render_json(report: CheckReport) -> Iterator[str]:
    """Chunks of one JSON object: ``results`` after ``counts``, one result a line, then what could not be looked at."""
    head = report.model_dump_json(exclude={"results", *_AFTER_RESULTS})
    yield head.removesuffix("}") + ',\n"results": ['
    separator = "\n"
    for check in by_name(report.results):
        yield separator + check.model_dump_json()
        separator = ",\n"
    tail = report.model_dump_json(include=set(_AFTER_RESULTS))
    yield "\n],\n" + tail.removeprefix("{") + "\n"
