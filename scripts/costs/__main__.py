"""``python -m scripts.costs``."""

import argparse
from collections.abc import Sequence

from scripts.costs.estate import SIZES
from scripts.costs.tables import in_markdown, tables

_EXAMPLE = """example:
  python -m scripts.costs --markets 40 400
      of estates of 40 and of 400 markets, as the assumptions and prices of docs/costs.md have it"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.costs",
        description="Prints the tables of docs/costs.md that follow from its assumptions and prices.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--markets",
        metavar="N",
        type=int,
        nargs="+",
        default=SIZES,
        help="how many; by default the document's three sizes",
    )
    sizes = parser.parse_args(arguments).markets
    if min(sizes) < 1:
        parser.error("--markets: an estate has one market at least")
    for title, rows in tables(sizes).items():
        print(f"## {title}\n\n{in_markdown(rows)}\n")


if __name__ == "__main__":
    main()
