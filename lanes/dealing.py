"""Deals the items of a run to lanes, and each lane's to pages: how a run of any size is kept in small histories.

A lane takes its items one after another, so the number of lanes is how many are in work at once.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Final

from records.plans import LanePlan, Page
from records.report import Problem

MOST_NAMES_ON_A_PAGE: Final = 25
"""Every completion replays a lane's history, and the SDK reads each event anew: a short page keeps that to milliseconds."""
MOST_BYTES_ON_A_PAGE: Final = 16 * 1024
"""A page is one payload in an orchestration's history, and one property of a table, which takes 32 K characters."""
_DIGEST_DIGITS: Final = 16


def deal(names: Iterable[str], *, width: int, problems: Sequence[Problem] = ()) -> tuple[LanePlan, list[Page]]:
    """A plan for the items of these names with at most ``width`` lanes, and its pages.

    Neighbours go to different lanes: a region that is slow to answer is not one lane's alone. The same names in any order
    give the same plan.
    """
    ordered = sorted(set(names))
    lanes = [list(_pages(ordered[lane::width])) for lane in range(min(width, len(ordered)))]
    plan = LanePlan(
        digest=hashlib.sha256(json.dumps([width, ordered]).encode()).hexdigest()[:_DIGEST_DIGITS],
        item_count=len(ordered),
        pages_by_lane=tuple(map(len, lanes)),
        problems=tuple(problems),
    )
    pages = [
        Page(lane=lane, number=number, names=tuple(on_page))
        for lane, of_lane in enumerate(lanes)
        for number, on_page in enumerate(of_lane)
    ]
    return plan, pages


def _pages(names: Sequence[str]) -> Iterable[list[str]]:
    page: list[str] = []
    size_bytes = 0
    for name in names:
        name_bytes = len(json.dumps(name)) + 1
        if page and (len(page) == MOST_NAMES_ON_A_PAGE or size_bytes + name_bytes > MOST_BYTES_ON_A_PAGE):
            yield page
            page, size_bytes = [], 0
        page.append(name)
        size_bytes += name_bytes
    if page:
        yield page
