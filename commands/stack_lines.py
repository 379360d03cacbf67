"""A line a stack while a run goes on: on a terminal only, and on stderr."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.text import Text

from commands.printing import progress_bar
from drift.render.progress import seen_line
from drift.run import CheckProgress
from records.plan_checks import StackObservation


@contextmanager
def stack_lines() -> Iterator[CheckProgress]:
    """Shows which stacks are in work, and leaves a line for each that has been looked at."""
    begun: dict[str, float] = {}
    with progress_bar("stacks") as bar:
        task = bar.add_task("listing", total=None)

        def show() -> None:
            bar.update(task, description=escape(f"planning {', '.join(sorted(begun))}") if begun else "deciding")

        def on_begin(path: str) -> None:
            begun[path] = time.monotonic()
            show()

        def on_seen(seen: StackObservation) -> None:
            seconds = time.monotonic() - begun.pop(seen.name)
            if bar.console.is_terminal:
                line = f"{seen.name}  {seen_line(seen)}  ({seconds:.1f} s)"
                bar.console.print(Text(line, style="dim"), soft_wrap=False, overflow="ellipsis", no_wrap=True)
            bar.advance(task)
            show()

        yield CheckProgress(
            on_stacks=lambda stacks: bar.update(task, total=len(stacks)), on_begin=on_begin, on_seen=on_seen
        )
