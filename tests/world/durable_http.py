"""The HTTP face of a hub, as the extension's `HttpApiHandler` answers the SDK's durable client on loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from aiohttp import web

from tests.world.durable import AlreadyRunningError, DurableHub, InstanceStatus
from tests.world.durable_history import Event, EventType

HOST: Final = "127.0.0.1"
TASK_HUB: Final = "TestHub"
# A test searches all that an app gives away for this.
SYSTEM_KEY: Final = "SECRET-SYSTEM-KEY"

_RPC_PATH: Final = "durabletask/"
_WEBHOOK_PATH: Final = "runtime/webhooks/durabletask"
_ID_PLACEHOLDER: Final = "INSTANCEID"
_OUTPUTS: Final = ("Result", "Reason", "Details")


@asynccontextmanager
async def serve_durable_http(hub: DurableHub) -> AsyncIterator[str]:
    """Serve the hub and give the base URL. Instances run only while something runs the hub, as `hub.running()`."""
    face = _HttpFace(hub)
    application = web.Application()
    application.add_routes(
        [
            web.post(f"/{_RPC_PATH}orchestrators/{{name}}", face.start),
            web.post(f"/{_RPC_PATH}orchestrators/{{name}}/{{instance_id}}", face.start),
            web.get(f"/{_RPC_PATH}instances/{{instance_id}}", face.tell_status),
            web.delete(f"/{_RPC_PATH}instances/{{instance_id}}", face.purge),
        ]
    )
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, 0).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def client_binding_json(base_url: str) -> str:
    """What a durable client's input binding receives: the system key is in every URL that is not the RPC's."""
    webhooks = f"{base_url}/{_WEBHOOK_PATH}"
    create = f"{webhooks}/orchestrators/{{functionName}}[/{{instanceId}}]"
    return json.dumps(
        {
            "taskHubName": TASK_HUB,
            "connectionName": None,
            "creationUrls": {
                "createNewInstancePostUri": f"{create}?code={SYSTEM_KEY}",
                "createAndWaitOnNewInstancePostUri": (
                    f"{create}?timeout={{timeoutInSeconds}}&pollingInterval={{intervalInSeconds}}&code={SYSTEM_KEY}"
                ),
            },
            "managementUrls": _management_urls(base_url, _ID_PLACEHOLDER),
            "baseUrl": webhooks,
            "requiredQueryStringParameters": f"code={SYSTEM_KEY}",
            "rpcBaseUrl": f"{base_url}/{_RPC_PATH}",
        }
    )


class _HttpFace:
    def __init__(self, hub: DurableHub) -> None:
        self._hub = hub

    async def start(self, request: web.Request) -> web.Response:
        instance_id = request.match_info.get("instance_id") or uuid4().hex
        try:
            await self._hub.start(
                request.match_info["name"],
                instance_id,
                _input_json(await request.text()),
                request.headers.get("traceparent"),
            )
        except AlreadyRunningError as error:
            return web.json_response({"Message": str(error)}, status=409)
        urls = _management_urls(str(request.url.origin()), instance_id)
        headers = {"Location": urls["statusQueryGetUri"], "Retry-After": "10"}
        return web.json_response(urls, status=202, headers=headers)

    async def tell_status(self, request: web.Request) -> web.Response:
        instance_id = request.match_info["instance_id"]
        status = self._hub.status(instance_id)
        if status is None:
            # Without a body: the SDK makes a status of it that is false.
            return web.Response(status=404)
        # The SDK leaves a false `showInput` out of the query, and the extension then shows the input.
        shows_input = request.query.get("showInput", "true").lower() == "true"
        payload = _status_payload(status, shows_input=shows_input)
        if request.query.get("showHistory", "false").lower() == "true":
            shows_output = request.query.get("showHistoryOutput", "false").lower() == "true"
            # The extension's name for it; the SDK looks for `history`, and so never finds it.
            payload["historyEvents"] = [
                _described(one, shows_output=shows_output) for one in self._hub.history(instance_id)
            ]
        if status.has_ended:
            return web.json_response(payload)
        return web.json_response(payload, status=202, headers={"Location": str(request.url), "Retry-After": "5"})

    async def purge(self, request: web.Request) -> web.Response:
        try:
            was_there = self._hub.purge(request.match_info["instance_id"])
        except ValueError as error:
            return web.json_response(str(error), status=412)
        return web.json_response({"instancesDeleted": 1}) if was_there else web.Response(status=404)


def _input_json(body: str) -> str | None:
    """The SDK posts a string of JSON, as JSON; whoever posts plain JSON has it taken as it is."""
    if not body:
        return None
    posted = json.loads(body)
    return posted if isinstance(posted, str) else body


def _status_payload(status: InstanceStatus, *, shows_input: bool) -> dict[str, Any]:
    return {
        "name": status.name,
        "instanceId": status.instance_id,
        "runtimeStatus": status.runtime_status,
        "input": status.input_json if shows_input else None,
        "customStatus": status.custom_status,
        "output": status.output,
        "createdTime": _in_seconds(status.created_at),
        "lastUpdatedTime": _in_seconds(status.updated_at),
    }


def _in_seconds(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _described(one: Event, *, shows_output: bool) -> dict[str, Any]:
    kept = {name: value for name, value in one.items() if name != "Input" and (shows_output or name not in _OUTPUTS)}
    kept["EventType"] = EventType(one["EventType"]).name.title().replace("_", "")
    return kept


def _management_urls(base_url: str, instance_id: str) -> dict[str, str]:
    instance = f"{base_url}/{_WEBHOOK_PATH}/instances/{instance_id}"
    query = f"taskHub={TASK_HUB}&connection=Storage&code={SYSTEM_KEY}"
    return {
        "id": instance_id,
        "statusQueryGetUri": f"{instance}?{query}",
        "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}&{query}",
        "rewindPostUri": f"{instance}/rewind?reason={{text}}&{query}",
        "purgeHistoryDeleteUri": f"{instance}?{query}",
        "restartPostUri": f"{instance}/restart?{query}",
        "suspendPostUri": f"{instance}/suspend?reason={{text}}&{query}",
        "resumePostUri": f"{instance}/resume?reason={{text}}&{query}",
    }
