"""The policy as it counts in a run: what its source gives, under the settings of this app."""

from drift.policy import InvalidPolicy, Limits, Policy, PolicyFault, parse_policy, under_settings
from drift.situation import Unread
from records.heals import HealMode
from records.policy_source import BrokenYaml, MarkedValues, NoPolicy, PolicySource, UnreadPolicy


async def read_policy(
    source: PolicySource, *, mode: HealMode | None, limits: Limits
) -> Policy | InvalidPolicy | Unread:
    """Without a file, the defaults: with them, and no mode of the settings, nothing is healed."""
    match await source.read():
        case MarkedValues(values, lines, name):
            policy = parse_policy(values, lines, name=name)
        case BrokenYaml() as broken:
            return InvalidPolicy((PolicyFault(message=broken.message, line=broken.line),), broken.name)
        case UnreadPolicy(why):
            return Unread(why)
        case NoPolicy():
            policy = Policy()
    return under_settings(policy, mode=mode, limits=limits) if isinstance(policy, Policy) else policy
