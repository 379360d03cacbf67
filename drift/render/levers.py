"""What a lever tells once it is pulled: what follows from it, and how it is undone."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from drift.healing.levers import Person
from drift.render.wording import job_name
from records.heal_ledger import HealRow, LeverUse
from records.plan_checks import stack_path
from records.spelling import to_the_minute, visible

_INDENT = (0, 0, 0, 2)


def render_paused(person: Person, *, market: str | None) -> RenderableType:
    end = f"trueup drift resume{f' --market {market}' if market else ''} --by WHO --reason WHY"
    return _told(
        f"Healing is paused {where(market)}, by {visible(person.by)}",
        "No apply begins any more; one that has begun goes on to its end.",
        f"→ It stays so until somebody ends it: {end}",
    )


def render_resumed(*, market: str | None, left: Iterable[LeverUse]) -> RenderableType:
    """``left`` are the pauses that are in force still: of these the general one holds every market."""
    still = sorted(pause_line(pause) for pause in left if market is None or pause.market is None)
    next_step = "→ The next check queues what was held meanwhile: trueup drift check --queue"
    if market and still:
        next_step = "→ So nothing is healed there yet: trueup drift resume --by WHO --reason WHY"
    return _told(f"The pause {where(market)} is over", *(f"Still in force: {line}" for line in still), next_step)


def render_approved(row: HealRow) -> RenderableType:
    return _told(
        f"{_name(row)} is approved ({row.approvals[-1].reason}) and queued",
        "Every other check is made all the same.",
        "→ The app's worker takes it, or: trueup drift heal",
    )


def render_rejected(row: HealRow) -> RenderableType:
    return _told(
        f"{_name(row)} is rejected",
        "No check queues it again. The drift stays, and every check tells of it.",
        f"→ To take it back: trueup drift retry {job_name(row.job.job_id)} --by WHO --reason WHY",
    )


def render_retried(row: HealRow) -> RenderableType:
    return _told(f"{_name(row)} is queued again", "→ The app's worker takes it, or: trueup drift heal")


def where(market: str | None) -> str:
    """``in de``, ``in all markets``."""
    return f"in {visible(market)}" if market else "in all markets"


def pause_line(pause: LeverUse) -> str:
    """``in de since 2026-11-23 06:00 UTC, by alice: the hub is being rebuilt``."""
    since = to_the_minute(pause.at)
    return f"{where(pause.market)} since {since}, by {visible(pause.by)}: {visible(pause.reason)}"


def _name(row: HealRow) -> str:
    return f"{stack_path(row.job.market, row.job.stack)}: job {job_name(row.job.job_id)}"


def _told(head: str, *lines: str) -> RenderableType:
    return Group(Text(head, style="bold", overflow="fold"), Padding(Text("\n".join(lines), overflow="fold"), _INDENT))
