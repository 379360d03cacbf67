"""What a run tells of a stack the moment it has been looked at, before anything is decided."""

from records.plan_checks import StackObservation


def seen_line(seen: StackObservation) -> str:
    """A few words, on one line."""
    if seen.plan is None:
        return f"no plan: {seen.diagnostics[0]}" if seen.diagnostics else "no plan"
    count = len(seen.plan.findings)
    return {0: "nothing differs", 1: "1 finding"}.get(count, f"{count} findings")
