"""The life of a resource, the same for every kind: the cloud is read and written, and nothing else is remembered."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tf import types
from tf.blocks import SetNestedBlock
from tf.schema import Attribute as FieldSchema
from tf.schema import Block as BlockSchema
from tf.schema import Schema
from tf.types import Unknown

from tests.world.azsim.cloud_file import CloudFile
from tests.world.azsim.kinds import DATA_SOURCES, KINDS, Attribute, Block, JsonObject, Kind

UPDATING: Final = "Updating"
SUCCEEDED: Final = "Succeeded"

_SHAPES: Final[Mapping[str, Any]] = {
    "string": types.String(),
    "number": types.Number(),
    "bool": types.Bool(),
    "strings": types.List(types.String()),
    "set of strings": types.Set(types.String()),
    "map of strings": types.Map(types.String()),
}


class Session(Protocol):
    """What the provider knows once it is configured."""

    version: str
    subscription: str
    stopping: threading.Event

    @property
    def cloud(self) -> CloudFile: ...


@dataclass(slots=True)
class Resource:
    """One call's resource. Contexts are `tf`'s; what is returned is a state, or None where there is none."""

    session: Session
    kind: Kind

    def validate(self, diagnostics: Any, type_name: str, config: JsonObject) -> None:
        """Terraform has checked it against the schema already."""

    def upgrade(self, context: Any, version: int, old: JsonObject) -> JsonObject:
        return old

    def plan(self, context: Any, current: JsonObject, planned: JsonObject) -> JsonObject:
        for changed in context.changed_fields:
            planned.update(dict.fromkeys(self.kind.recomputed.get(changed, ()), Unknown))
        if context.changed_fields:
            planned.update(dict.fromkeys(self.kind.on_read, Unknown))
        return planned

    def read(self, context: Any, current: JsonObject) -> JsonObject | None:
        return self._found(context, current["id"])

    def import_(self, context: Any, resource_id: str) -> JsonObject | None:
        return self._found(context, resource_id)

    def create(self, context: Any, planned: JsonObject) -> JsonObject | None:
        resource_id = self.kind.id_of(planned, self.session.subscription)
        planned = {**planned, **{name: make(planned) for name, make in self.kind.computed.items()}}
        with self.session.cloud.edit() as cloud:
            if self._fails(context, cloud, resource_id, "create"):
                return None
            if resource_id in cloud["resources"]:
                context.diagnostics.add_error(
                    f"a resource with the ID {resource_id!r} already exists",
                    "To be managed via Terraform this resource needs to be imported into the State.",
                )
                return None
            cloud["resources"][resource_id] = {"type": self.kind.type, "attributes": {}}
            self._put(cloud, resource_id, planned)
        return self._settled(context, resource_id, planned)

    def update(self, context: Any, current: JsonObject, planned: JsonObject) -> JsonObject | None:
        resource_id = current["id"]
        again = [name for name in self.kind.computed if planned[name] is Unknown]
        planned = {**planned, **{name: self.kind.computed[name](planned) for name in again}}
        with self.session.cloud.edit() as cloud:
            if self._fails(context, cloud, resource_id, "update"):
                return current
            if resource_id not in cloud["resources"]:
                context.diagnostics.add_error("ResourceNotFound", f"The resource {resource_id!r} was not found.")
                return current
            self._put(cloud, resource_id, planned)
        return self._settled(context, resource_id, planned)

    def delete(self, context: Any, current: JsonObject) -> JsonObject | None:
        with self.session.cloud.edit() as cloud:
            if self._fails(context, cloud, current["id"], "delete"):
                return current
            cloud["resources"].pop(current["id"], None)
        return None

    def _found(self, context: Any, resource_id: str) -> JsonObject | None:
        cloud = self.session.cloud.read()
        if self._fails(context, cloud, resource_id, "read"):
            return None
        found = cloud["resources"].get(resource_id)
        return (
            None if found is None or found["type"] != self.kind.type else self._state(resource_id, found["attributes"])
        )

    def _state(self, resource_id: str, attributes: JsonObject) -> JsonObject:
        state = {attribute.name: attributes.get(attribute.name) for attribute in self.kind.attributes}
        for block in self.kind.blocks:
            silent = dict.fromkeys(attribute.name for attribute in block.attributes)
            state[block.name] = [{**silent, **one} for one in attributes.get(block.name) or ()]
        state |= {name: make(attributes) for name, make in self.kind.on_read.items()}
        return {**state, "id": resource_id}

    def _put(self, cloud: JsonObject, resource_id: str, planned: JsonObject) -> None:
        kept = {name: planned[name] for name in self.kind.names if name not in self.kind.on_read}
        cloud["resources"][resource_id]["attributes"].update(kept)
        if self.kind.slow:
            cloud["resources"][resource_id]["provisioning_state"] = UPDATING

    def _settled(self, context: Any, resource_id: str, planned: JsonObject) -> JsonObject:
        if self.kind.slow:
            if self.session.stopping.wait(planned["provisioning_seconds"]):
                context.diagnostics.add_error(
                    f"polling for {resource_id!r} was cancelled", "The operation goes on in the cloud."
                )
            else:
                with self.session.cloud.edit() as cloud:
                    cloud["resources"][resource_id]["provisioning_state"] = SUCCEEDED
        return self._state(resource_id, planned)

    def _fails(self, context: Any, cloud: JsonObject, resource_id: str, operation: str) -> bool:
        message = cloud["faults"].get(resource_id, {}).get(operation)
        if message is None:
            return False
        context.diagnostics.add_error(f"{operation} of {resource_id!r} failed", message)
        return True


@dataclass(slots=True)
class DataSource:
    """One read of what the cloud says of itself."""

    session: Session
    type: str

    def validate(self, diagnostics: Any, type_name: str, config: JsonObject) -> None:
        """There is nothing to configure."""

    def read(self, context: Any, config: JsonObject) -> JsonObject:
        known = {**self.session.cloud.read()["data_sources"][self.type], "subscription_id": self.session.subscription}
        return {
            "id": f"/subscriptions/{self.session.subscription}",
            **{name: known[name] for name in DATA_SOURCES[self.type]},
        }


def resource_classes(version: str) -> list[type[Any]]:
    """Make a class for every kind, as `tf` wants its name and schema to be told by classes."""
    return [_resource_class(kind, version) for kind in KINDS]


def data_source_classes() -> list[type[Any]]:
    return [_data_source_class(data_source) for data_source in DATA_SOURCES]


def _resource_class(kind: Kind, version: str) -> type[Any]:
    class Bound(Resource):
        """The kind, bound."""

        def __init__(self, session: Session) -> None:
            super().__init__(session, kind)

        @classmethod
        def get_name(cls) -> str:
            return kind.name

        @classmethod
        def get_schema(cls) -> Any:
            return _schema(kind, version)

    return Bound


def _data_source_class(data_source: str) -> type[Any]:
    class Bound(DataSource):
        """The data source, bound."""

        def __init__(self, session: Session) -> None:
            super().__init__(session, data_source)

        @classmethod
        def get_name(cls) -> str:
            return data_source.removeprefix("azsim_")

        @classmethod
        def get_schema(cls) -> Any:
            names = ("id", *DATA_SOURCES[data_source])
            return Schema(attributes=[FieldSchema(name, types.String(), computed=True) for name in names], version=0)

    return Bound


def _schema(kind: Kind, version: str) -> Any:
    defaults = kind.defaults(version)
    return Schema(
        attributes=[
            FieldSchema("id", types.String(), computed=True),
            *(_field(attribute, defaults) for attribute in kind.attributes),
        ],
        block_types=[_block(block) for block in kind.blocks],
        version=0,  # without one, `tf` calls `upgrade` at every read
    )


def _field(attribute: Attribute, defaults: JsonObject) -> Any:
    has_default = attribute.name in defaults
    return FieldSchema(
        attribute.name,
        _SHAPES[attribute.shape],
        required=attribute.presence == "required",
        optional=attribute.presence == "optional",
        # Terraform lets a provider plan a value of its own only where it may compute one.
        computed=attribute.presence == "computed" or has_default,
        sensitive=attribute.sensitive,
        requires_replace=attribute.forces_replacement,
        default=copy.copy(defaults[attribute.name]) if has_default else Unknown,
    )


def _block(block: Block) -> Any:
    return SetNestedBlock(block.name, BlockSchema(attributes=[_field(attribute, {}) for attribute in block.attributes]))
