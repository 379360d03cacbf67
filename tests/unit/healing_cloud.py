"""A cloud of a few rules, and a Terraform that plans and applies it as the real one does: with locks, serials and refreshes.

What Terraform does is told as its plan's JSON, from three values of each rule: the state's, the cloud's and the code's.
"""

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from records.locks import APPLY, LOCK_METADATA_KEY
from records.registry import StateLocation
from records.terraform import Applied, Cause, Diagnostic, DiagnosticSeverity, NoAnswer, Step
from records.timestamps import format_utc
from tests.estates import LINEAGE, SERIAL, put_state
from tests.unit.plan_samples import NO_OP, UPDATE, plan_bytes, resource
from tests.unit.planner_fake import STATE, DriftEstate, Outcome, inconclusive

OWN_NAME: Final = "trueup@worker"
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
    that each write moves. ``shows`` is given in place of a plan, until something is applied.
    """

    world: DriftEstate
    code: dict[str, str] = field(default_factory=lambda: dict(AS_DEPLOYED))
    real: dict[str, str] = field(default_factory=lambda: dict(AS_DEPLOYED))
    known: dict[str, str] = field(default_factory=lambda: dict(AS_DEPLOYED))
    serial: int = SERIAL
    lineage: str = LINEAGE
    moves_serial: bool = False
    shows: Outcome | None = None
    cut_off: CutOff | None = None
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

    def deploy_by_hand(self, **code: str) -> None:
        """A stranger's apply of other code, of which no record is written."""
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

    async def apply(self, document: bytes, *, state: StateLocation, lock_timeout_seconds: int) -> Applied | NoAnswer:
        self.before_apply()
        if self.is_locked:
            return _locked(Step.APPLY)
        plan = json.loads(document)
        if self.shows is None and plan["ground"] != [self.lineage, self.serial]:
            return _failed("Saved plan is stale")
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
        self.known = dict(self.real)
        self.unlock()
        if self.moves_serial:
            self.write_state()
        if self.undone_again:
            self.click()
        self.after_apply()
        return Applied()

    def _end_before_the_end(self, cut_off: CutOff) -> NoAnswer:
        self.cut_off = None
        self.unlock()
        if cut_off.writes_state:
            self.known = dict(self.real)
            self.write_state()
        if cut_off.leaves_lock:
            self.lock(f"apply-{len(self.applies) - 1}", OWN_NAME)
        if cut_off.dies:
            raise cut_off.dies("in the middle of the apply")
        return _failed("creating NSG Rule")

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
        return plan_bytes(drift, changes, ground=[self.lineage, self.serial])


def _locked(step: Step) -> NoAnswer:
    said = Diagnostic(severity=DiagnosticSeverity.ERROR, summary="Error acquiring the state lock")
    return NoAnswer(step=step, cause=Cause.FAILED, message="Terraform gave no answer.", diagnostics=(said,))


def _failed(summary: str) -> NoAnswer:
    return inconclusive(step=Step.APPLY, diagnostics=(Diagnostic(severity=DiagnosticSeverity.ERROR, summary=summary),))
