"""A day of the service, run by Microsoft's worker library on Python 3.13 against an estate in Azurite.

`tests/worker/test_worker.py` runs this in the worker's own environment, from the root of the checkout, and reads the one
JSON object that it prints. The settings of the app are those of the process. The arguments are the time at which its clock
stands, the URL of its API, and a function key to ask with.
"""

import asyncio
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.worker.protos import RpcHttp, TypedData
from tests.worker.worker_host import WorkerHost
from tests.world.durable import DurableFaults, DurableHub
from tests.world.durable_http import client_binding_json, serve_durable_http

JsonObject = dict[str, Any]


class CountingHub(DurableHub):
    """Knows which instances were started, and not only asked for."""

    def __init__(self, host: WorkerHost, faults: DurableFaults) -> None:
        super().__init__(host, faults=faults)
        self.started: list[str] = []

    async def start(self, name: str, instance_id: str, input_json: str | None, traceparent: str | None = None) -> None:
        await super().start(name, instance_id, input_json, traceparent)
        self.started.append(instance_id)


class Clock:
    """Tells the time that it was set to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Day:
    """The app behind the worker, and the hub in which it starts runs."""

    def __init__(
        self,
        host: WorkerHost,
        hub: CountingHub,
        faults: DurableFaults,
        clock: Clock,
        *,
        binding: str,
        api: str,
        function_key: str,
    ) -> None:
        self._host = host
        self._hub = hub
        self._faults = faults
        self._clock = clock
        self._binding = binding
        self._api = api
        self._function_key = function_key

    async def happen(self) -> JsonObject:
        return {
            "daily": await self._daily(),
            "on_demand": await self._on_demand(),
            "market": await self._ask("get_market", "markets/emea/fr", market="emea/fr"),
            "health": await self._ask("get_health", "health"),
            "failing": await self._failing(),
            "unknown_run": await self._ask("get_run", "runs/nobody-knows-it", run_id="nobody-knows-it"),
            "bad_body": await self._post(b'{"markets": "all"}'),
            "malformed": [await self._plan(TypedData(string=text)) for text in ('{"run": 1}', "not JSON", "")],
            "plan_checks": await self._plan_checks(),
            "heals": await self._heals(),
        }

    async def _daily(self) -> JsonObject:
        (instance_id,) = await self._tick()
        await self._hub.run_until_idle()
        return {
            "instance": self._instance(),
            "run": await self._run(instance_id),
            "after_another_tick": await self._tick(),
        }

    async def _on_demand(self) -> JsonObject:
        self._hub.hold()
        started = await self._post(b'{"markets": ["emea/fr"], "stacks": ["network"]}')
        run_id = started["body"]["run_id"]
        while_it_waits = await self._run(run_id)
        self._hub.release()
        await self._hub.run_until_idle()
        return {"started": started, "while_it_waits": while_it_waits, "run": await self._run(run_id)}

    async def _failing(self) -> JsonObject:
        self._faults.fail_first(3, "finish_run")
        started = await self._post(b"")
        await self._hub.run_until_idle()
        return {"instance": self._instance(), "run": await self._run(started["body"]["run_id"])}

    async def _plan_checks(self) -> JsonObject:
        return {"instance": await self._check_plans(), "failing": await self._fail_to_check_plans()}

    async def _check_plans(self) -> JsonObject:
        await self._host.tick("check_plans_on_schedule", self._binding)
        await self._hub.run_until_idle()
        return self._instance()

    async def _fail_to_check_plans(self) -> JsonObject:
        self._clock.now += timedelta(hours=4)
        self._faults.fail_first(3, "conclude_checks")
        return await self._check_plans()

    async def _heals(self) -> JsonObject:
        """Each message is refused: no check has queued anything here."""
        for message in ("not JSON", "", "{}"):
            await self._host.deliver("heal_stack", message)
            await self._host.deliver("heal_poison", message)
        asked = {"by": "anne@example.com", "reason": "the gateway's change of tonight"}
        body = json.dumps(asked).encode()
        job = "0b" * 32
        return {
            "paused": await self._ask("pause_heals", "pause", method="POST", body=body),
            "holds": await self._ask("get_holds", "holds"),
            "resumed": await self._ask("resume_heals", "resume", method="POST", body=body),
            "history": await self._ask("get_heals", "heals"),
            "unknown": [
                await self._ask(f"{lever}_heal", f"heals/{job}/{lever}", method="POST", body=body, job=job)
                for lever in ("approve", "reject", "retry")
            ],
        }

    def _instance(self) -> JsonObject:
        """The one that was started last."""
        status = self._hub.status(self._hub.started[-1])
        assert status is not None
        return {"id": status.instance_id, "status": status.runtime_status, "output": status.output}

    async def _tick(self) -> list[str]:
        """All instances that have been started by then."""
        await self._host.tick("reconcile_daily", self._binding)
        return list(self._hub.started)

    async def _post(self, body: bytes) -> JsonObject:
        return await self._ask("start_run", "reconcile", method="POST", body=body)

    async def _run(self, run_id: str) -> JsonObject:
        return await self._ask("get_run", f"runs/{run_id}", run_id=run_id)

    async def _ask(
        self, function: str, path: str, *, method: str = "GET", body: bytes = b"", **route: str
    ) -> JsonObject:
        has_client = "client" in self._host.functions[function].bindings
        answer = await self._host.request(
            function,
            f"{self._api}/{path}?code={self._function_key}",
            method=method,
            body=body,
            headers={"x-functions-key": self._function_key},
            binding=self._binding if has_client else None,
            **route,
        )
        return _described(answer)

    async def _plan(self, payload: TypedData) -> JsonObject:
        response = await self._host.invoke("plan_run", None, payload=payload)
        raised = response.result.exception
        return {"is_success": response.result.is_success, "message": raised.message if raised else None}


def _described(answer: RpcHttp) -> JsonObject:
    return {
        "status": int(answer.status_code),
        "headers": {name.lower(): value for name, value in answer.headers.items()},
        "body": json.loads(answer.body.bytes or b""),
    }


def _indexed(host: WorkerHost) -> JsonObject:
    return {
        name: sorted(
            (json.loads(binding) for binding in function.raw_bindings), key=lambda binding: str(binding["name"])
        )
        for name, function in host.functions.items()
    }


async def live(now: datetime, api: str, function_key: str) -> JsonObject:
    host = WorkerHost(str(Path.cwd()))
    begun = await host.start()
    if not begun.is_success:
        return {"error": begun.exception.message if begun.exception else ""}
    # The worker has imported it under this name.
    app: Any = sys.modules["function_app"]
    app.utc_now = clock = Clock(now)
    faults = DurableFaults()
    hub = CountingHub(host, faults)
    async with serve_durable_http(hub) as url, hub.running():
        day = Day(host, hub, faults, clock, binding=client_binding_json(url), api=api, function_key=function_key)
        happened = await day.happen()
    for opened in (app.service, app.check_service, app.heal_service):
        await opened.close()
    return {
        "error": None,
        "capabilities": host.capabilities,
        "functions": _indexed(host),
        "invoked": sorted(host.invoked),
        **happened,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(live(datetime.fromisoformat(sys.argv[1]), *sys.argv[2:]))))  # noqa: T201
