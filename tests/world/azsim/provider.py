"""The provider itself, and what Terraform asks of it beyond what `tf` answers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from tf import types
from tf.gen import tfplugin_pb2
from tf.provider import ProviderServicer
from tf.schema import Attribute, Schema
from tf.utils import read_dynamic_value, to_dynamic_value

from tests.world.azsim.cloud_file import CloudFile
from tests.world.azsim.kinds import DEFAULT_SUBSCRIPTION, KIND_OF, JsonObject
from tests.world.azsim.resources import data_source_classes, resource_classes


class Provider:
    """One version of the provider. The cloud is that of its configuration, or else `default_cloud`."""

    def __init__(self, version: str, default_cloud: Path) -> None:
        self.version = version
        self.subscription = DEFAULT_SUBSCRIPTION
        self.stopping = threading.Event()
        self.cloud = CloudFile(default_cloud)

    def get_model_prefix(self) -> str:
        return "azsim_"

    def full_name(self) -> str:
        return "example.test/sim/azsim"

    def get_provider_schema(self, diagnostics: Any) -> Any:
        return Schema(
            attributes=[
                Attribute("cloud", types.String(), optional=True),
                Attribute("subscription_id", types.String(), optional=True),
                Attribute("client_secret", types.String(), optional=True, sensitive=True),
            ],
            version=0,
        )

    def validate_config(self, diagnostics: Any, config: JsonObject) -> None:
        """Terraform has checked it against the schema already."""

    def configure_provider(self, diagnostics: Any, config: JsonObject) -> None:
        if config["cloud"] is not None:
            self.cloud = CloudFile(Path(config["cloud"]))
        self.subscription = config["subscription_id"] or DEFAULT_SUBSCRIPTION
        if not self.cloud.path.is_file():
            diagnostics.add_error("there is no cloud", f"{self.cloud.path} is no file.")

    def get_resources(self) -> list[type[Any]]:
        return resource_classes(self.version)

    def get_data_sources(self) -> list[type[Any]]:
        return data_source_classes()

    def get_functions(self) -> list[type[Any]]:
        return []

    def new_resource(self, made_of: type[Any]) -> Any:
        return made_of(self)

    def new_data_source(self, made_of: type[Any]) -> Any:
        return made_of(self)


class Servicer:
    """`tf`'s answers to every call of the protocol, two of them ours."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._answers = ProviderServicer(provider)

    def __getattr__(self, call: str) -> Any:
        return getattr(self._answers, call)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:  # noqa: N802 (the protocol's name)
        """Let the defaults be part of what is proposed, as `tf` does on creation only, and decides on a replacement by it."""
        proposed, configuration = read_dynamic_value(request.proposed_new_state), read_dynamic_value(request.config)
        if proposed is not None:
            defaults = KIND_OF[request.type_name].defaults(self._provider.version)
            silent = {name: default for name, default in defaults.items() if configuration[name] is None}
            request.proposed_new_state.CopyFrom(to_dynamic_value({**proposed, **silent}))
        return self._answers.PlanResourceChange(request, context)

    def StopProvider(self, request: Any, context: Any) -> Any:  # noqa: N802 (the protocol's name)
        """Terraform was interrupted: whoever waits for the cloud gives up and says so, as Azure's provider does.

        `tf` itself would end the process here, and Terraform would lose the answer of the call that is under way.
        """
        self._provider.stopping.set()
        return tfplugin_pb2.StopProvider.Response()
