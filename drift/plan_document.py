"""The parts of `terraform show -json` of a plan that are read, as they are written.

A value is kept as the bytes it is written in (``msgspec.Raw``, which refers to the document) until `value_of` decodes it.
Nothing here may outlive the reading: it has secrets in it.
"""

import json
from decimal import Decimal
from typing import Final, NoReturn

import msgspec
from pydantic import JsonValue

NO_OP: Final = ("no-op",)
READ: Final = ("read",)


class ChangeDocument(msgspec.Struct, frozen=True):
    """What is to become of an object, or has."""

    actions: list[str] = []
    before: msgspec.Raw = msgspec.Raw()
    after: msgspec.Raw = msgspec.Raw()
    after_unknown: msgspec.Raw = msgspec.Raw()
    before_sensitive: msgspec.Raw = msgspec.Raw()
    after_sensitive: msgspec.Raw = msgspec.Raw()
    importing: msgspec.Raw = msgspec.Raw()


class ResourceDocument(msgspec.Struct, frozen=True):
    """An entry of ``resource_drift`` or ``resource_changes``."""

    address: str
    change: ChangeDocument
    mode: str = ""
    type: str = ""
    deposed: str | None = None
    previous_address: str | None = None
    action_reason: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.address, self.deposed or ""

    @property
    def is_imported(self) -> bool:
        return bytes(self.change.importing) not in {b"", b"null"}

    @property
    def is_silent(self) -> bool:
        """Whether nothing is up with it, as with nearly all: their values are never decoded."""
        return tuple(self.change.actions) == NO_OP and not self.previous_address and not self.is_imported


class OutputDocument(msgspec.Struct, frozen=True):
    """An entry of ``output_changes``, from what the state has on record: of its value only whether it is known is read."""

    actions: list[str] = []
    after_unknown: msgspec.Raw = msgspec.Raw()


class ConfiguredResourceDocument(msgspec.Struct, frozen=True):
    """A resource of the configuration, by its address in its module. Terraform says what provisioners it has, and not when."""

    address: str = ""
    provisioners: list[msgspec.Raw] | None = None


class ExpressionDocument(msgspec.Struct, frozen=True):
    """What an expression refers to, each address also without the attribute at its end."""

    references: list[str] | None = None


class ConfiguredOutputDocument(msgspec.Struct, frozen=True):
    """An output of the configuration."""

    expression: ExpressionDocument | None = None


class ModuleDocument(msgspec.Struct, frozen=True):
    """A module of the configuration, with those that it calls."""

    resources: list[ConfiguredResourceDocument] | None = None
    outputs: dict[str, ConfiguredOutputDocument] | None = None
    module_calls: "dict[str, ModuleCallDocument] | None" = None


class ModuleCallDocument(msgspec.Struct, frozen=True):
    """A call of a module."""

    module: ModuleDocument | None = None


class ConfigurationDocument(msgspec.Struct, frozen=True):
    """What was planned."""

    root_module: ModuleDocument | None = None


class InvocationDocument(msgspec.Struct, frozen=True):
    """An entry of ``action_invocations``."""

    address: str = ""
    type: str = ""


class HeadDocument(msgspec.Struct, frozen=True):
    """What every major of the format has."""

    format_version: str = ""


class PlanDocument(msgspec.Struct, frozen=True):
    """The plan. Of a field that older versions do not write, or OpenTofu does not, None is not false."""

    format_version: str = ""
    resource_drift: list[ResourceDocument] | None = None
    resource_changes: list[ResourceDocument] | None = None
    output_changes: dict[str, OutputDocument] | None = None
    action_invocations: list[InvocationDocument] | None = None
    configuration: ConfigurationDocument | None = None
    applyable: bool | None = None
    complete: bool | None = None
    errored: bool | None = None


def value_of(raw: msgspec.Raw) -> JsonValue:
    """The value, absent as null. Its numbers are exact: one that a float would round is its text."""
    text = bytes(raw)
    if not text:
        return None
    value: JsonValue = json.loads(text.decode(), parse_float=_number, parse_constant=_refuse)
    return value


def _number(text: str) -> int | float | str:
    exact = Decimal(text)
    if not exact.is_finite() or abs(exact.adjusted()) > 300:
        return text
    if exact == exact.to_integral_value():
        return int(exact)
    rounded = float(text)
    return rounded if Decimal(repr(rounded)) == exact else text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
