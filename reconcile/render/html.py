"""The report as one HTML file that asks for nothing outside itself: to be read on a phone, or kept."""

from collections.abc import Iterator
from functools import cache

import markupsafe
from jinja2 import Environment
from markupsafe import Markup

from reconcile.render.disagreement import RECORDS, facts_of, record_rows
from reconcile.render.environment import chunks, report_environment
from reconcile.render.matrix import matrix_rows, survey
from reconcile.render.ordering import headline
from reconcile.render.verdict_counts import verdict_counts
from records.report import WHOLE_ESTATE, Report
from records.results import StackResult
from records.spelling import visible
from records.verdicts import Severity


def render_html(report: Report) -> Iterator[str]:
    """The report in chunks.

    Goes through the results twice, and holds those that are told and, of the others, a few markets'.
    """
    summary, surveyed = report.summary, survey(report)
    return chunks(
        _environment().get_template("report.html.j2"),
        summary=summary,
        headline=headline(summary, surveyed.told),
        severity=_gravest(report, surveyed.told.all),
        counts=verdict_counts(summary, surveyed.told.all),
        stack_names=surveyed.stack_names,
        unread=surveyed.unread,
        has_matrix=bool(summary.counts or surveyed.unread),
        matrix_rows=matrix_rows(report, surveyed),
        told=surveyed.told,
        records=RECORDS,
        whole_estate=WHOLE_ESTATE,
        runbook_url=report.runbook_url,
    )


def _gravest(report: Report, told: tuple[StackResult, ...]) -> Severity:
    """What colours the headline. A market that was not read is as grave as a record that was not."""
    severities = [Severity.NONE if report.summary.counts else Severity.INFO]
    if told:
        severities.append(told[0].severity)
    if report.summary.problems:
        severities.append(Severity.HIGH)
    return min(severities, key=lambda severity: severity.urgency)


@cache
def _environment() -> Environment:
    environment = report_environment(escape=_escape, code=_code, link=_link)
    environment.filters |= {"anchor": _anchor, "facts": facts_of, "record_rows": record_rows}
    return environment


def _escape(text: str) -> Markup:
    return markupsafe.escape(visible(text))


def _code(text: str) -> Markup:
    return Markup("<code>{}</code>").format(visible(text))


def _link(text: str, url: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(url, visible(text))


def _anchor(result: StackResult) -> str:
    """The id of a stack's section: unique in the estate, and with a slash, which no other id has."""
    return f"{result.market}/{result.stack}"
