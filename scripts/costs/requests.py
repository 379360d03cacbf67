"""How many requests a run sends to the estate's account, by the price of each; held to what it sends by a test."""

from collections import Counter

from lanes.dealing import MOST_NAMES_ON_A_PAGE


def run_requests(markets: int, stacks: int, width: int) -> Counter[str]:
    """Of a day's run, ``width`` markets side by side."""
    return Counter(
        blob_read=2 * stacks + markets + 6,
        blob_write=markets + 3 + 6,
        table_batch=2 * markets + 2,
        table_query=3 * markets + 5,
        table_read=5 + _pages(markets, min(width, markets)),
        table_write=4,
    )


def check_run_requests(markets: int, stacks: int, width: int) -> tuple[Counter[str], Counter[str]]:
    """Of a run of plan checks, ``width`` stacks side by side, where all is clean: of its stacks, and the rest."""
    of_stacks = Counter(blob_read=7 * stacks, blob_write=2 * stacks, table_batch=3 * stacks)
    of_stacks.update(table_read=3 * stacks, table_query=2 * stacks)
    number = _pages(stacks, min(width, stacks))
    of_run = Counter(blob_read=markets + 1, blob_write=2, table_batch=1, table_write=4)
    of_run.update(table_read=5 + number, table_query=2 * markets + 10)
    return of_stacks, of_run


def _pages(items: int, lanes: int) -> int:
    """Of names, which each lane reads one after the other."""
    return sum(-(-len(range(lane, items, lanes)) // MOST_NAMES_ON_A_PAGE) for lane in range(lanes))
