import re
import subprocess
import sys
import weakref
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from reconcile.render.html import render_html
from reconcile.render.matrix import MOST_COLUMNS
from reconcile.render.ordering import headline, told_of
from records.faults import FaultCode, RecordKind
from records.report import WHOLE_ESTATE, Problem, Report
from records.results import Lineages, RecordEvidence, RecordStatus, Serials, StackResult
from records.verdicts import NEEDS_NOBODY, Note, OddOneOut, Severity, Tier, Verdict
from tests.unit.report_samples import (
    LINEAGE,
    OTHER_LINEAGE,
    STARTED_AT,
    drifted,
    evidence,
    fault,
    lock,
    problem,
    report,
    stack_result,
    summary,
)

ROOT = Path(__file__).parents[2]
NOTHING = "\N{EN DASH}"
VOID = {"meta", "br", "hr"}
HOSTILE = "\"><script>alert(1)</script><img src=x onerror='a'>\n&amp;`|{{ 7 * 7 }}\u202etxt"


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())


@dataclass
class Page(HTMLParser):
    """Every element of a page with the text inside it; fails on a tag that is not closed in its place."""

    source: str
    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice: {attrs}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        return [
            element
            for element in self.elements
            if element.tag == tag and attributes.items() <= element.attributes.items()
        ]

    @property
    def ids(self) -> list[str]:
        return [element.attributes["id"] for element in self.elements if "id" in element.attributes]

    @property
    def text(self) -> str:
        return " ".join(self.all("body")[0].text.split())


def page_of(rendered: Report) -> Page:
    return Page("".join(render_html(rendered)))


def eventful() -> Report:
    """A bit of everything that a report can hold."""
    locked = evidence("be", "data", state=RecordEvidence(status=RecordStatus.PRESENT, lock=lock()))
    broken = evidence("gb", "data", tracker=RecordEvidence(status=RecordStatus.UNREADABLE, fault=fault()))
    return report(
        [
            *(stack_result(market, "app") for market in ("at", "be", "de", "emea/es", "gb")),
            stack_result("at", "data", Verdict.NOT_DEPLOYED, state_changed_at=None),
            stack_result("be", "data", Verdict.IN_FLIGHT, evidence=locked, masked_verdict=Verdict.PIPELINE_DRIFT),
            drifted("de", "data"),
            stack_result("emea/es", "data", Verdict.RECORDS_SPLIT, notes=(Note.STALE_LOCK,)),
            stack_result("gb", "data", Verdict.UNREADABLE, evidence=broken, tier=None, owner=None, release=None),
        ],
        problems=[
            problem("fr"),
            problem("at", code=FaultCode.INVALID_NAME, field="stacks.Bad"),
            problem(WHOLE_ESTATE, record=RecordKind.RESULTS),
        ],
        unregistered_states=["old.tfstate", "gone/network.tfstateenv:dev"],
    )


def many_names() -> Report:
    names = [f"workload-{number:02}" for number in range(MOST_COLUMNS)]
    return report([drifted("de", "app"), *(stack_result("de", name) for name in names)], problems=[problem("fr")])


def hostile() -> Report:
    return report(
        [
            drifted(
                "de",
                "data",
                owner=HOSTILE,
                release=HOSTILE,
                commit=HOSTILE,
                subscription_id=HOSTILE,
                summary=HOSTILE,
                remedy=f"{HOSTILE} `{HOSTILE.replace('`', '')}`",
                lineages=Lineages(state=HOSTILE, tracker=LINEAGE),
                evidence=evidence(
                    "de",
                    "data",
                    state=RecordEvidence(
                        status=RecordStatus.PRESENT, blob=HOSTILE, etag=HOSTILE, md5=HOSTILE, lock=lock(who=HOSTILE)
                    ),
                    tracker=RecordEvidence(status=RecordStatus.UNREADABLE, fault=fault(message=HOSTILE)),
                ),
            )
        ],
        problems=[problem(HOSTILE, blob=HOSTILE, field=HOSTILE, message=HOSTILE, remedy=HOSTILE)],
        unregistered_states=[HOSTILE],
    )


REPORTS = {
    "eventful": eventful(),
    "many stack names": many_names(),
    "hostile": hostile(),
    "healthy": report([stack_result("de", "app"), stack_result("fr", "app")]),
    "nothing could be read": report(problems=[problem("de")]),
    "no market": report(),
}
every_report = pytest.mark.parametrize("rendered", REPORTS.values(), ids=REPORTS.keys())


@every_report
def test_every_tag_is_closed_in_its_place(rendered: Report) -> None:
    page = page_of(rendered)
    assert page.source.startswith("<!doctype html>")
    assert [element.attributes["lang"] for element in page.all("html")] == ["en"]
    assert len(page.all("h1")) == 1


@every_report
def test_the_page_asks_for_nothing_outside_itself(rendered: Report) -> None:
    page = page_of(rendered)
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert [meta.attributes["content"] for meta in policy] == ["default-src 'none'; style-src 'unsafe-inline'"]
    loading = {"script", "link", "img", "iframe", "object", "embed", "base", "form", "video", "audio", "svg", "source"}
    assert not loading & {element.tag for element in page.elements}
    names = {name for element in page.elements for name in element.attributes}
    assert not {"src", "srcset", "style", "background", "poster", "ping", "action"} & names
    assert not [name for name in names if name.startswith("on")]
    assert all(link.attributes["href"].startswith("#") for link in page.all("a"))
    assert not re.search(r"url\(|@import|image-set|expression", "".join(style.text for style in page.all("style")))


@every_report
def test_every_link_leads_to_the_one_element_with_that_id(rendered: Report) -> None:
    page = page_of(rendered)
    assert len(page.ids) == len(set(page.ids))
    referred = {link.attributes["href"].removeprefix("#") for link in page.all("a")}
    referred |= {element.attributes.get("aria-labelledby") or page.ids[0] for element in page.elements if page.ids}
    assert referred <= set(page.ids)


def test_what_needs_a_person_comes_before_the_matrix_and_each_part_has_a_link_at_the_top() -> None:
    page = page_of(eventful())
    parts = [section.attributes["aria-labelledby"] for section in page.all("section")]
    assert parts == ["problems", "urgent", "information", "unregistered", "matrix"]
    links = [link.attributes["href"].removeprefix("#") for link in page.all("a")]
    assert links[0] == "findings"
    start = links.index("problems")
    assert links[start : start + len(parts)] == parts


def test_each_cell_of_the_matrix_names_its_stack_where_no_column_can() -> None:
    cells = [element for element in page_of(eventful()).all("td") if element.text.strip() in {"healthy", "in flight"}]
    assert {cell.attributes["data-label"] for cell in cells} == {"app", "data"}


@every_report
def test_every_header_cell_says_what_it_heads(rendered: Report) -> None:
    assert all(header.attributes["scope"] in {"col", "row"} for header in page_of(rendered).all("th"))


@every_report
def test_portal_drift_is_named_once_and_only_as_what_is_not_here(rendered: Report) -> None:
    page = page_of(rendered)
    assert page.text.lower().count("portal drift") == 1
    assert (
        "portal drift, a live resource changed outside Terraform, is looked for by a plan check and is not in this"
        in (page.all("footer")[0].text)
    )


def test_a_hostile_text_is_shown_as_it_is_spelt_and_adds_no_element() -> None:
    page = page_of(hostile())
    shown = HOSTILE.replace("\n", r"\n").replace("\u202e", r"\u202e")
    market = page.all("table")[0].text
    assert market.count(shown) == 5
    assert [item.text for item in page.all("li") if "alert" in item.text] == [shown]
    assert {element.tag for element in page.elements} <= {element.tag for element in page_of(eventful()).elements}
    assert not any("alert" in value for element in page.elements for value in element.attributes.values())
    assert "\u202e" not in page.source


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - NEEDS_NOBODY))
def test_a_verdict_that_needs_a_person_is_counted_linked_and_told(verdict: Verdict) -> None:
    result = stack_result("emea/de", "network", verdict)
    page = page_of(report([result]))
    words, anchor = verdict.replace("_", " "), "emea/de/network"
    assert [link.text.split() for link in page.all("a", href=f"#{anchor}")] == [
        f"1 {words} {result.severity}".split(),
        words.split(),
    ]
    (section,) = page.all("article", id=anchor)
    assert result.severity in section.classes
    assert f"{words} {result.severity}" in " ".join(section.text.split())
    assert result.summary in section.text
    assert f"docs/runbook.md#{verdict}: Run trueup reconcile --market emea/de." in section.text


@pytest.mark.parametrize("verdict", sorted(NEEDS_NOBODY))
def test_a_verdict_that_needs_nobody_is_counted_and_in_the_matrix_and_not_told(verdict: Verdict) -> None:
    page = page_of(report([stack_result("de", "network", verdict)]))
    words = verdict.replace("_", " ")
    assert [item.text.split() for item in page.all("li")] == [f"1 {words}".split()]
    assert [cell.text for cell in page.all("td")] == [words]
    assert page.all("article") == []
    assert [link.attributes["href"] for link in page.all("a")] == ["#findings", "#matrix"]


@pytest.mark.parametrize("odd", [OddOneOut.STATE, OddOneOut.TRACKER, OddOneOut.REGISTRY])
def test_the_odd_one_is_marked_in_words_and_down_its_column(odd: OddOneOut) -> None:
    page = page_of(report([drifted("de", "data", odd_one_out=odd)]))
    marked = [element for element in page.elements if "odd" in element.classes]
    rows = [row for row in page.all("tr") if row.attributes.get("role") == "row"]
    assert [element.text for element in marked if element.tag == "th"] == [f"{odd} odd one out"]
    assert len(marked) == len(rows)


@pytest.mark.parametrize("odd", [OddOneOut.UNDETERMINED, OddOneOut.NONE])
def test_without_an_odd_one_no_record_is_marked(odd: OddOneOut) -> None:
    page = page_of(report([stack_result("de", "data", Verdict.RECORDS_SPLIT, odd_one_out=odd)]))
    assert [element for element in page.elements if "odd" in element.classes] == []


def rows_of(page: Page) -> dict[str, list[str]]:
    """The cells of the three records by row header."""
    cells = [
        element.text
        for element in page.elements
        if element.tag in {"th", "td"} and element.attributes.get("role") in {"rowheader", "cell"}
    ][1:]
    return {cells[start]: cells[start + 1 : start + 4] for start in range(0, len(cells), 4)}


def test_the_three_records_stand_side_by_side() -> None:
    broken = RecordEvidence(status=RecordStatus.UNREADABLE, blob="de/data.json", fault=fault())
    locked = evidence("de", "data").state.model_copy(update={"lock": lock()})
    shown = evidence("de", "data", tracker=broken, state=locked)
    rows = rows_of(page_of(report([drifted("de", "data", evidence=shown, serials=Serials(state=44, registry=42))])))
    assert rows["Status"] == ["present", "unreadable", "present"]
    assert rows["Serial differs"] == ["44", NOTHING, "42"]
    assert rows["Lineage"] == [LINEAGE] * 3
    assert rows["Deployed at"] == [NOTHING, NOTHING, "2026-11-21 01:12:04 UTC"]
    assert rows["Blob"] == ["de/data.tfstate", "de/data.json", "de/subscription.json"]
    assert rows["Lock"] == [
        "held by runner@build-17 since 2026-11-23 05:48:04 UTC for OperationTypeApply, "
        "id 0d9f3d1c-8c8e-1f0e-6a51-2f9d6f7a4f10",
        NOTHING,
        NOTHING,
    ]
    assert rows["Fault"][1] == (
        "invalid field in serial: is not a whole number. "
        "Deploy the stack by its pipeline, which writes its tracker anew."
    )


def test_serials_of_different_lineages_are_not_said_to_differ() -> None:
    lineages = Lineages(state=LINEAGE, tracker=LINEAGE, registry=OTHER_LINEAGE)
    result = stack_result(
        "de", "data", Verdict.LINEAGE_MISMATCH, lineages=lineages, serials=Serials(state=7, tracker=7, registry=311)
    )
    rows = rows_of(page_of(report([result])))
    assert {"Serial", "Lineage differs"} <= rows.keys()


def facts_shown(result: StackResult) -> dict[str, str]:
    page = page_of(report([result]))
    labels, values = page.all("dt"), page.all("dd")
    return {label.text: value.text for label, value in zip(labels, values, strict=True)}


def test_what_is_known_of_a_stack_is_told() -> None:
    facts = facts_shown(
        drifted("de", "data", masked_verdict=Verdict.TRACKER_AHEAD, notes=(Note.STALE_LOCK,), owner=None)
    )
    assert facts == {
        "Odd one out": "state",
        "By how much": "+2 serials (the state, against tracker and registry)",
        "First seen": "2026-11-21 05:00 UTC, 2 d 1 h before this run",
        "State changed": "2026-11-21 01:12 UTC, 2 d 4 h before this run",
        "Owner": "not on record",
        "Release": "2026.11.3",
        "Commit": "4f1c0d9a7be24c61",
        "Subscription": "5f0a9c1e-6c1b-4df5-93ab-0f2b7a4c9d11",
        "Tier": "1: all three records",
        "Masked verdict": "tracker ahead",
        "Notes": "stale lock",
    }


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        pytest.param({"serial_delta": 1}, "+1 serial (the state, against tracker and registry)", id="one serial ahead"),
        pytest.param(
            {"serial_delta": -1204, "odd_one_out": OddOneOut.REGISTRY},
            "\N{MINUS SIGN}1,204 serials (the registry, against state and tracker)",
            id="many serials behind",
        ),
        pytest.param(
            {"serial_delta": 3, "odd_one_out": OddOneOut.UNDETERMINED, "tier": Tier.REGISTRY_AND_STATE},
            "+3 serials (the state, against the registry)",
            id="two records",
        ),
        pytest.param(
            {"time_delta_seconds": 94_020, "tier": Tier.TIMES, "odd_one_out": OddOneOut.UNDETERMINED},
            "+1 d 2 h (the state's last change, against the deploy on record)",
            id="later",
        ),
        pytest.param(
            {"time_delta_seconds": -301, "tier": Tier.TIMES, "odd_one_out": OddOneOut.UNDETERMINED},
            "\N{MINUS SIGN}5 min 1 s (the state's last change, against the deploy on record)",
            id="earlier",
        ),
        pytest.param(
            {"serial_delta": 2, "odd_one_out": OddOneOut.NONE, "verdict": Verdict.IN_FLIGHT},
            "+2 serials",
            id="masked by a deploy",
        ),
        pytest.param({"serial_delta": 0, "verdict": Verdict.STATE_FORKED}, "same serial, other content", id="a fork"),
        pytest.param(
            {"verdict": Verdict.RECORDS_SPLIT, "serials": Serials(state=9, tracker=8, registry=7)},
            "state 9, tracker 8, registry 7",
            id="all three differ",
        ),
    ],
)
def test_by_how_much_is_signed_and_says_against_what(changes: dict[str, Any], difference: str) -> None:
    likely: dict[str, Any] = {"verdict": Verdict.PIPELINE_DRIFT, "odd_one_out": OddOneOut.STATE}
    assert facts_shown(stack_result("de", "data", **likely | changes))["By how much"] == difference


@pytest.mark.parametrize(
    ("seconds", "age"),
    [(-125, "in this run"), (59, "in this run"), (60, "1 min before this run"), (172_859, "2 d before this run")],
)
def test_how_long_a_verdict_has_stood_is_told_from_the_start_of_the_run(seconds: int, age: str) -> None:
    facts = facts_shown(drifted("de", "data", first_seen_at=STARTED_AT - timedelta(seconds=seconds)))
    assert facts["First seen"].endswith(f"UTC, {age}")


def test_a_time_that_is_later_than_the_run_is_told_alone() -> None:
    ended_at = summary().finished_at
    facts = facts_shown(drifted("de", "data", state_changed_at=ended_at + timedelta(minutes=3)))
    assert facts["State changed"] == "2026-11-23 06:05 UTC"


def test_the_most_urgent_comes_first_then_market_then_stack() -> None:
    info = stack_result("at", "app", Verdict.IN_FLIGHT)
    medium = stack_result("at", "data", Verdict.TRACKER_BEHIND)
    high, later, latest = drifted("be", "b"), drifted("ch", "a"), drifted("ch", "b")
    critical = stack_result("zz", "z", Verdict.STATE_MISSING)
    page = page_of(report([info, medium, high, later, latest, critical, stack_result("at", "z")]))
    expected = ["urgent", "zz/z", "be/b", "ch/a", "ch/b", "at/data", "information", "at/app"]
    sections = [element.attributes["id"] for element in page.elements if element.attributes.get("id") in expected]
    assert sections == expected
    counts = [item.text.split()[1] for item in page.all("li")]
    assert counts == ["state", "pipeline", "tracker", "in", "healthy"]


def test_a_verdict_is_counted_apart_in_each_severity() -> None:
    later: dict[str, Any] = {"verdict": Verdict.REGISTRY_AHEAD, "tier": Tier.TIMES, "severity": Severity.INFO}
    results = [
        stack_result("de", "app", Verdict.REGISTRY_AHEAD),
        *(stack_result("de", name, **later) for name in ("data", "dns")),
    ]
    page = page_of(report(results))
    assert [item.text.split() for item in page.all("li")] == [
        ["1", "registry", "ahead", "medium"],
        ["2", "registry", "ahead", "info"],
    ]


def test_a_market_that_could_not_be_read_has_its_row_among_the_others() -> None:
    page = page_of(report([stack_result("at", "app"), stack_result("de", "app")], problems=[problem("be")]))
    assert [header.text for header in page.all("th", scope="row")][1:] == ["at", "be", "de"]
    assert [cell.text for cell in page.all("td")][-3:] == ["healthy", "could not be read", "healthy"]
    assert Severity.HIGH in page.all("p")[1].classes


def test_a_market_of_which_a_part_was_read_has_its_results_and_leads_to_the_problem() -> None:
    bad_name = problem("at", code=FaultCode.INVALID_NAME, field="stacks.Bad")
    page = page_of(report([stack_result("at", "app")], problems=[bad_name]))
    assert [header.text for header in page.all("th", scope="row")] == ["at", "at see problems"]
    assert page.all("td")[-1].text == "healthy"


def test_a_market_with_results_and_a_grave_problem_has_one_row() -> None:
    page = page_of(report([stack_result("at", "app")], problems=[problem("at")]))
    assert [header.text for header in page.all("th", scope="row")] == ["at", "at see problems"]


def test_where_nothing_was_read_the_matrix_has_no_stack_for_a_column() -> None:
    page = page_of(report(problems=[problem("de")]))
    assert [header.text for header in page.all("th", scope="col")][-2:] == ["Market", "Stacks"]


@pytest.mark.parametrize(
    ("troubled", "clause"),
    [
        pytest.param(problem("de"), "1 market could not be read", id="no access to the registry"),
        pytest.param(problem("DE", code=FaultCode.INVALID_NAME), "1 market could not be read", id="no market's name"),
        pytest.param(problem("de", code=FaultCode.INVALID_NAME), "1 problem", id="no stack's name"),
        pytest.param(problem("de", record=RecordKind.RESULTS), "1 problem", id="no access to the last run"),
        pytest.param(problem(WHOLE_ESTATE), "1 problem", id="no market's problem"),
    ],
)
def test_only_a_problem_that_cost_a_market_its_verdicts_says_that_it_was_not_read(
    troubled: Problem, clause: str
) -> None:
    assert headline(summary(problems=(troubled,), markets=1), told_of(())) == f"No stack was compared; {clause}"


def test_so_many_stack_names_that_no_table_shows_them_are_listed_by_market() -> None:
    page = page_of(many_names())
    (cell,) = [element for element in page.all("td") if "stacks" in element.classes]
    names = ", ".join(f"workload-{number:02}" for number in range(MOST_COLUMNS))
    assert " ".join(cell.text.split()) == f"app: pipeline drift {MOST_COLUMNS} healthy: {names}"


def test_as_many_stack_names_as_a_table_shows_are_its_columns() -> None:
    names = [f"workload-{number:02}" for number in range(MOST_COLUMNS)]
    page = page_of(report(stack_result("de", name) for name in names))
    assert [header.text for header in page.all("th", scope="col")] == ["Market", *names]


@pytest.mark.parametrize(
    ("counts", "markets", "problems", "sentence"),
    [
        pytest.param({}, 0, [], "No market is registered", id="no market"),
        pytest.param({}, 3, [], "No stack is registered in 3 markets", id="no stack"),
        pytest.param({}, 1, ["de"], "No stack was compared; 1 market could not be read", id="nothing was read"),
        pytest.param({Verdict.HEALTHY: 23}, 8, [], "All 23 stacks in 8 markets agree", id="all agree"),
        pytest.param({Verdict.HEALTHY: 1}, 1, [], "The only stack is healthy", id="the only one is healthy"),
        pytest.param(
            {Verdict.HEALTHY: 1200, Verdict.NOT_DEPLOYED: 2},
            9,
            [],
            "All 1,200 deployed stacks in 9 markets agree; 2 not deployed",
            id="some are not deployed",
        ),
        pytest.param({Verdict.NOT_DEPLOYED: 2}, 1, [], "None of 2 stacks is deployed", id="none is deployed"),
        pytest.param(
            {Verdict.HEALTHY: 22},
            8,
            ["de"],
            "All 22 stacks in 7 markets agree; 1 market could not be read",
            id="all that were read agree",
        ),
        pytest.param(
            {Verdict.HEALTHY: 16, Verdict.PIPELINE_DRIFT: 5, Verdict.IN_FLIGHT: 2},
            8,
            ["de", "de", "fr", WHOLE_ESTATE],
            "5 of 23 stacks need a person; 2 for information; 2 markets could not be read; 1 other problem",
            id="something of everything",
        ),
        pytest.param(
            {Verdict.HEALTHY: 3, Verdict.NOT_DEPLOYED: 1, Verdict.IN_FLIGHT: 1},
            2,
            [],
            "None of 5 stacks needs a person; 1 for information",
            id="a deploy is running",
        ),
        pytest.param(
            {Verdict.IN_FLIGHT: 1}, 1, [], "The only stack needs nobody; 1 for information", id="its deploy is running"
        ),
        pytest.param(
            {Verdict.HEALTHY: 1, Verdict.NOT_DEPLOYED: 2},
            1,
            [],
            "The only deployed stack is healthy; 2 not deployed",
            id="one is deployed",
        ),
        pytest.param({Verdict.UNREADABLE: 1}, 1, [], "1 of 1 stack needs a person", id="one of one"),
        pytest.param(
            {Verdict.HEALTHY: 4}, 2, [WHOLE_ESTATE], "All 4 stacks in 2 markets agree; 1 problem", id="problem"
        ),
    ],
)
def test_the_headline_says_it_in_one_sentence(
    counts: dict[Verdict, int], markets: int, problems: list[str], sentence: str
) -> None:
    told = summary(counts=counts, markets=markets, problems=tuple(problem(market) for market in problems))
    results = [stack_result("de", "app", verdict) for verdict, count in counts.items() for _ in range(count)]
    page = page_of(Report(summary=told, results=results))
    assert [element.text for element in page.all("p") if "headline" in element.classes] == [f"{sentence}."]
    assert page.all("title")[0].text == f"{sentence} · trueup, 2026-11-23 06:00 UTC"


@dataclass
class Streamed:
    """Results that are made anew in each pass; knows how many of them were alive at once."""

    markets: int
    stacks: int
    passes: int = 0
    alive: int = 0
    most_alive: int = 0

    def __iter__(self) -> Iterator[StackResult]:
        self.passes += 1
        healthy, drift = stack_result("m", "s"), drifted("m", "s")
        for market in range(self.markets):
            for stack in range(self.stacks):
                like = drift if market % 50 == stack == 7 else healthy
                result = like.model_copy(update={"market": f"m{market:04}", "stack": f"s{stack:02}"})
                self.alive += 1
                self.most_alive = max(self.most_alive, self.alive)
                weakref.finalize(result, self._forget)
                yield result

    def _forget(self) -> None:
        self.alive -= 1


@pytest.mark.parametrize("stacks", [20, 50], ids=["as a table", "as lists"])
def test_a_large_estate_is_written_a_market_at_a_time(stacks: int) -> None:
    streamed = Streamed(markets=5000 // stacks, stacks=stacks)
    needing = 5000 // stacks // 50
    counts = {Verdict.HEALTHY: 5000 - needing, Verdict.PIPELINE_DRIFT: needing}
    largest = sections = 0
    for chunk in render_html(Report(summary=summary(counts=counts, markets=streamed.markets), results=streamed)):
        largest = max(largest, len(chunk))
        sections += chunk.count("<article")
    assert streamed.passes == 2
    assert streamed.most_alive <= 4 * stacks + needing + 3
    assert sections == needing
    assert largest < 100_000


def test_a_zipped_package_in_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    archive = tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w") as package:
        for folder in ("records", "reconcile"):
            for file in sorted((ROOT / folder).rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    package.write(file, file.relative_to(ROOT))
        package.write(Path(__file__).with_name("report_samples.py"), "report_samples.py")
    script = (
        f"import sys; sys.path.insert(0, {str(archive)!r}); sys.stdout.reconfigure(encoding='utf-8')\n"
        "import reconcile.render.html as html, report_samples as samples\n"
        f"assert html.__file__.startswith({str(archive)!r})\n"
        "sys.stdout.writelines(html.render_html(samples.report([samples.drifted('de', 'app')])))"
    )
    written = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, cwd=tmp_path, check=True)
    assert written.stdout.decode() == page_of(report([drifted("de", "app")])).source


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(scheme: int) -> None:
    css = page_of(report()).all("style")[0].text
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", css.split(":root {")[scheme + 1].split("}")[0]))
    papers = ["paper", "surface", *(f"{severity}-paper" for severity in Severity)]
    pairs = [(ink, paper) for ink in ("ink", "quiet") for paper in papers]
    pairs += [("link", "paper"), ("link", "surface")]
    pairs += [(f"{severity}-ink", paper) for severity in Severity for paper in ("surface", f"{severity}-paper")]
    for ink, paper in pairs:
        lighter, darker = sorted((luminance(colours[ink]), luminance(colours[paper])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, f"{ink} on {paper}"


def test_a_remedy_leads_to_its_section_of_the_runbook_where_that_is_known() -> None:
    url = "https://git.contoso.com/runbook.md?a=1&b=2"
    page = "".join(render_html(replace(report([drifted("de", "app")]), runbook_url=url)))
    link = (
        '<a href="https://git.contoso.com/runbook.md?a=1&amp;b=2#pipeline_drift">docs/runbook.md#pipeline_drift</a>: '
    )
    assert link in page
    assert link not in "".join(render_html(report([drifted("de", "app")])))
