"""The report as JSON, a result at a time: the form that programs read, and the contract of ``--format json``."""

from collections.abc import Iterator

from records.report import Report

_AFTER_RESULTS = ("problems", "unregistered_states", "pins")


def render_json(report: Report) -> Iterator[str]:
    """Chunks of one JSON object: the summary's fields, with ``results`` after ``counts``, one result a line."""
    head = report.summary.model_dump_json(exclude=set(_AFTER_RESULTS))
    yield head.removesuffix("}") + ',\n"results": ['
    separator = "\n"
    for result in report.results:
        yield separator + result.model_dump_json()
        separator = ",\n"
    tail = report.summary.model_dump_json(include=set(_AFTER_RESULTS))
    yield "\n],\n" + tail.removeprefix("{") + "\n"
