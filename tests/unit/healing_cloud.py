"""A cloud of a few rules, and a Terraform that plans and applies it as the real one does: with locks, serials and refreshes.

What Terraform does is told as its plan's JSON, from three values of each rule: the state's, the cloud's and the code's.
"""

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from records.locks import LOCK_METADATA_KEY
from records.registry import StateLocation
from records.terraform import Applied, Cause, Diagnostic, DiagnosticSeverity, FailedApply, NoAnswer, Reach, Step
from records.timestamps import format_utc
from tests.estates import LINEAGE, SERIAL, put_state
from tests.unit.plan_samples import NO_OP, UPDATE, plan_bytes, resource
from tests.unit.planner_fake import STATE, DriftEstate, Outcome, inconclusive

OWN_NAME: Final = "trueup@worker"
APPLY: Final = "OperationTypeApply"
PLAN: Final = "OperationTypePlan"
SSH: Final = "azurerm_network_security_rule.ssh"
RDP: Final = "azurerm_network_security_rule.rdp"
OTHER: Final = "azurerm_network_security_rule.other"
AS_DEPLOYED: Final = {SSH: "Deny", RDP: "Deny", OTHER: "Deny"}
MOMENTS: Final = 40
"""Turns of the loop that an apply takes, in which others may see its lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """How an apply ends before its end: after so many rules; with what it knew in the state or not; with its lock or not."""

    after: int
    writes_state: bool = True
    leaves_lock: bool = False
    dies: type[BaseException] | None = None


@dataclass(slots=True)
class Cloud:
    """de/network, as it was deployed until somebody clicks. ``applies`` has what each apply changed.

    ``moves_serial`` is whether an apply that undoes a click leaves another state than there was: some resources have values
    that each write moves. ``shows`` is given in place of a plan, until something is applied; ``refuses`` in place of an apply.
    """

    world: DriftEstate
    code: dict[str, str] = field(default_factory=lambda: dict(AS_DEPLOYED))
    real: dict[str, str] = field(default_factory=lambda: dict(AS_DEPLOYED))
    known: dict[str, str] = field(default_factory=lambda: dict(AS_DEPLOYED))
    serial: int = SERIAL
    lineage: str = LINEAGE
    outputs: str = "as deployed"
    known_outputs: str = "as deployed"
    moves_serial: bool = False
    shows: Outcome | None = None
    cut_off: CutOff | None = None
    refuses: FailedApply | None = None
    undone_again: bool = False
    applies: list[dict[str, str]] = field(default_factory=list)
    plans: list[int | None] = field(default_factory=list)
    before_plan: Callable[[], object] = lambda: None
    before_apply: Callable[[], object] = lambda: None
    during_apply: Callable[[], object] = lambda: None
    after_apply: Callable[[], object] = lambda: None

    def click(self, *addresses: str) -> None:
        for address in addresses or (SSH,):
            self.real[address] = "Allow"

    def write_state(self, serial: int | None = None) -> None:
        """As Terraform does: one serial on where there is something new in it."""
        self.serial = self.serial + 1 if serial is None else serial
        put_state(self.world.estate, "de", "network", self.serial, lineage=self.lineage)

    def deploy_by_hand(self, outputs: str | None = None, **code: str) -> None:
        """A stranger's apply of other code, of which no record is written."""
        self.known_outputs = outputs or self.known_outputs
        rules = {f"azurerm_network_security_rule.{name}": access for name, access in code.items()}
        self.real |= AS_DEPLOYED | rules
        self.known = dict(self.real)
        self.write_state()

    def lock(self, lock_id: str, who: str, operation: str = APPLY) -> None:
        created = format_utc(self.world.now)
        info = json.dumps({"ID": lock_id, "Operation": operation, "Who": who, "Created": created}).encode()
        self.world.blobs.set_metadata(STATE, {LOCK_METADATA_KEY: base64.b64encode(info).decode()})
        self.world.blobs.lease(STATE)

    def unlock(self) -> None:
        self.world.unlock()

    @property
    def is_locked(self) -> bool:
        return self.world.blobs._blob(STATE).leased

    async def plan(self, *, state: StateLocation, lock_timeout_seconds: int | None) -> Outcome:
        self.plans.append(lock_timeout_seconds)
        self.before_plan()
        if lock_timeout_seconds is not None:
            if self.is_locked:
                return _locked(Step.PLAN)
            self.lock(f"plan-{len(self.plans)}", OWN_NAME, PLAN)
            self.unlock()
        return self.shows or self._document()

    async def apply(self, document: bytes, *, state: StateLocation, lock_timeout_seconds: int) -> Applied | FailedApply:
        self.before_apply()
        if self.refuses:
            return self.refuses
        if self.is_locked:
            return _failed(_locked(Step.APPLY), Reach.NO_LOCK)
        plan = json.loads(document)
        if self.shows is None and plan["ground"] != [self.lineage, self.serial]:
            return _failed(_said("Saved plan is stale"), Reach.NOT_BEGUN)
        self.lock(f"apply-{len(self.applies)}", OWN_NAME)
        for _ in range(MOMENTS):
            await asyncio.sleep(0)
        self.during_apply()
        changes = {
            one["address"]: one["change"]["after"]["access"]
            for one in plan["resource_changes"]
            if self.shows is None and one["change"]["actions"] != ["no-op"]
        }
        done = dict(sorted(changes.items())[: self.cut_off.after if self.cut_off else None])
        self.applies.append(done)
        self.shows = "no_change" if self.shows else None
        self.real |= done
        if self.cut_off:
            return self._end_before_the_end(self.cut_off)
        self.known, self.known_outputs = dict(self.real), self.outputs
        self.unlock()
        if self.moves_serial:
            self.write_state()
        if self.undone_again:
            self.click()
        self.after_apply()
        return Applied(most_writes=1)

    def _end_before_the_end(self, cut_off: CutOff) -> FailedApply:
        self.cut_off = None
        self.unlock()
        if cut_off.writes_state:
            self.known = dict(self.real)
            self.write_state()
        if cut_off.leaves_lock:
            self.lock(f"apply-{len(self.applies) - 1}", OWN_NAME)
        if cut_off.dies:
            raise cut_off.dies("in the middle of the apply")
        self.after_apply()
        cause = Cause.KILLED if cut_off.leaves_lock else Cause.FAILED if cut_off.writes_state else Cause.STATE_LOST
        return _failed(_said("creating NSG Rule", cause), Reach.BEGUN, changed=cut_off.after)

    def _document(self) -> bytes:
        drift = [
            resource(UPDATE, {"access": self.known[address]}, {"access": real}, address=address)
            for address, real in sorted(self.real.items())
            if self.known.get(address, real) != real
        ]
        changes = [
            resource(
                UPDATE if self.real.get(address) != code else NO_OP,
                {"access": self.real.get(address)},
                {"access": code},
                address=address,
            )
            for address, code in sorted(self.code.items())
        ]
        outputs = {} if self.known_outputs == self.outputs else {"of": {"actions": UPDATE}}
        return plan_bytes(drift, changes, output_changes=outputs, ground=[self.lineage, self.serial])


def _locked(step: Step) -> NoAnswer:
    said = Diagnostic(severity=DiagnosticSeverity.ERROR, summary="Error acquiring the state lock")
    return NoAnswer(step=step, cause=Cause.FAILED, message="Terraform gave no answer.", diagnostics=(said,))


def _said(summary: str, cause: Cause = Cause.FAILED) -> NoAnswer:
    said = Diagnostic(severity=DiagnosticSeverity.ERROR, summary=summary)
    return inconclusive(cause, step=Step.APPLY, diagnostics=(said,))


def _failed(failure: NoAnswer, reach: Reach, changed: int = 0) -> FailedApply:
    return FailedApply(failure=failure, reach=reach, changed=changed, most_writes=1)
