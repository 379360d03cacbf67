"""The report as Markdown: for a comment on a pull request, a Teams message or a wiki page."""

from collections.abc import Iterator
from functools import cache
from typing import Final

from jinja2 import Environment

from reconcile.render.disagreement import RECORDS, facts_of, record_rows
from reconcile.render.environment import chunks, report_environment
from reconcile.render.markdown_text import escape_markdown, markdown_code, markdown_link
from reconcile.render.ordering import by_how_much, headline, told_of
from reconcile.render.verdict_counts import verdict_counts
from records.report import WHOLE_ESTATE, Report

MOST_DETAILED: Final = 15
MOST_LISTED: Final = 50
"""Keep the report of a bad morning near the 65,536 characters that GitHub allows; it says what it omits."""

_NOT_IN_BRIEF: Final = frozenset({"Blob's ETag"})


def render_markdown(report: Report) -> Iterator[str]:
    """The report in chunks. Goes through the results once and holds only those that are told."""
    told = told_of(report.results)
    return chunks(
        _environment().get_template("report.md.j2"),
        summary=report.summary,
        headline=headline(report.summary, told),
        told=told,
        counts=verdict_counts(report.summary, told.all),
        records=RECORDS,
        not_in_brief=_NOT_IN_BRIEF,
        most_detailed=MOST_DETAILED,
        most_listed=MOST_LISTED,
        whole_estate=WHOLE_ESTATE,
        runbook_url=report.runbook_url,
    )


@cache
def _environment() -> Environment:
    environment = report_environment(escape=escape_markdown, code=markdown_code, link=markdown_link)
    environment.filters |= {"by_how_much": by_how_much, "facts": facts_of, "record_rows": record_rows}
    return environment
