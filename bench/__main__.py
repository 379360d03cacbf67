"""Prints what reading, orchestrating and planning cost: ``make bench``. Each figure is a ratio to a peer or a limit of the run.

All of it runs on loopback, where a request costs no more than the processor time on either side; so the larger a state, the
more (a) is in our favour. Its states are of 1 MB.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from adapters.process import spare_the_collector
from bench import classifying, pins, plan_checks
from bench.bundling import Packed, make_root_module, measure
from bench.estates import BenchEstate
from bench.reconciling import clear_results, reconcile
from bench.requests import Account, send_again
from tests.world.terraform_backend import TerraformWorld, run_terraform_world

STACKS = 500
PULLED_SAMPLE = 10
ROUNDS = 3
MEGABYTE = 1_000_000
PLAN_BYTES = 100 * MEGABYTE
QUEUE_MESSAGE_BYTES = 64 * 1024
"""A payload over this is kept apart, as a blob, by Durable Functions' Azure Storage backend."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was measured, against what, and what it has to be."""

    measure: str
    figure: str
    against: str
    wanted: str
    holds: bool


def main() -> int:
    """Runs every measure; returns 1 where one does not hold."""
    spare_the_collector()
    table = Table(title="trueup bench", title_justify="left")
    for column in ("measure", "figure", "against", "wanted", "holds"):
        table.add_column(column, overflow="fold")
    all_hold = True
    with tempfile.TemporaryDirectory() as folder, run_terraform_world(Path(folder)) as world:
        for row in _rows(world, Path(folder)):
            table.add_row(row.measure, row.figure, row.against, row.wanted, _answer(row))
            all_hold &= row.holds
            print(f"… {row.measure}: {row.figure}", file=sys.stderr)
    Console().print(table)
    return 0 if all_hold else 1


def _of_a_bundle(folder: Path) -> Row:
    make_root_module(folder, modules=37, files_a_module=20, lines=200)
    rounds = [measure(folder) for _ in range(ROUNDS)]
    ours, bare = (statistics.median(seconds) for seconds in zip(*_seconds(rounds), strict=True))
    return Row(
        f"(g) packing a bundle of {rounds[0].file_count} files, {rounds[0].size_bytes / MEGABYTE:.1f} MB, in {ours:.2f} s",
        f"{ours / bare:.1f} times as long",
        f"zipfile over the same folder: {bare:.2f} s",
        "≤ 4",
        ours / bare <= 4,
    )


def _of_a_plan(file: Path) -> Iterator[Row]:
    classifying.write_plan(file, PLAN_BYTES)
    ours, peer = classifying.measure(file, "ours"), classifying.measure(file, "json")
    file.unlink()
    yield Row(
        f"(h) reading and classifying a plan of {PLAN_BYTES / MEGABYTE:.0f} MB, in {ours.seconds:.2f} s",
        f"{peer.seconds / ours.seconds:.0f} times faster",
        f"json.loads of the same file: {peer.seconds:.2f} s",
        "≥ 5",
        peer.seconds / ours.seconds >= 5,
    )
    yield Row(
        f"(h) memory at its peak: {ours.peak_bytes / MEGABYTE:.0f} MB",
        f"{ours.peak_bytes / peer.peak_bytes:.2f} of it",
        f"json.loads of the same file: {peer.peak_bytes / MEGABYTE:.0f} MB",
        "≤ a third",
        ours.peak_bytes / peer.peak_bytes <= 1 / 3,
    )


def _of_a_check(world: TerraformWorld) -> Row:
    compared = plan_checks.measure(world)
    ours, by_hand = statistics.median(compared.ours), statistics.median(compared.by_hand)
    return Row(
        f"(i) checking a stack of {plan_checks.RESOURCES} resources by a plan, in {ours:.2f} s",
        f"{compared.ratio:.2f} times as long, {compared.seconds_more:.2f} s more (medians of {plan_checks.PAIRS} pairs)",
        f"`terraform init`, `plan` and `show` of the same bundle by hand: {by_hand:.2f} s",
        "≤ 1.10",
        compared.ratio <= 1.1,
    )


def _of_pins(folder: Path) -> Row:
    pins.write_root_modules(folder)
    audited = pins.measure(folder)
    ratio = audited.ours_seconds / audited.bare_seconds
    return Row(
        f"(j) auditing the module pins of {pins.ROOT_MODULES:,} root modules, {audited.lines:,} lines, "
        f"in {audited.ours_seconds:.1f} s",
        f"{ratio:.2f} of the time",
        f"bare python-hcl2 over the same {audited.file_count:,} files: {audited.bare_seconds:.1f} s",
        "≤ 0.5, and < 20 s",
        ratio <= 0.5 and audited.ours_seconds < 20,
    )


def _seconds(rounds: list[Packed]) -> Iterator[tuple[float, float]]:
    return ((one.ours_seconds, one.zipfile_seconds) for one in rounds)


def _answer(row: Row) -> str:
    if not row.wanted:
        return ""
    return "yes" if row.holds else "NO"


def _rows(world: TerraformWorld, folder: Path) -> Iterator[Row]:
    estate = BenchEstate(name="main", stacks=STACKS, state_bytes=MEGABYTE)
    estate.seed(world.blob_service)
    reading = [_against_bare(world, estate, save=False) for _ in range(ROUNDS)]
    saving = [_against_bare(world, estate, save=True) for _ in range(ROUNDS)]
    pulls = [_state_pull(world, folder / f"pull-{number}", key, estate) for number, key in enumerate(_sample(estate))]
    init_and_pull = statistics.median(init + pull for init, pull in pulls)
    pull = statistics.median(pull for _, pull in pulls)
    for name, rounds, wanted in (("read", reading, 50.0), ("read and save", saving, 0.0)):
        seconds = statistics.median(ours for ours, _, _ in rounds)
        per_stack = seconds / STACKS
        yield Row(
            f"(a) {name} a stack, of {STACKS} with states of 1 MB in {seconds:.2f} s",
            f"{pull / per_stack:.0f} times faster; than with the init that a pull needs: {init_and_pull / per_stack:.0f} times",
            f"`terraform state pull`: {pull:.3f} s; with `terraform init`: {init_and_pull:.3f} s "
            f"(medians of {PULLED_SAMPLE} of the same stacks)",
            f"≥ {wanted:.0f}" if wanted else "",
            pull / per_stack >= wanted,
        )
    for name, rounds, wanted in (("reading", reading, 0.4), ("reading and saving", saving, 0.0)):
        share = statistics.median(bare / ours for ours, bare, _ in rounds)
        yield Row(
            f"(b) requests a second, {name} ({rounds[0][2]} requests)",
            f"{share:.0%} (rounds: {', '.join(f'{bare / ours:.0%}' for ours, bare, _ in rounds)})",
            f"bare aiohttp sending the same requests: {statistics.median(bare for _, bare, _ in rounds):.2f} s",
            f"≥ {wanted:.0%}" if wanted else "",
            share >= wanted,
        )
    yield from _by_size(world)
    yield from _by_number(world)
    yield from _of_histories()
    yield _of_a_bundle(folder / "bundle")
    yield from _of_a_plan(folder / "plan.json")
    yield _of_a_check(world)
    yield _of_pins(folder / "pins")


def _against_bare(world: TerraformWorld, estate: BenchEstate, *, save: bool) -> tuple[float, float, int]:
    """Seconds of ours, seconds of the bare client, and the number of requests of each."""
    account = _account(world)
    clear_results(account)
    measured = asyncio.run(reconcile(account, estate, save=save))
    clear_results(account)
    requests = measured.recording.requests
    return measured.seconds, asyncio.run(send_again(requests, account)), len(requests)


def _sample(estate: BenchEstate) -> list[str]:
    return estate.state_keys[:: len(estate.state_keys) // PULLED_SAMPLE]


def _state_pull(world: TerraformWorld, folder: Path, key: str, estate: BenchEstate) -> tuple[float, float]:
    """Seconds of `init`, without which no folder can pull, and of `state pull`."""
    stack = world.stack(folder, key=key, container=estate.containers.states)
    stack.write("")
    started = time.perf_counter()
    stack.init()
    initialised = time.perf_counter()
    stack.state_pull()
    return initialised - started, time.perf_counter() - initialised


def _by_size(world: TerraformWorld) -> Iterator[Row]:
    baseline = 0.0
    for name, size_bytes in (("10 KB", 10_000), ("1 MB", MEGABYTE), ("50 MB", 50 * MEGABYTE)):
        estate = BenchEstate(name=f"size-{size_bytes}", stacks=10, state_bytes=size_bytes)
        estate.seed(world.blob_service)
        runs = [asyncio.run(reconcile(_account(world), estate)) for _ in range(ROUNDS)]
        seconds = min(run.seconds for run in runs) / estate.stacks
        read = runs[0].recording.body_bytes_of(estate.containers.states) / estate.stacks
        baseline = baseline or seconds
        yield Row(
            f"(c) states of {name}: bytes read and time a stack",
            f"{read:,.0f} bytes, {seconds * 1000:.1f} ms, {seconds / baseline:.2f} times the 10 KB states'",
            "4 KiB, and states of 10 KB",
            "< 4,096 bytes",
            read < 4096,
        )


def _by_number(world: TerraformWorld) -> Iterator[Row]:
    peaks = {}
    for stacks in (100, 2000):
        estate = BenchEstate(name=f"number-{stacks}", stacks=stacks, state_bytes=1000)
        estate.seed(world.blob_service)
        trueup = [sys.executable, "-m", "cli", "reconcile", "--format", "html"]
        finished = subprocess.run(
            [sys.executable, "-m", "bench.peak_memory", *trueup],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **estate.environment(), **_account(world).environment()},
        )
        peaks[stacks] = int(finished.stdout)
    yield Row(
        "(d) peak memory at 2,000 stacks",
        f"{peaks[2000] / MEGABYTE:.0f} MB, {peaks[2000] / peaks[100]:.2f} times that at 100",
        f"at 100 stacks: {peaks[100] / MEGABYTE:.0f} MB",
        "< 150 MB",
        peaks[2000] < 150 * MEGABYTE,
    )


def _of_histories() -> Iterator[Row]:
    few, many = (_simulated(count, width=100) for count in (2_500, 10_000))
    growth = many["largest_history_events"] / few["largest_history_events"]
    yield Row(
        f"(e) events in the largest history at 10,000 markets ({many['orchestrations']} orchestrations)",
        f"{many['largest_history_events']}, {growth:.2f} times those at 2,500",
        f"at 2,500 markets: {few['largest_history_events']}",
        "≤ 1.00 times",
        growth <= 1,
    )
    share = many["largest_payload_bytes"] / QUEUE_MESSAGE_BYTES
    yield Row(
        "(f) largest payload at 10,000 markets",
        f"{many['largest_payload_bytes']:,} bytes, {share:.1%}; largest context {many['largest_context_bytes']:,} bytes",
        "a queue message, 64 KiB",
        "≤ 50%",
        share <= 0.5,
    )


def _simulated(markets: int, *, width: int) -> dict[str, int]:
    """In a process of its own: what it imports would slow the SDK down in this one."""
    simulation = [sys.executable, "-m", "bench.orchestrating", str(markets), str(width)]
    figures: dict[str, int] = json.loads(subprocess.run(simulation, check=True, stdout=subprocess.PIPE).stdout)
    return figures


def _account(world: TerraformWorld) -> Account:
    return Account(world.azurite.connection_string, str(world.certificate.certificate_file))


if __name__ == "__main__":
    sys.exit(main())
