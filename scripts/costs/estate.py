"""A month of an estate: the units of the price list that it takes, and what these cost."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scripts.costs.requests import check_run_requests, run_requests

SIZES: Final = (10, 100, 1000)
"""Markets, for which an assumption may have a value each."""
DAYS: Final = 30
"""Of a month."""
Values = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Estate:
    """A month of an estate of so many markets."""

    markets: int
    assumed: Values
    prices: Values

    def a(self, name: str) -> float:
        """Of an estate between two of the three sizes it is the larger one's value, and beyond them the largest one's."""
        values = self.assumed[name]
        place = next((place for place, size in enumerate(SIZES) if self.markets <= size), len(SIZES) - 1)
        return values[place] if len(values) > 1 else values[0]

    def p(self, name: str) -> float:
        return self.prices[name][0]

    def priced(self, requests: Mapping[str, float]) -> float:
        """Of requests by price, each for 10,000."""
        return sum(count * self.p(price) for price, count in requests.items()) / 10_000

    @property
    def stacks(self) -> float:
        return self.markets * self.a("stacks_per_market")

    @property
    def check_runs(self) -> float:
        return self.a("check_runs_a_day") * DAYS

    @property
    def checks(self) -> float:
        return self.stacks * self.check_runs

    @property
    def check_run_minutes(self) -> float:
        return self.stacks * self.a("plan_seconds") / min(self.a("plans_at_once"), self.stacks) / 60

    @property
    def heals(self) -> float:
        return self.markets * self.a("heals_per_market") + self.a("heals_of_the_canary")

    @property
    def ticks(self) -> float:
        return self.a("ticks_a_day") * DAYS

    @property
    def reconcile_seconds(self) -> float:
        """Of one run."""
        return 60 + self.markets * self.a("market_seconds") / self.a("markets_side_by_side")

    @property
    def plan_instance_minutes(self) -> float:
        """How long instances of the app that plans are up, all together."""
        instances = self.a("plans_at_once") / self.a("plans_per_instance")
        busy = self.stacks * self.a("plan_seconds") / self.a("plans_per_instance") / 60
        return self.check_runs * (busy + instances * self.a("idle_minutes"))

    @property
    def plan_hub_minutes(self) -> float:
        """How long at least one of them is."""
        return self.check_runs * (self.check_run_minutes + self.a("idle_minutes"))

    @property
    def reconcile_minutes(self) -> float:
        idle = self.a("idle_minutes")
        return self.ticks * idle + DAYS * (self.reconcile_seconds / 60 + idle)

    @property
    def instance_minutes(self) -> float:
        heal_minutes = self.heals * (self.a("heal_seconds") / 60 + self.a("idle_minutes"))
        return self.plan_instance_minutes + self.reconcile_minutes + heal_minutes

    @property
    def gb_seconds(self) -> float:
        return self.a("instance_gb") * (
            self.checks * self.a("plan_seconds") / self.a("plans_per_instance")
            + self.heals * self.a("heal_seconds")
            + self.ticks
            + DAYS * self.reconcile_seconds
        )

    @property
    def executions(self) -> float:
        of_checks = self.checks * self.a("executions_per_check") + self.check_runs * self.a("executions_per_check_run")
        of_markets = DAYS * (self.markets * self.a("executions_per_market") + self.a("executions_per_run"))
        return of_checks + of_markets + self.ticks + self.heals

    @property
    def span_gb(self) -> float:
        of_checks = self.checks * self.a("span_kb_per_check") * self.a("spans_kept")
        return self._billed_gb(of_checks + DAYS * self.markets * self.a("span_kb_per_market"))

    @property
    def host_gb(self) -> float:
        """What the host says of executions, and what each process says of itself."""
        return self._billed_gb(
            self.executions * self.a("host_kb_per_execution")
            + self.instance_minutes * self.a("counter_kb_per_instance_minute")
        )

    @property
    def event_gb(self) -> float:
        drifted = self.stacks * self.a("stacks_in_disagreement")
        runs = self.check_runs + DAYS
        return self._billed_gb(runs * (drifted * self.a("event_kb") + self.markets * self.a("metric_kb")))

    @property
    def storage_log_gb(self) -> float:
        writes = self.stacks * self.a("deploys_per_stack") * self.a("logged_writes_per_deploy")
        reads = sum(self.estate_requests.values()) if self.a("reads_are_logged") else 0
        return self._billed_gb((writes + reads) * self.a("storage_log_kb"))

    @property
    def log_gb(self) -> float:
        return self.span_gb + self.host_gb + self.event_gb + self.storage_log_gb

    def _billed_gb(self, kilobytes: float) -> float:
        return kilobytes * self.a("billed_share") / 1_000_000

    @property
    def estate_requests(self) -> dict[str, float]:
        """By price."""
        terraform_reads, terraform_lists = self.a("terraform_reads_per_check"), self.a("terraform_lists_per_check")
        of_stacks, of_a_run = check_run_requests(int(self.markets), int(self.stacks), int(self.a("plans_at_once")))
        of_day = run_requests(int(self.markets), int(self.stacks), int(self.a("markets_side_by_side")))
        total: Counter[str] = Counter()
        for price in of_stacks | of_a_run | of_day:
            total[price] = int(self.check_runs * (of_stacks[price] + of_a_run[price]) + DAYS * of_day[price])
        total["blob_read"] += int(self.checks * terraform_reads)
        total["blob_write"] += int(self.checks * terraform_lists + self.heals * self.a("writes_per_heal"))
        return dict(total)

    @property
    def hub_polls(self) -> float:
        """Requests to Durable's and the heals' queues that find nothing."""
        partitions = self.a("hub_partitions")
        of_apps = 60 * (
            partitions * (self.plan_hub_minutes + self.reconcile_minutes)
            + self.plan_instance_minutes
            + self.reconcile_minutes
        )
        queues = 2 * (partitions + 1) + 2
        of_scale_controller = queues * self.a("scale_controller_requests") * 6 * 60 * 24 * DAYS
        return of_apps + of_scale_controller

    @property
    def host_requests(self) -> dict[str, float]:
        steps = self.executions / 2
        loops = 6 * (self.plan_instance_minutes + self.reconcile_minutes)
        renewals = 6 * self.a("hub_partitions") * (self.plan_hub_minutes + self.reconcile_minutes)
        return {
            "queue": steps * self.a("queue_requests_per_step") + self.hub_polls,
            "host_table_query": steps + loops,
            "host_table_batch": steps,
            "host_table_write": steps + renewals,
        }

    @property
    def stored(self) -> float:
        rows_gb = self.stacks * self.a("retention_days") / 1_000_000
        rows_gb *= self.a("result_row_kb") + self.a("check_runs_a_day") * self.a("check_row_kb")
        history_gb = 12 * self.checks * self.a("hub_kb_per_check") / 1_000_000
        months = self.a("version_days") / DAYS
        versions = self.a("deploys_per_stack") * self.a("versions_per_deploy") * months
        state_gb = self.stacks * self.a("state_mb") * (1 + versions) / 1000
        return (
            rows_gb * self.p("table_gb")
            + history_gb * self.p("host_table_gb")
            + state_gb * self.p("blob_gb")
            + self.stacks * self.a("deploys_per_stack") * self.a("state_mb") / 1000 * self.p("geo_gb")
        )

    def costs(self) -> dict[str, float]:
        seconds = max(0.0, self.gb_seconds - self.p("free_gb_seconds"))
        executions = max(0.0, self.executions - self.p("free_executions"))
        series = min(self.stacks * self.a("stacks_in_disagreement"), self.a("most_alerts_a_rule"))
        more_months = max(0.0, self.a("log_retention_days") - self.p("free_retention_days")) / DAYS
        return {
            "execution time": seconds * self.p("gb_second"),
            "executions": executions / 1_000_000 * self.p("million_executions"),
            "logs, taken in": max(0.0, self.log_gb - self.p("free_log_gb")) * self.p("log_gb"),
            "storage logs, kept": self.storage_log_gb * more_months * self.p("log_gb_month"),
            "alert rules": self.a("alert_rules") * self.p("alert_rule") + 2 * series * self.p("alert_series"),
            "the estate's account, requests": self.priced(self.estate_requests),
            "the hosts' accounts, requests": self.priced(self.host_requests),
            "what is stored": self.stored,
        }

    def units(self) -> dict[str, float]:
        estate, host = self.estate_requests, self.host_requests
        return {
            "stacks": self.stacks,
            "plan checks": self.checks,
            "minutes that a run of them takes": self.check_run_minutes,
            "heals": self.heals,
            "execution time, GB-s": self.gb_seconds,
            "executions": self.executions,
            "spans, GB": self.span_gb,
            "what hosts and processes say of themselves, GB": self.host_gb,
            "events and metrics, GB": self.event_gb,
            "storage logs, GB": self.storage_log_gb,
            "estate: blobs read": estate["blob_read"],
            "estate: blobs written and listed": estate["blob_write"],
            "estate: rows read by key": estate["table_read"],
            "estate: tables queried": estate["table_query"],
            "estate: table transactions": estate["table_batch"],
            "hosts: queue requests": host["queue"],
            "of these, polls": self.hub_polls,
            "hosts: table requests": sum(host.values()) - host["queue"],
        }
