"""Reports of plan checks as the renderers meet them: every decision, reason and kind, and what a hostile tag may hold.

Where it can be, a finding is what `drift.classify` makes of a plan that Terraform wrote.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from drift.classify import classify
from drift.plan_json import Plan, read_plan
from records.faults import FaultCode, RecordKind
from records.findings import AttributeChange, Finding, FindingKind
from records.plan_checks import CheckReport, Decision, HoldReason, StackCheck
from records.report import WHOLE_ESTATE, Problem
from records.verdicts import Verdict

PLANS: Final = Path(__file__).parents[1] / "golden" / "plans"
STARTED_AT: Final = datetime(2026, 11, 23, 6, 0, 4, tzinfo=UTC)
JOB: Final = "4f1c0de5a7be24c61d0b9e8f7a6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c"
FINGERPRINT: Final = "b7e23ec29af22b0b4e41da31e868d57226121c84b7e23ec29af22b0b4e41da31"
NSG: Final = "azurerm_network_security_group"
ALICE: Final[dict[str, Any]] = {
    "changed_by": "alice@example.com",
    "changed_at": datetime(2026, 11, 23, 2, 14, 9, tzinfo=UTC),
    "client": "Azure Portal",
}
HOSTILE: Final = (
    "[red]x[/red] \x1b[31mred\x1b[0m \u202egnp.exe\u2066 \x07\x9b ```\n# heading <script>alert(1)</script> "
    "[a](https://evil.example) @team :smile: | a `b` ${x} \u200b\u00a0\x00"
)
UNTIDY: Final = '[red] \x1b[2J\u202e\r\n```\n<b>`|@team"'


def findings_of(plan: str) -> tuple[Finding, ...]:
    """The findings of a recorded plan of tests/golden/plans."""
    read = read_plan((PLANS / f"{plan}.json").read_bytes())
    assert isinstance(read, Plan)
    return classify(read).findings


def finding(address: str = f"{NSG}.hub", **changes: Any) -> Finding:
    """A rule that somebody opened; ``changes`` replaces fields."""
    values: dict[str, Any] = {
        "address": address,
        "type": NSG,
        "kind": FindingKind.PORTAL_DRIFT,
        "actions": ("update",),
        "destructive": "delete" in changes.get("actions", ()),
        "attributes": (
            AttributeChange(path="security_rule[0].access", before="Allow", after="Deny"),
            AttributeChange(path="tags.owner", before="alice", after=None),
        ),
    }
    return Finding(**values | changes)


def changed(path: str = "value", before: Any = None, after: Any = None, *, sensitive: bool = False) -> AttributeChange:
    return AttributeChange(path=path, before=before, after=after, sensitive=sensitive)


def check(
    stack: str = "network", decision: Decision | HoldReason = Decision.HEAL, *, market: str = "de", **changes: Any
) -> StackCheck:
    """A stack of this decision, or held for this reason; ``changes`` replaces fields."""
    reason = decision if isinstance(decision, HoldReason) else None
    is_clean = decision is Decision.CLEAN
    values: dict[str, Any] = {
        "market": market,
        "stack": stack,
        "decision": Decision.HOLD if reason else decision,
        "reason": reason,
        "why": f"A sentence on {decision}.",
        "job_id": None if is_clean else JOB,
        "fingerprint": None if is_clean else FINGERPRINT,
        "verdict": Verdict.HEALTHY,
        "lineage": "2f4f8a1e-9c1b-4df5-93ab-0f2b7a4c9d11",
        "serial": 42,
        "bundle_sha256": "9" * 64,
        "subscription_id": "5f0a9c1e-6c1b-4df5-93ab-0f2b7a4c9d11",
        "checked_at": STARTED_AT + timedelta(seconds=40),
        "findings": () if is_clean else (finding(**ALICE),),
    }
    return StackCheck(**values | changes)


def inconclusive(stack: str = "network", **changes: Any) -> StackCheck:
    """What Terraform could not plan: nothing is known of it, and no job can be named."""
    diagnostic = "error: Failed to query available provider packages; registry.terraform.io; main.tf:4"
    values: dict[str, Any] = {
        "why": f"There is no plan to judge: {diagnostic}",
        "diagnostics": (diagnostic, "error: Inconsistent dependency lock file; HTTP 503"),
        "findings": (),
        "job_id": None,
        "fingerprint": None,
    }
    return check(stack, HoldReason.INCONCLUSIVE, **values | changes)


def problem(market: str = "fr", **changes: Any) -> Problem:
    values: dict[str, Any] = {
        "code": FaultCode.FORBIDDEN,
        "record": RecordKind.REGISTRY,
        "blob": f"{market}/subscription.json",
        "message": "access was denied",
        "remedy": "Give trueup's identity the role that docs/configuration.md names.",
    }
    return Problem(market=market, **values | changes)


def report(checks: Iterable[StackCheck] = (), *, problems: Iterable[Problem] = (), **changes: Any) -> CheckReport:
    """A report of checks in any order, counted."""
    checks = sorted(checks, key=lambda one: (one.market, one.stack))
    values: dict[str, Any] = {
        "run_id": "20261123T060004000Z",
        "started_at": STARTED_AT,
        "finished_at": STARTED_AT + timedelta(minutes=2, seconds=5),
        "counts": dict(sorted(Counter(one.decision for one in checks).items())),
        "queued": tuple(sorted({one.job_id for one in checks if one.decision is Decision.HEAL and one.job_id})),
        "problems": tuple(problems),
        "results": tuple(checks),
    }
    return CheckReport(**values | changes)


def eventful() -> CheckReport:
    """A morning that has a bit of everything, as realistic as can be."""
    heal = "Changed outside Terraform; an apply of what was deployed undoes it."
    behind = findings_of("change_under_ignore_changes")
    opened = finding(
        f'{NSG}.spoke["west"]',
        attributes=(
            changed("security_rule[0].access", "Allow", "Deny"),
            changed("security_rule[0].source_address_prefixes", ["0.0.0.0/0"], ["10.1.0.0/16", "10.2.0.0/16"]),
            changed("tags", {"cost-center": "4711", "touched-by": "alice"}, None),
        ),
        **ALICE,
    )
    secret = [
        one.model_copy(update={"changed_by": "bob@example.com"}) for one in findings_of("sensitive_attribute_drifted")
    ]
    return report(
        [
            *(check(name, Decision.CLEAN) for name in ("app", "data", "dns", "identity", "logs", "mail")),
            check(
                "worker", Decision.CLEAN, market="emea/es", findings=behind, why="What differs is in the state alone."
            ),
            check("network", market="de", findings=(opened, *findings_of("deleted_outside")), why=heal),
            check(
                "vault", market="de", findings=(*secret, *findings_of("computed_noise_and_a_click"), *behind), why=heal
            ),
            inconclusive("network", market="at"),
            check(
                "vault",
                HoldReason.DESTRUCTIVE,
                market="emea/fr",
                findings=findings_of("click_forces_replacement"),
                why="The plan would delete: azsim_key_vault.main.",
            ),
            check(
                "network",
                HoldReason.RECORDS_DISAGREE,
                market="emea/fr",
                verdict=Verdict.PIPELINE_DRIFT,
                findings=findings_of("blocks_of_a_set_changed"),
                why="The verdict on the three records is pipeline_drift: what looks like drift may have been deployed.",
            ),
            check(
                "data",
                HoldReason.UNSAFE,
                market="emea/fr",
                findings=findings_of("removed_block_forgets"),
                job_id=None,
                why="The plan has an action that is never applied unattended: azsim_storage_account.main.",
            ),
            check(
                "app",
                HoldReason.PENDING_CHANGE,
                market="pl",
                findings=findings_of("provider_upgrade"),
                why="No drift, but a change that waits for a deploy: azsim_storage_account.main.",
            ),
            check(
                "data",
                HoldReason.DESTRUCTIVE,
                market="pl",
                findings=findings_of("deposed_object"),
                why="The plan would delete: azsim_storage_account.main.",
            ),
            check(
                "network", HoldReason.DRY_RUN, market="pl", why="The heal mode of pl is dry-run, so nothing undoes it."
            ),
            check(
                "web",
                HoldReason.MIXED,
                market="pl",
                findings=findings_of("drift_and_pending_change_on_one"),
                why="The apply would change more of it than what has drifted: azsim_network_security_rule.ssh.",
                diagnostics=("warning: Argument is deprecated; azsim_network_security_rule.ssh; main.tf:12",),
            ),
        ],
        problems=[
            problem("uk"),
            problem(
                WHOLE_ESTATE,
                record=RecordKind.RESULTS,
                code=FaultCode.UNAVAILABLE,
                blob="checks",
                message="the table did not answer within 30 s",
                remedy="Run it again; nothing was queued that is not in the ledger.",
            ),
        ],
    )


def huge() -> CheckReport:
    """500 findings of one stack, values of a megabyte, and as many attributes as a site has."""
    policy = "x" * 500_000
    many = tuple(
        finding(
            f'module.sites["{number:03}"].azurerm_linux_web_app.site',
            attributes=tuple(changed(f"app_settings.KEY_{key}", "a" * 200, "b" * 200) for key in range(60)),
        )
        for number in range(499)
    )
    document = finding(
        "azurerm_policy.p", attributes=(changed("policy_rule", f"{policy}1{policy}", f"{policy}2{policy}"),)
    )
    deleted = finding("azurerm_zone.z", actions=("delete", "create"))
    stacks = (check("network", HoldReason.BLAST_RADIUS, market=f"m{number:03}") for number in range(200))
    return report([check("app", HoldReason.DESTRUCTIVE, findings=(*many, document, deleted)), *stacks])


def hostile() -> CheckReport:
    """Foreign text in every field that may hold some."""
    told = finding(
        HOSTILE,
        deposed=UNTIDY,
        type=HOSTILE,
        attributes=(changed(HOSTILE, HOSTILE, {HOSTILE: [UNTIDY, None]}), changed(UNTIDY, None, UNTIDY)),
        changed_by=HOSTILE,
        changed_at=STARTED_AT,
        client=UNTIDY,
    )
    unsafe = finding("a.b", kind=FindingKind.UNSAFE, actions=(HOSTILE,), attributes=())
    stale = finding(HOSTILE, kind=FindingKind.STALE_STATE, actions=("no-op",))
    return report(
        [
            check("network", HoldReason.MIXED, why=HOSTILE, diagnostics=(UNTIDY, HOSTILE), findings=(told, unsafe)),
            check("app", why=UNTIDY, job_id=UNTIDY),
            check("clean", Decision.CLEAN, findings=(stale,)),
        ],
        problems=[problem(HOSTILE, message=UNTIDY, remedy=HOSTILE, blob=HOSTILE)],
        run_id=HOSTILE,
    )


def worldly() -> CheckReport:
    """Text of the whole world, much of it two cells wide."""
    wide = "東京リージョンのネットワーク設定は手動で変更されました" * 4
    attributes = (
        changed("tags.説明", wide, f"{wide}。"),
        changed("tags.mood", "🚀🔥 shipped 👩‍💻", "é ñ ü ß"),
        changed("a.very.long.path.of.blocks[0].inside.blocks[12].inside.blocks[3].with.a.value", 1, 2.5),
        changed("enabled", None, True),
    )
    return report(
        [check("network", findings=(finding('azurerm_ausführung.größe["münchen 🍺"]', attributes=attributes),))]
    )


SAMPLES: Final = {
    "a morning with a bit of everything": eventful(),
    "huge": huge(),
    "hostile": hostile(),
    "text of the whole world": worldly(),
    "nothing at all": report(),
    "all clean": report([check("app", Decision.CLEAN), check("dns", Decision.CLEAN)]),
    "a problem alone": report(problems=[problem()]),
    "each reason once": report(check(reason.replace("_", "-"), reason) for reason in HoldReason),
    "each kind once": report(
        check(kind.replace("_", "-"), findings=(finding(kind=kind, **ALICE),)) for kind in FindingKind
    ),
}
