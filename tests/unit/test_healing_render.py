"""How heals, holds and the history of both are told: to a person, on any width, and to a program."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from drift.decide import APPROVABLE
from drift.healing.levers import Person
from drift.healing.waiting import WithheldHeal
from drift.render.healed import HealRun, ended_line, healed_document, render_healed
from drift.render.history import MOST_MOMENTS, history_document, render_history, timeline
from drift.render.holds import MOST_ADDRESSES, Holds, holds_document, render_holds
from drift.render.levers import render_approved, render_paused, render_rejected, render_resumed, render_retried
from drift.render.reasons import words_of
from drift.render.steps import STYLES
from records.heal_ledger import ENDED, Approval, HealEvent, HealRow, HealStep, Lever, LeverUse
from records.heals import HealJob
from records.plan_checks import HoldReason
from tests.unit.check_samples import HOSTILE

SIX: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
ANNE: Final = Person(by="anne@example.com", reason="the gateway's change of tonight")
LONG: Final = 'module.hub["emea"].azurerm_network_security_group.of_a_very_long_name_that_goes_on' * 3


def tell(rendered: RenderableType, width: int = 100) -> str:
    text = io.StringIO()
    Console(file=text, width=width, highlight=False).print(rendered)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().split("\n")[:-1])


def job(number: int = 1, *, market: str = "de", stack: str = "network") -> HealJob:
    return HealJob(
        job_id=f"{number:x}".ljust(64, "0"),
        market=market,
        stack=stack,
        lineage="edd2705f",
        serial=42,
        bundle_sha256="b" * 64,
        fingerprint="f" * 64,
        addresses=("azurerm_subnet.a",),
        queued_at=SIX,
        expires_at=SIX + timedelta(hours=2),
    )


def row(*steps: HealStep, note: str | None = None, of: HealJob | None = None, **changes: Any) -> HealRow:
    """A row that has taken these steps after it was queued, ten seconds each; ``note`` is of the last."""
    taken = (HealStep.QUEUED, *steps)
    events = tuple(
        HealEvent(step=step, at=SIX + timedelta(seconds=10 * number), note=note if number == len(steps) else None)
        for number, step in enumerate(taken)
    )
    return HealRow(job=of or job(), step=taken[-1], run_id="plans-1", events=events, **changes)


def use(lever: Lever = Lever.PAUSE, *, at: datetime = SIX, **changes: Any) -> LeverUse:
    return LeverUse(lever=lever, at=at, **{"by": ANNE.by, "reason": ANNE.reason} | changes)


def hold(reason: HoldReason = HoldReason.OSCILLATING, **changes: Any) -> WithheldHeal:
    values: dict[str, Any] = {
        "market": "de",
        "stack": "network",
        "reason": reason,
        "why": "The same drift was healed 3 times within 24 h.",
        "since": SIX,
        "job_id": job().job_id,
        "can_be_approved": reason in APPROVABLE,
        "addresses": ("azurerm_subnet.a",),
    }
    return WithheldHeal(**values | changes)


VERIFIED: Final = row(HealStep.BEGUN, HealStep.JUDGED, HealStep.APPLYING, HealStep.APPLIED, HealStep.VERIFIED)
HELD: Final = row(
    HealStep.BEGUN, HealStep.HELD, note="Anne paused it.", reason=HoldReason.PAUSED, of=job(2, market="fr")
)

SAMPLES: Final[dict[str, RenderableType]] = {
    "heals": render_healed(
        HealRun(jobs=(HELD, VERIFIED), refused=("it has more than 49,152 bytes",), problems=(f"{LONG}: 503",))
    ),
    "hostile heals": render_healed(
        HealRun(
            jobs=(row(HealStep.BEGUN, HealStep.FAILED, note=HOSTILE, of=job(market="emea/" + "m" * 40)),),
            refused=(HOSTILE,),
            problems=(HOSTILE,),
        )
    ),
    "no heals": render_healed(HealRun()),
    "holds": render_holds(
        Holds(holds=tuple(map(hold, HoldReason)), pauses=(use(market="de"), use(by=HOSTILE, reason=HOSTILE)))
    ),
    "hostile holds": render_holds(
        Holds(holds=(hold(why=HOSTILE, addresses=(HOSTILE, *(f"{LONG}{number}" for number in range(20)))),))
    ),
    "no holds": render_holds(Holds()),
    "history": render_history(
        timeline([HELD, VERIFIED], [use(), use(Lever.RETRY, job_id=job(2).job_id, market="fr", reason=HOSTILE)])
    ),
    "no history": render_history([]),
    "a pause": render_paused(Person(by=HOSTILE, reason=HOSTILE), market=None),
    "a resume": render_resumed(market="de", left=[use(by=HOSTILE)]),
    "a rejection": render_rejected(VERIFIED),
}


@pytest.mark.parametrize("rendered", SAMPLES.values(), ids=SAMPLES.keys())
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_none_is_obeyed_by_it(rendered: RenderableType, width: int) -> None:
    lines = tell(rendered, width).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("rendered", [SAMPLES[name] for name in ("heals", "hostile heals", "holds", "history")])
def test_a_job_is_whole_on_a_narrow_terminal(rendered: RenderableType) -> None:
    wide, narrow = tell(rendered, 400), tell(rendered, 60)
    assert narrow.count(job().job_id[:12]) == wide.count(job().job_id[:12])
    assert narrow.count(job(2).job_id[:12]) == wide.count(job(2).job_id[:12])


def test_what_was_said_of_a_job_is_never_cut() -> None:
    of = job(market="emea/" + "m" * 40)
    failed = row(HealStep.BEGUN, HealStep.HELD, note="n" * 300, reason=HoldReason.RECORDS_DISAGREE, of=of)
    told = tell(render_healed(HealRun(jobs=(failed,))), 60)
    assert "n" * 300 in "".join(told.split())


# What came of a heal


def test_jobs_are_told_by_stack_with_their_step_and_what_was_said() -> None:
    assert tell(render_healed(HealRun(jobs=(HELD, row(HealStep.BEGUN, HealStep.VERIFIED, note="It is undone."))))) == (
        "100000000000  de/network  verified\n"
        "  It is undone.\n"
        "200000000000  fr/network  held (paused)\n"
        "  Anne paused it.\n"
        "\n"
        "→ What is held, why, and what to do: trueup drift holds\n"
        "\n"
        "2 jobs: 1 verified, 1 held\n"
    )


@pytest.mark.parametrize("step", sorted(ENDED - {HealStep.VERIFIED, HealStep.REJECTED}))
def test_every_end_but_a_good_one_has_a_next_step(step: HealStep) -> None:
    assert "\n→ " in tell(render_healed(HealRun(jobs=(row(HealStep.BEGUN, step),))))


@pytest.mark.parametrize(
    ("run", "is_well"),
    [
        pytest.param(HealRun(), True, id="nothing was there"),
        pytest.param(HealRun(jobs=(VERIFIED,)), True, id="all are verified"),
        pytest.param(HealRun(jobs=(VERIFIED, HELD)), False, id="one is held"),
        pytest.param(HealRun(jobs=(VERIFIED,), refused=("x",)), False, id="a message was refused"),
        pytest.param(HealRun(jobs=(VERIFIED,), problems=("x",)), False, id="something broke"),
    ],
)
def test_a_run_is_well_where_all_that_it_took_is_verified(run: HealRun, is_well: bool) -> None:
    assert run.is_well is is_well


def test_the_counts_name_what_was_refused_and_what_broke() -> None:
    told = tell(render_healed(HealRun(jobs=(VERIFIED,), refused=("a", "b"), problems=("c",))))
    assert told.endswith("\n1 job: 1 verified; 2 messages refused; 1 problem\n")
    assert tell(render_healed(HealRun(refused=("a",)))).endswith("\nNo job was taken; 1 message refused\n")


def test_a_job_that_ends_is_a_line_with_how_long_it_took() -> None:
    assert ended_line(HELD) == "fr/network  held (paused)  (10 s)  Anne paused it."
    assert ended_line(row(HealStep.EXPIRED, note="Nobody took it.")) == "de/network  expired  Nobody took it."


def test_the_document_of_heals_has_whole_rows_in_order() -> None:
    document: Any = json.loads(json.dumps(healed_document(HealRun(jobs=(HELD, VERIFIED), problems=("x",)))))
    assert [HealRow.model_validate(one) for one in document["jobs"]] == [VERIFIED, HELD]
    assert (document["schema_version"], document["refused"], document["problems"]) == (1, [], ["x"])


# Holds


@pytest.mark.parametrize("reason", HoldReason)
def test_a_hold_says_why_since_when_and_what_to_do(reason: HoldReason) -> None:
    told = tell(render_holds(Holds(holds=(hold(reason),))), 400)
    assert told.startswith(f"de/network  held ({reason})")
    assert ", since 2026-11-25 06:00 UTC\n  The same drift was healed 3 times within 24 h.\n" in told
    step = words_of(reason, is_planned=True).next_step.format(market="de")
    assert f"→ docs/runbook.md#{reason}: {step}\n" in told
    assert ("trueup drift approve 100000000000 --by WHO --reason WHY" in told) is (reason in APPROVABLE)


def test_a_hold_without_a_job_names_none() -> None:
    told = tell(render_holds(Holds(holds=(hold(HoldReason.INCONCLUSIVE, job_id=None, addresses=()),))))
    assert "job" not in told


def test_many_resources_are_cut_and_counted() -> None:
    addresses = tuple(f"azurerm_subnet.n{number:02}" for number in range(MOST_ADDRESSES + 3))
    told = tell(render_holds(Holds(holds=(hold(addresses=addresses),))))
    assert (told.count("· "), "# 3 more resources, which --format json lists" in told) == (MOST_ADDRESSES, True)
    document: Any = holds_document(Holds(holds=(hold(addresses=addresses),)))
    assert document["holds"][0]["addresses"] == list(addresses)


def test_the_general_pause_comes_first() -> None:
    told = tell(render_holds(Holds(pauses=(use(market="de"), use()))))
    assert told.index("in all markets") < told.index("in de")
    assert told.endswith("\nNothing is held\n")


# History


def test_a_timeline_has_every_step_and_lever_newest_first_and_a_lever_before_what_follows() -> None:
    approved = use(Lever.APPROVE, at=SIX, market="de", job_id=job().job_id)
    moments = timeline([VERIFIED], [approved, use(at=SIX + timedelta(hours=1))])
    assert [moment.lever or moment.step for moment in moments] == [
        "pause", "verified", "applied", "applying", "judged", "begun", "queued", "approve",
    ]  # fmt: skip
    assert (moments[-1].stack, moments[0].stack) == ("network", None)


@given(
    st.lists(st.integers(0, 3), max_size=6),
    st.lists(st.integers(0, 3), max_size=6),
    st.randoms(use_true_random=False),
)
def test_a_timeline_is_the_same_in_whatever_order_the_ledger_gives_it(hours: Any, levers: Any, random: Any) -> None:
    rows = [
        HealRow(
            job=job(number + 1, market="de" if number % 2 else "fr"),
            step=HealStep.QUEUED,
            run_id="r",
            events=(HealEvent(step=HealStep.QUEUED, at=SIX + timedelta(hours=hour)),),
        )
        for number, hour in enumerate(hours)
    ]
    uses = [use(at=SIX + timedelta(hours=hour), reason=f"{number}") for number, hour in enumerate(levers)]
    once = timeline(rows, uses)
    shuffled = random.sample(rows, len(rows))
    assert timeline(shuffled, uses) == once
    assert [moment.at for moment in once] == sorted((moment.at for moment in once), reverse=True)
    assert len(once) == len(rows) + len(uses)


def test_a_timeline_reads_by_day() -> None:
    assert tell(render_history(timeline([HELD], [use(at=SIX - timedelta(days=1), market="fr")]))) == (
        "2026-11-25 (UTC)\n"
        "  06:00:20  fr/network  200000000000  held (paused)\n"
        "            Anne paused it.\n"
        "  06:00:10  fr/network  200000000000  begun\n"
        "  06:00:00  fr/network  200000000000  queued\n"
        "\n"
        "2026-11-24 (UTC)\n"
        "  06:00:00  fr                        PAUSE          by anne@example.com\n"
        "            the gateway's change of tonight\n"
        "\n"
        "1 job, 3 steps, 1 use of a lever\n"
    )


def test_a_long_timeline_is_cut_at_its_old_end() -> None:
    many = [use(at=SIX + timedelta(minutes=number)) for number in range(MOST_MOMENTS + 2)]
    told = tell(render_history(timeline([], many)))
    assert "# 2 older moments, which --format json lists" in told
    assert "06:00:00" not in told
    document: Any = history_document(timeline([], many))
    assert len(document["moments"]) == MOST_MOMENTS + 2


# Levers


@pytest.mark.parametrize(
    ("rendered", "head", "next_step"),
    [
        pytest.param(
            lambda: render_paused(ANNE, market="de"),
            "Healing is paused in de, by anne@example.com",
            "trueup drift resume --market de --by WHO --reason WHY",
            id="pause",
        ),
        pytest.param(
            lambda: render_resumed(market=None, left=[]),
            "The pause in all markets is over",
            "trueup drift check --queue",
            id="resume",
        ),
        pytest.param(
            lambda: render_approved(
                row(approvals=(Approval(reason=HoldReason.FROZEN, by=ANNE.by, at=SIX),)),
            ),
            "de/network: job 100000000000 is approved (frozen) and queued",
            "trueup drift heal",
            id="approve",
        ),
        pytest.param(
            lambda: render_rejected(VERIFIED),
            "de/network: job 100000000000 is rejected",
            "trueup drift retry 100000000000 --by WHO --reason WHY",
            id="reject",
        ),
        pytest.param(
            lambda: render_retried(VERIFIED),
            "de/network: job 100000000000 is queued again",
            "trueup drift heal",
            id="retry",
        ),
    ],
)
def test_a_lever_tells_what_it_did_and_what_follows(
    rendered: Callable[[], RenderableType], head: str, next_step: str
) -> None:
    told = tell(rendered())
    assert told.splitlines()[0] == head
    assert "→ " in told
    assert told.splitlines()[-1].endswith(next_step)


def test_of_two_pauses_the_one_that_stays_is_told() -> None:
    of_de = tell(render_resumed(market="de", left=[use(), use(market="fr")]), 200)
    assert of_de.count("Still in force") == of_de.count("Still in force: in all markets since") == 1
    assert of_de.endswith("→ So nothing is healed there yet: trueup drift resume --by WHO --reason WHY\n")
    of_all = tell(render_resumed(market=None, left=[use(market="fr")]), 200)
    assert "Still in force: in fr since" in of_all
    assert of_all.endswith("trueup drift check --queue\n")


def test_every_end_that_somebody_may_have_to_act_on_has_a_colour() -> None:
    assert ENDED - STYLES.keys() == {HealStep.SUPERSEDED}
