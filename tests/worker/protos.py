"""The host's messages, as far as Microsoft's worker library makes and reads them for this app.

The library takes the classes from whoever calls it. The host's own are generated from `FunctionRpc.proto`
(Azure/azure-functions-language-worker-protobuf); as there, a field of another name or type is refused.
"""

import builtins
from dataclasses import field, fields
from typing import Any, ClassVar, Final

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

_AS_PROTOBUF: Final = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class RpcException:
    message: str = ""
    stack_trace: str = ""


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class StatusResult:
    Failure: ClassVar[int] = 0
    Success: ClassVar[int] = 1

    status: int
    exception: RpcException | None = None

    @property
    def is_success(self) -> bool:
        return self.status == self.Success


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class WorkerMetadata:
    runtime_name: str
    runtime_version: str
    worker_version: str
    worker_bitness: str
    custom_properties: dict[str, str]


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class WorkerInitRequest:
    function_app_directory: str
    capabilities: dict[str, str] = field(default_factory=dict)


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class WorkerInitResponse:
    capabilities: dict[str, str]
    worker_metadata: WorkerMetadata
    result: StatusResult


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class BindingInfo:
    """`out` and `inout` are directions, `undefined` is a data type."""

    out: ClassVar[int] = 1
    inout: ClassVar[int] = 2
    undefined: ClassVar[int] = 0

    type: str
    data_type: int | None
    direction: int


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class RpcFunctionMetadata:
    name: str
    function_id: str
    directory: str
    script_file: str
    entry_point: str
    language: str
    managed_dependency_enabled: bool
    is_proxy: bool
    bindings: dict[str, BindingInfo]
    raw_bindings: list[str]
    retry_options: None
    properties: dict[str, str]


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class FunctionMetadataResponse:
    use_default_metadata_indexing: bool
    function_metadata_results: list[RpcFunctionMetadata] | None
    result: StatusResult


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class FunctionLoadRequest:
    function_id: str


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class FunctionLoadResponse:
    function_id: str
    result: StatusResult


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class TypedData:
    """At most one of the fields is set: in the host's message they are a `oneof`."""

    string: str | None = None
    json: str | None = None
    bytes: builtins.bytes | None = None
    int: builtins.int | None = None
    double: float | None = None
    http: "RpcHttp | None" = None

    def WhichOneof(self, group: str) -> str | None:  # noqa: N802 (protobuf's name)
        assert group == "data"
        found = [one.name for one in fields(self) if getattr(self, one.name) is not None]
        assert len(found) <= 1
        return found[0] if found else None


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class RpcHttp:
    """A request, or a response."""

    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: TypedData = field(default_factory=TypedData)
    status_code: str = ""
    cookies: list[Any] | None = None
    enable_content_negotiation: bool = False


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class ParameterBinding:
    name: str
    data: TypedData

    def WhichOneof(self, group: str) -> str:  # noqa: N802 (protobuf's name)
        assert group == "rpc_data"
        return "data"


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class RpcTraceContext:
    trace_parent: str = ""
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class RetryContext:
    retry_count: int = 0
    max_retry_count: int = 0
    exception: RpcException = field(default_factory=RpcException)


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class InvocationRequest:
    invocation_id: str
    function_id: str
    input_data: list[ParameterBinding]
    trigger_metadata: dict[str, TypedData] = field(default_factory=dict)
    trace_context: RpcTraceContext = field(default_factory=RpcTraceContext)
    retry_context: RetryContext = field(default_factory=RetryContext)


@dataclass(config=_AS_PROTOBUF, kw_only=True)
class InvocationResponse:
    invocation_id: str
    result: StatusResult
    return_value: TypedData | None = None
    output_data: list[ParameterBinding] = field(default_factory=list)
