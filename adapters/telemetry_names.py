"""Every name that telemetry carries. Alerts and workbooks are written against these: docs/telemetry.md tells them to people."""

from typing import Final

from records.findings import FindingKind

SCOPE: Final = "trueup"
"""Instrumentation scope of the metrics and spans."""

EVENT_LOGGER: Final = "trueup.events"
EVENT_NAME_ATTRIBUTE: Final = "microsoft.custom_event.name"
"""Makes a log record a custom event (https://learn.microsoft.com/azure/azure-monitor/app/opentelemetry-add-modify)."""

STACKS: Final = "trueup.stacks"
RUN_DURATION: Final = "trueup.run.duration"
MARKETS_EXPECTED: Final = "trueup.markets.expected"
MARKETS_CHECKED: Final = "trueup.markets.checked"
MARKETS_UNREAD: Final = "trueup.markets.unread"
MODULE_STACKS: Final = "trueup.module.stacks"

RUN_EVENT: Final = "trueup.run"
DISAGREEMENT_EVENT: Final = "trueup.disagreement"
PROBLEM_EVENT: Final = "trueup.problem"
MODULE_EVENT: Final = "trueup.module_pin"

RUN_ID: Final = "trueup.run.id"
RUN_STATUS: Final = "trueup.run.status"
RUN_TRIGGER: Final = "trueup.run.trigger"
RUN_SCOPE: Final = "trueup.run.scope"
RUN_STARTED_AT: Final = "trueup.run.started_at"
RUN_FINISHED_AT: Final = "trueup.run.finished_at"
RUN_DURATION_SECONDS: Final = "trueup.run.duration_seconds"
RUN_EXIT_STATUS: Final = "trueup.run.exit_status"
RUN_MARKETS_EXPECTED: Final = "trueup.run.markets_expected"
RUN_MARKETS_CHECKED: Final = "trueup.run.markets_checked"
RUN_MARKETS_UNREAD: Final = "trueup.run.markets_unread"
RUN_STACKS: Final = "trueup.run.stacks"
RUN_MODULES: Final = "trueup.run.modules"
RUN_DISAGREEMENTS: Final = "trueup.run.disagreements"
RUN_PROBLEMS: Final = "trueup.run.problems"
RUN_UNREGISTERED_STATES: Final = "trueup.run.unregistered_states"

MODULE: Final = "trueup.module"
MODULE_PACKAGE: Final = "trueup.module.package"
MODULE_PINNED_TO: Final = "trueup.module.pinned_to"
MODULE_FIRMNESS: Final = "trueup.module.firmness"
MODULE_NEWEST: Final = "trueup.module.newest"
MODULE_VERSIONS: Final = "trueup.module.versions"
MODULE_STACKS_USING: Final = "trueup.module.stacks_using"
MODULE_MOST_BEHIND: Final = "trueup.module.most_behind"
MODULE_LOOSE: Final = "trueup.module.loose"
MODULE_MOVED_TAGS: Final = "trueup.module.moved_tags"

MARKET: Final = "trueup.market"
STACK: Final = "trueup.stack"
SUBSCRIPTION_ID: Final = "trueup.subscription_id"
TIER: Final = "trueup.tier"
VERDICT: Final = "trueup.verdict"
MASKED_VERDICT: Final = "trueup.masked_verdict"
SEVERITY: Final = "trueup.severity"
ODD_ONE_OUT: Final = "trueup.odd_one_out"
SERIAL_STATE: Final = "trueup.serial.state"
SERIAL_TRACKER: Final = "trueup.serial.tracker"
SERIAL_REGISTRY: Final = "trueup.serial.registry"
SERIAL_DELTA: Final = "trueup.serial_delta"
TIME_DELTA_SECONDS: Final = "trueup.time_delta_seconds"
FIRST_SEEN_AT: Final = "trueup.first_seen_at"
STATE_CHANGED_AT: Final = "trueup.state_changed_at"

PROBLEM_RECORD: Final = "trueup.problem.record"
PROBLEM_CODE: Final = "trueup.problem.code"
PROBLEM_BLOB: Final = "trueup.problem.blob"
PROBLEM_FIELD: Final = "trueup.problem.field"

SPAN_PREFIX: Final = "trueup."
"""Followed by the function's name: the span of one invocation, under the host's and over those of the requests to storage."""

NONE: Final = "none"
"""Stands for a tier that an unreadable record leaves open, and for the reason of what is no hold: a metric's dimension cannot
be absent."""

PLAN_CHECKS: Final = "trueup.plan_checks"
"""From here on, what is told of plan checks. It shares ``MARKET``, ``STACK`` and ``SUBSCRIPTION_ID`` with what is told of
reconciling, and no other metric, event or attribute: an alert on pipeline drift can match nothing of portal drift."""
PLAN_RUN_DURATION: Final = "trueup.plan_run.duration"
PLAN_STACKS_EXPECTED: Final = "trueup.plan_stacks.expected"
PLAN_STACKS_CHECKED: Final = "trueup.plan_stacks.checked"
PLAN_STACKS_UNPLANNED: Final = "trueup.plan_stacks.unplanned"
HEALS_QUEUED: Final = "trueup.heals.queued"

PLAN_RUN_EVENT: Final = "trueup.plan_run"
PORTAL_DRIFT_EVENT: Final = "trueup.portal_drift"
PLAN_PROBLEM_EVENT: Final = "trueup.plan_problem"

PLAN_RUN_ID: Final = "trueup.plan_run.id"
PLAN_RUN_STATUS: Final = "trueup.plan_run.status"
PLAN_RUN_TRIGGER: Final = "trueup.plan_run.trigger"
PLAN_RUN_SCOPE: Final = "trueup.plan_run.scope"
PLAN_RUN_STARTED_AT: Final = "trueup.plan_run.started_at"
PLAN_RUN_FINISHED_AT: Final = "trueup.plan_run.finished_at"
PLAN_RUN_DURATION_SECONDS: Final = "trueup.plan_run.duration_seconds"
PLAN_RUN_EXIT_STATUS: Final = "trueup.plan_run.exit_status"
PLAN_RUN_STACKS_EXPECTED: Final = "trueup.plan_run.stacks_expected"
PLAN_RUN_STACKS_CHECKED: Final = "trueup.plan_run.stacks_checked"
PLAN_RUN_STACKS_UNPLANNED: Final = "trueup.plan_run.stacks_unplanned"
PLAN_RUN_STACKS_CLEAN: Final = "trueup.plan_run.stacks_clean"
PLAN_RUN_STACKS_TO_HEAL: Final = "trueup.plan_run.stacks_to_heal"
PLAN_RUN_STACKS_HELD: Final = "trueup.plan_run.stacks_held"
PLAN_RUN_HEALS_QUEUED: Final = "trueup.plan_run.heals_queued"
PLAN_RUN_PROBLEMS: Final = "trueup.plan_run.problems"

PLAN_CHECK_DECISION: Final = "trueup.plan_check.decision"
PLAN_CHECK_REASON: Final = "trueup.plan_check.reason"
PLAN_CHECK_JOB_ID: Final = "trueup.plan_check.job_id"
PLAN_CHECK_FINGERPRINT: Final = "trueup.plan_check.fingerprint"
PLAN_CHECK_VERDICT: Final = "trueup.plan_check.verdict"
PLAN_CHECK_SERIAL: Final = "trueup.plan_check.serial"
PLAN_CHECK_FINDINGS: Final = "trueup.plan_check.findings"
PLAN_CHECK_FINDINGS_OF_KIND: Final = {
    FindingKind.PORTAL_DRIFT: "trueup.plan_check.findings_portal_drift",
    FindingKind.STALE_STATE: "trueup.plan_check.findings_stale_state",
    FindingKind.PENDING_CHANGE: "trueup.plan_check.findings_pending_change",
    FindingKind.MIXED: "trueup.plan_check.findings_mixed",
    FindingKind.UNSAFE: "trueup.plan_check.findings_unsafe",
}
PLAN_CHECK_FINDINGS_DESTRUCTIVE: Final = "trueup.plan_check.findings_destructive"
PLAN_CHECK_RESOURCE_TYPES: Final = "trueup.plan_check.resource_types"
PLAN_CHECK_ADDRESSES: Final = "trueup.plan_check.addresses"
PLAN_CHECK_CHANGED_BY: Final = "trueup.plan_check.changed_by"
PLAN_CHECK_CHANGED_AT: Final = "trueup.plan_check.changed_at"
PLAN_CHECK_CLIENT: Final = "trueup.plan_check.client"

PLAN_PROBLEM_RECORD: Final = "trueup.plan_problem.record"
PLAN_PROBLEM_CODE: Final = "trueup.plan_problem.code"
PLAN_PROBLEM_BLOB: Final = "trueup.plan_problem.blob"
PLAN_PROBLEM_FIELD: Final = "trueup.plan_problem.field"

HEALS: Final = "trueup.heals"
"""From here on, what is told of heals. It shares ``MARKET`` and ``STACK`` with all, and ``PLAN_RUN_ID`` with plan checks."""
HEAL_DURATION: Final = "trueup.heal.duration"

HEAL_EVENT: Final = "trueup.heal"
HEAL_REFUSED_EVENT: Final = "trueup.heal_refused"

HEAL_JOB_ID: Final = "trueup.heal.job_id"
HEAL_STEP: Final = "trueup.heal.step"
HEAL_REASON: Final = "trueup.heal.reason"
HEAL_FINGERPRINT: Final = "trueup.heal.fingerprint"
HEAL_SERIAL: Final = "trueup.heal.serial"
HEAL_ATTEMPTS: Final = "trueup.heal.attempts"
HEAL_APPROVALS: Final = "trueup.heal.approvals"
HEAL_DURATION_SECONDS: Final = "trueup.heal.duration_seconds"

HEAL_REFUSED_WHY: Final = "trueup.heal_refused.why"
