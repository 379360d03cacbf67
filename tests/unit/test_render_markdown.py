import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from reconcile.render.markdown import MOST_DETAILED, MOST_LISTED, render_markdown
from reconcile.render.markdown_text import escape_markdown, markdown_code
from records.report import WHOLE_ESTATE, Report
from records.results import Serials
from records.spelling import visible
from records.verdicts import NEEDS_NOBODY, OddOneOut, Severity, Tier, Verdict
from tests.unit.report_samples import drifted, fault, problem, report, stack_result, summary
from tests.unit.test_render_html import HOSTILE, REPORTS, Streamed, hostile

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NOTHING = "\N{EN DASH}"
PLAIN = {"text", "code_inline", "text_special"}


def markdown_of(rendered: Report) -> str:
    return "".join(render_markdown(rendered))


def inlines(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from inlines(token.children or [])


def shown(tokens: list[Token]) -> str:
    """The text that a reader sees."""
    text = "".join(token.content for token in inlines(tokens) if token.type in PLAIN)
    return text.replace("\N{WORD JOINER}", "")


def tables(markdown: str) -> list[list[list[str]]]:
    """Each table's rows of cells as they are shown, without the line under the header."""
    found: list[list[list[str]]] = []
    tokens = PARSER.parse(markdown)
    for place, token in enumerate(tokens):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in {"th_open", "td_open"}:
            found[-1][-1].append(shown([tokens[place + 1]]))
    return found


@pytest.mark.parametrize("rendered", REPORTS.values(), ids=REPORTS.keys())
def test_every_row_of_a_table_has_as_many_cells_as_its_header(rendered: Report) -> None:
    lines = markdown_of(rendered).splitlines()
    for is_table, rows in groupby(lines, key=lambda line: line.startswith("|")):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
        assert not is_table or len(widths) == 1


@pytest.mark.parametrize("rendered", REPORTS.values(), ids=REPORTS.keys())
def test_nothing_is_html_a_link_or_an_image(rendered: Report) -> None:
    markdown = markdown_of(rendered)
    kinds = {token.type for token in inlines(PARSER.parse(markdown))}
    assert not kinds & {
        "html_block",
        "html_inline",
        "link_open",
        "image",
        "fence",
        "code_block",
        "softbreak",
        "hardbreak",
    }
    assert markdown.endswith("is not in this report.\n")
    assert markdown.lower().count("portal drift") == 1


def test_a_hostile_text_is_shown_as_it_is_spelt() -> None:
    spelt = visible(HOSTILE)
    urgent, problems, records, _ = tables(markdown_of(hostile()))
    assert urgent[1][-1] == spelt
    assert problems[1] == [spelt, "registry", spelt, spelt, f"forbidden: {spelt}", spelt]
    assert {row[0]: row[1] for row in records}["Blob"] == spelt


anything = st.text(st.characters() | st.sampled_from(list("\\`*_[]|~$<>&@#:/.-+=! \n")), max_size=40)


@given(anything)
@example("1. x")
@example("- x")
@example("---")
@example("    x")
@example("# x")
@example("> x")
@example("a  \\")
@example("`a``b`")
@example("https://evil.example www.evil.example @team #12")
@example("a\\|b|c")
@pytest.mark.parametrize("write", [escape_markdown, markdown_code])
def test_any_text_is_one_cell_one_item_and_one_paragraph_and_shown_as_it_is(
    write: Callable[[str], str], text: str
) -> None:
    written = write(text)
    cell = PARSER.parse(f"| a | b |\n| --- | --- |\n| {written} | end |\n")
    item = PARSER.parse(f"- {written}\n")
    paragraph = PARSER.parse(f"a {written} z\n")
    row = [token for token in cell if token.type == "inline"][2:]
    assert [shown([token]).strip() for token in row] == [visible(text).strip(), "end"]
    assert shown(item).strip() == visible(text).strip()
    assert shown(paragraph) == f"a {visible(text)} z"
    if text.strip():
        assert [token.type for token in item] == [
            "bullet_list_open",
            "list_item_open",
            "paragraph_open",
            "inline",
            "paragraph_close",
            "list_item_close",
            "bullet_list_close",
        ]
    assert {token.type for token in inlines([*row, *paragraph])} <= PLAIN | {
        "inline",
        "paragraph_open",
        "paragraph_close",
    }


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("ask @team or runner@build-17", "ask @\N{WORD JOINER}team or runner@build-17", id="a mention"),
        pytest.param("#12", "#\N{WORD JOINER}12", id="an issue"),
        pytest.param("https://evil.example", "https\\://evil.example", id="a URL"),
        pytest.param("www.evil.example", "www\\.evil.example", id="a host"),
        pytest.param("<b> & `c` | d_e", "&lt;b&gt; &amp; \\`c\\` \\| d\\_e", id="markup"),
        pytest.param("+2 serials", "+2 serials", id="a number"),
        pytest.param("2026-11-23 06:00 UTC", "2026-11-23 06:00 UTC", id="a time"),
    ],
)
def test_only_what_would_be_read_as_markup_is_escaped(text: str, written: str) -> None:
    assert escape_markdown(text) == written


@pytest.mark.parametrize("name", [" x", "x ", "  x", " ", "`x "])
def test_a_name_keeps_the_spaces_at_its_ends(name: str) -> None:
    assert shown(PARSER.parse(f"- {markdown_code(name)}\n")) == name


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_is_counted_and_told_if_it_needs_a_person(verdict: Verdict) -> None:
    result = stack_result("emea/de", "network", verdict)
    markdown = markdown_of(report([result]))
    words = verdict.replace("_", " ")
    assert tables(markdown)[-1] == [["Verdict", "Severity", "Stacks"], [words, result.severity, "1"]]
    heading = f"#### `emea/de/network`: {words} ({result.severity})\n"
    assert (heading in markdown) is (verdict not in NEEDS_NOBODY)


def test_what_needs_a_person_is_one_row_each_the_most_urgent_first() -> None:
    missing = stack_result("fr", "app", Verdict.STATE_MISSING, odd_one_out=OddOneOut.STATE, first_seen_at=None)
    behind = stack_result("at", "app", Verdict.TRACKER_BEHIND, odd_one_out=OddOneOut.TRACKER, serial_delta=-1)
    markdown = markdown_of(report([behind, drifted("de", "app"), missing, stack_result("de", "data")]))
    _, *rows = tables(markdown)[0]
    seen = "2026-11-21 05:00 UTC"
    assert [row[:6] for row in rows] == [
        ["critical", "fr/app", "state missing", "state", NOTHING, NOTHING],
        ["high", "de/app", "pipeline drift", "state", "+2 serials", seen],
        ["medium", "at/app", "tracker behind", "tracker", "\N{MINUS SIGN}1 serial", seen],
    ]
    assert rows[1][6].startswith("The state is 2 serials ahead of tracker and registry (44 against 42)")
    assert "de/data" not in markdown


def test_what_is_for_information_is_not_among_what_needs_a_person() -> None:
    running, later = stack_result("at", "app", Verdict.IN_FLIGHT), stack_result("at", "data", Verdict.REGISTRY_AHEAD)
    later = later.model_copy(update={"tier": Tier.TIMES, "severity": Severity.INFO})
    missing = stack_result("fr", "app", Verdict.REGISTRY_AHEAD)
    markdown = markdown_of(report([running, later, missing]))
    urgent, information, *_, counts = tables(markdown)
    assert [row[:2] for row in urgent[1:]] == [["medium", "fr/app"]]
    assert [row[:2] for row in information[1:]] == [["info", "at/app"], ["info", "at/data"]]
    assert markdown.index("### What needs a person") < markdown.index("### For information")
    assert markdown.startswith("## Pipeline drift: 1 of 3 stacks needs a person; 2 for information\n")
    assert counts[1:] == [
        ["registry ahead", "medium", "1"],
        ["in flight", "info", "1"],
        ["registry ahead", "info", "1"],
    ]


def test_the_three_records_stand_side_by_side_and_the_odd_one_is_marked() -> None:
    broken = stack_result("de", "app").evidence.registry.model_copy(update={"fault": fault()})
    shown_evidence = stack_result("de", "app").evidence.model_copy(update={"registry": broken})
    result = drifted("de", "app", evidence=shown_evidence, serials=Serials(state=44, registry=42))
    records = tables(markdown_of(report([result])))[1]
    assert records[0] == ["", "state (odd one out)", "tracker", "registry"]
    assert ["Serial (differs)", "44", NOTHING, "42"] in records
    assert [row[0] for row in records[1:]] == [
        "Status",
        "Serial (differs)",
        "Lineage",
        "Deployed at",
        "Blob modified",
        "Blob",
        "State's MD5",
        "Fault",
    ]


def test_the_facts_of_a_stack_are_told_in_one_line_and_those_not_on_record_left_out() -> None:
    markdown = markdown_of(report([drifted("de", "app", owner=None)]))
    assert (
        "\nOdd one out: state · By how much: +2 serials (the state, against tracker and registry) · "
        "First seen: 2026-11-21 05:00 UTC, 2 d 1 h before this run · "
        "State changed: 2026-11-21 01:12 UTC, 2 d 4 h before this run · "
        "Release: `2026.11.3` · Commit: `4f1c0d9a7be24c61` · "
        "Subscription: `5f0a9c1e-6c1b-4df5-93ab-0f2b7a4c9d11` · Tier: 1: all three records\n"
    ) in markdown
    assert "**To do:** docs/runbook.md#pipeline\\_drift: Run `terraform plan` from the release on record" in markdown


def test_what_could_not_be_read_is_a_row_each() -> None:
    whole_estate = problem(WHOLE_ESTATE, blob="runs", field="x")
    markdown = markdown_of(report(problems=[problem("de"), whole_estate]))
    _, first, second = tables(markdown)[0]
    assert first[:5] == ["the whole estate", "registry", "runs", "x", "forbidden: access was denied"]
    assert second[:4] == ["de", "registry", "de/subscription.json", NOTHING]


def test_a_healthy_report_is_a_headline_and_a_count() -> None:
    markdown = markdown_of(report([stack_result("de", "app"), stack_result("fr", "app")]))
    assert markdown.startswith("## Pipeline drift: All 2 stacks in 2 markets agree\n")
    assert re.findall(r"^#+ .*", markdown, re.MULTILINE)[1:] == ["### Stacks by verdict"]
    assert "de" not in re.findall(r"`[^`]*`", markdown)


def test_an_empty_report_says_that_no_market_is_registered() -> None:
    assert markdown_of(report()).startswith("## Pipeline drift: No market is registered\n")
    assert tables(markdown_of(report())) == []


def test_the_report_of_a_bad_morning_fits_a_comment_and_says_what_it_leaves_out() -> None:
    results = [drifted(f"market-{number:04}", "network") for number in range(1000)]
    problems = [problem(f"unread-{number:04}") for number in range(200)]
    states = [f"lost/{number:04}.tfstate" for number in range(300)]
    markdown = markdown_of(report(results, problems=problems, unregistered_states=states))
    assert len(markdown) < 65_536
    assert f"And {1000 - MOST_LISTED} more, less urgent, which the HTML and JSON reports list." in markdown
    assert f"And {200 - MOST_LISTED} more, which the HTML and JSON reports list." in markdown
    assert f"And {300 - MOST_LISTED} more, which the HTML and JSON reports list." in markdown
    assert f"### The {MOST_DETAILED} most urgent in detail" in markdown
    assert markdown.count("#### ") == MOST_DETAILED


def test_a_large_estate_is_gone_through_once_and_only_what_needs_a_person_is_held() -> None:
    streamed = Streamed(markets=100, stacks=50)
    counts = {Verdict.HEALTHY: 4998, Verdict.PIPELINE_DRIFT: 2}
    markdown = markdown_of(Report(summary=summary(counts=counts, markets=100), results=streamed))
    assert streamed.passes == 1
    assert streamed.most_alive <= 2 + 2
    assert "| healthy | none | 4,998 |" in markdown
    assert markdown.count("#### ") == 2


RUNBOOK_URL = "https://git.contoso.com/a_b/runbook.md"


def test_a_remedy_leads_to_its_section_of_the_runbook_where_that_is_known() -> None:
    told = report([drifted("de", "app")])
    (link,) = [
        token.attrs["href"]
        for token in inlines(PARSER.parse(markdown_of(replace(told, runbook_url=RUNBOOK_URL))))
        if token.type == "link_open" and str(token.attrs["href"]).startswith(RUNBOOK_URL)
    ]
    assert link == f"{RUNBOOK_URL}#pipeline_drift"
    assert "](<" not in markdown_of(told)


def test_a_remedy_that_names_no_section_leads_nowhere() -> None:
    told = replace(report([drifted("de", "app", remedy=HOSTILE)]), runbook_url=RUNBOOK_URL)
    assert RUNBOOK_URL not in markdown_of(told)
