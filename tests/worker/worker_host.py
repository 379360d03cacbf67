"""The Functions host's side of Microsoft's worker library: indexes the app and has its functions invoked, as messages."""

import importlib
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from tests.worker import protos
from tests.worker.protos import InvocationResponse, ParameterBinding, RpcHttp, StatusResult, TypedData

# It is not there where this is type-checked.
library: Final = importlib.import_module("azure_functions_runtime")

# As the host writes a `TimerInfo` whose schedule has no status yet.
_TIMER_INFO: Final = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}


class InvocationFailedError(Exception):
    """A function failed; the text is the host's `RpcException`'s."""


@dataclass(slots=True)
class WorkerHost:
    """A `FunctionHost` of `tests.world` whose every call goes through the worker.

    What goes in has the types that the host's `GrpcMessageConversionExtensions` gives it: a string is `string`, whatever JSON
    it holds; an object is `json`; a body is `bytes`, as the worker asks for by its capabilities.
    """

    app_directory: str
    capabilities: dict[str, str] = field(default_factory=dict)
    functions: dict[str, protos.RpcFunctionMetadata] = field(default_factory=dict)
    invoked: set[str] = field(default_factory=set)

    async def start(self) -> StatusResult:
        """Has the app indexed, and each function loaded; what went wrong first is the result."""
        library.start_threadpool_executor()
        request = protos.WorkerInitRequest(function_app_directory=self.app_directory)
        begun = await library.worker_init_request(_event(worker_init_request=request))
        self.capabilities = begun.capabilities
        if not begun.result.is_success:
            return _status(begun.result)
        listed = await library.functions_metadata_request(_event())
        self.functions = {function.name: function for function in listed.function_metadata_results or ()}
        results = [listed.result]
        for function in self.functions.values():
            load = protos.FunctionLoadRequest(function_id=function.function_id)
            results.append((await library.function_load_request(_event(function_load_request=load))).result)
        return _status(next((result for result in results if not result.is_success), results[0]))

    async def orchestrate(self, name: str, body: str, traceparent: str | None) -> str:
        return _json(await self._succeed(name, traceparent, context=TypedData(string=body)))

    async def act(self, name: str, input_json: str, traceparent: str | None) -> str:
        return _json(await self._succeed(name, traceparent, payload=TypedData(string=input_json)))

    async def tick(self, name: str, binding: str) -> None:
        timer = TypedData(json=json.dumps(_TIMER_INFO))
        assert await self._succeed(name, None, timer=timer, client=TypedData(string=binding)) is None

    async def deliver(self, name: str, body: str) -> None:
        """A message of a queue, decoded."""
        metadata = {"Id": TypedData(string=str(uuid4())), "DequeueCount": TypedData(json="1")}
        response = await self.invoke(name, None, trigger_metadata=metadata, message=TypedData(string=body))
        assert response.result.is_success, response.result.exception

    async def request(
        self,
        name: str,
        url: str,
        *,
        method: str = "GET",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        binding: str | None = None,
        **route: str,
    ) -> RpcHttp:
        request = RpcHttp(
            method=method,
            url=url,
            headers={"host": urlsplit(url).netloc} | (headers or {}),
            params=route,
            query=dict(parse_qsl(urlsplit(url).query)),
            body=TypedData(bytes=body) if body else TypedData(),
        )
        inputs = {"req": TypedData(http=request)} | ({"client": TypedData(string=binding)} if binding else {})
        answered = await self._succeed(name, None, **inputs)
        assert answered is not None
        assert answered.http is not None
        return answered.http

    async def invoke(
        self,
        name: str,
        traceparent: str | None,
        *,
        trigger_metadata: dict[str, TypedData] | None = None,
        **inputs: TypedData,
    ) -> InvocationResponse:
        request = protos.InvocationRequest(
            invocation_id=str(uuid4()),
            function_id=self.functions[name].function_id,
            input_data=[ParameterBinding(name=parameter, data=data) for parameter, data in inputs.items()],
            trigger_metadata=trigger_metadata or {},
            trace_context=protos.RpcTraceContext(trace_parent=traceparent or ""),
        )
        response: InvocationResponse = await library.invocation_request(_event(invocation_request=request))
        assert response.invocation_id == request.invocation_id
        self.invoked.add(name)
        return response

    async def _succeed(self, name: str, traceparent: str | None, **inputs: TypedData) -> TypedData | None:
        response = await self.invoke(name, traceparent, trigger_metadata=None, **inputs)
        if not response.result.is_success:
            raised = response.result.exception or protos.RpcException()
            raise InvocationFailedError(f"Result: Failure\nException: {raised.message}\nStack: {raised.stack_trace}")
        return response.return_value


def _event(**request: Any) -> Any:
    """What the worker's proxy hands the library: the host's message, and how to answer it."""
    return SimpleNamespace(request=SimpleNamespace(**request), properties={"host": "127.0.0.1", "protos": protos})


def _status(result: Any) -> StatusResult:
    assert isinstance(result, StatusResult)
    return result


def _json(value: TypedData | None) -> str:
    assert value is not None
    assert value.json is not None
    return value.json
