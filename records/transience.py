"""Which faults are of a moment, so that another try some time later may come to a verdict."""

from collections.abc import Iterable, Iterator
from typing import Final

from records.faults import Fault, FaultCode
from records.results import StackResult

_MAY_PASS: Final = frozenset({FaultCode.UNAVAILABLE, FaultCode.CHANGED_WHILE_READ})
"""Any other is the same in a minute: a record that is wrong, a role that is missing."""


def may_pass(results: Iterable[StackResult], faults: Iterable[Fault]) -> bool:
    """Whether a fault of a moment cost an item, a market or a stack, its verdict."""
    return any(fault.code in _MAY_PASS for fault in [*faults, *_of_records(results)])


def _of_records(results: Iterable[StackResult]) -> Iterator[Fault]:
    for result in results:
        for record in (result.evidence.state, result.evidence.tracker, result.evidence.registry):
            if record.fault:
                yield record.fault
