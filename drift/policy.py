"""The policy: what the people of an estate let trueup heal, ask about, or leave alone.

It is given as plain values, since YAML is an adapter's; with the lines that they stand on, a fault can be found by a person.
A policy is whole or invalid: with half of its rules more could be healed than anybody meant.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from drift.freeze import open_until, parse_cron, parse_duration
from drift.policy_rules import NameGlobs, Rule, TextGlobs, TypeGlobs, Why, matches_any, matches_glob
from records.heals import HealMode
from records.policy_source import POLICY_BLOB, Path, line_of

_STRICT: Final = ConfigDict(frozen=True, extra="forbid")
_REWORDED: Final = {
    "extra_forbidden": "there is no such field",
    "missing": "is missing",
    "model_type": "must hold fields of its own",
    "tuple_type": "must be a list",
}
_SCHEMA_VERSION: Final = 1
_PYDANTICS_PREFIX: Final = "Value error, "


_STRICTEST_FIRST: Final = tuple(HealMode)


def _stricter(one: HealMode, other: HealMode) -> HealMode:
    return min(one, other, key=_STRICTEST_FIRST.index)


class Limits(BaseModel):
    """The brakes that count. Percentages are of a stack's managed resources, and of the markets that were checked."""

    model_config = _STRICT

    heal_max_resources: Annotated[int, Field(strict=True, ge=0, le=10_000)] = 10
    heal_max_percent: Annotated[int, Field(strict=True, ge=0, le=100)] = 20
    breaker_count: Annotated[int, Field(strict=True, ge=1, le=1000)] = 3
    breaker_hours: Annotated[int, Field(strict=True, ge=1, le=24 * 366)] = 24
    fleet_percent: Annotated[int, Field(strict=True, ge=0, le=100)] = 30


def _a_cron(text: str) -> str:
    parse_cron(text)
    return text


def _a_duration(text: str) -> str:
    parse_duration(text)
    return text


def _a_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no such IANA time zone (such as Europe/Berlin)") from None
    return name


def _a_known_version(version: int) -> int:
    if version > _SCHEMA_VERSION:
        raise ValueError(f"this trueup knows version {_SCHEMA_VERSION} alone: upgrade trueup")
    return version


class FreezeWindow(BaseModel):
    """A code freeze: it begins when ``cron`` says, on the clocks of ``zone``, and lasts for ``duration``."""

    model_config = _STRICT

    cron: Annotated[str, AfterValidator(_a_cron)]
    duration: Annotated[str, AfterValidator(_a_duration)]
    zone: Annotated[str, AfterValidator(_a_zone)]
    market: NameGlobs = ("*",)
    why: Why | None = None

    def open_until(self, now: datetime) -> datetime | None:
        """When it ends (UTC), where it is open now."""
        return open_until(parse_cron(self.cron), parse_duration(self.duration), ZoneInfo(self.zone), now)


class KillSwitch(BaseModel):
    """It is pulled while it stands in the policy. A reason is asked for, so that on-call knows what it waits for."""

    model_config = _STRICT

    why: Why
    market: NameGlobs = ("*",)


class MarketMode(BaseModel):
    """The mode of the markets that it names."""

    model_config = _STRICT

    market: NameGlobs
    mode: HealMode


class Protected(BaseModel):
    """What is never healed unattended, beside trueup's own one-way doors."""

    model_config = _STRICT

    type: TypeGlobs | None = None
    address: TextGlobs | None = None


class Policy(BaseModel):
    """What stands in the policy file. Of rules and of modes by market, the first that matches counts.

    Without a file it is this model's defaults, with which nothing is healed: the mode is ``dry-run``.
    """

    model_config = _STRICT

    schema_version: Annotated[int, Field(strict=True, ge=1), AfterValidator(_a_known_version)] = 1
    kill_switch: KillSwitch | None = None
    heal_mode: HealMode = HealMode.DRY_RUN
    heal_mode_by_market: tuple[MarketMode, ...] = ()
    freeze_windows: tuple[FreezeWindow, ...] = ()
    protected: Protected = Protected()
    rules: tuple[Rule, ...] = ()
    limits: Limits = Limits()

    def mode_of(self, market: str) -> HealMode:
        fitting = (entry.mode for entry in self.heal_mode_by_market if matches_any(entry.market, market))
        return next(fitting, self.heal_mode)


@dataclass(frozen=True, slots=True)
class IdleBrake:
    """A market that a brake names, in ``field``, and that there is none of: it holds nothing."""

    field: str
    glob: str


def idle_brakes(policy: Policy, markets: Collection[str]) -> Iterator[IdleBrake]:
    """Of kill switch and freeze windows: what fits none of these markets.

    Modes and rules are not among them: they may well stand for markets to come, or that were there.
    """
    switch = policy.kill_switch
    brakes = [("kill_switch", switch.market)] if switch else []
    brakes += [(f"freeze_windows[{n}]", window.market) for n, window in enumerate(policy.freeze_windows)]
    for name, globs in brakes:
        for glob in globs:
            if not any(matches_glob(glob, market) for market in markets):
                yield IdleBrake(f"{name}.market", glob)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFault:
    """One thing that is wrong. ``line`` counts from 1; it and ``field`` are None where the file as a whole is meant."""

    message: str
    line: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        place = [f"line {self.line}"] if self.line is not None else []
        place += [self.field] if self.field else []
        return f"{', '.join(place)}: {self.message}" if place else self.message


@dataclass(frozen=True, slots=True)
class InvalidPolicy:
    """There is a policy and it cannot be read or trusted: with it nothing is healed. Never empty. ``name`` is the file's."""

    faults: tuple[PolicyFault, ...]
    name: str = POLICY_BLOB

    def __str__(self) -> str:
        more = len(self.faults) - 1
        return f"{self.faults[0]}" + (f" (and {more} more)" if more else "")


def parse_policy(values: object, lines: Mapping[Path, int], *, name: str = POLICY_BLOB) -> Policy | InvalidPolicy:
    """The policy in these values. ``lines`` says on which line each path begins; what it lacks is told by what holds it."""
    try:
        return Policy.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        faults = [
            PolicyFault(
                message=_REWORDED.get(detail["type"], detail["msg"].removeprefix(_PYDANTICS_PREFIX)),
                line=line_of(detail["loc"], lines),
                field=_spelt(detail["loc"]) or None,
            )
            for detail in details
        ]
    faults.sort(key=lambda fault: (fault.line or 0, fault.field or "", fault.message))
    return InvalidPolicy(tuple(faults), name)


def under_settings(policy: Policy, *, mode: HealMode | None, limits: Limits) -> Policy:
    """The policy as it counts beside the settings: these fill what it leaves out, and no policy is freer than their mode.

    ``mode`` is None where the settings say none.
    """
    effective = limits.model_copy(
        update={name: getattr(policy.limits, name) for name in policy.limits.model_fields_set}
    )
    if mode is None:
        return policy.model_copy(update={"limits": effective})
    says_a_mode = "heal_mode" in policy.model_fields_set
    by_market = tuple(
        entry.model_copy(update={"mode": _stricter(entry.mode, mode)}) for entry in policy.heal_mode_by_market
    )
    return policy.model_copy(
        update={
            "limits": effective,
            "heal_mode": _stricter(policy.heal_mode, mode) if says_a_mode else mode,
            "heal_mode_by_market": by_market,
        }
    )


def _spelt(path: Sequence[str | int]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")
