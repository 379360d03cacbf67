"""How a run of plan checks is told. `UPDATE_GOLDEN=1` writes the golden texts of tests/golden/drift_render anew."""

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.cells import cell_len
from rich.console import Console

from commands.printing import print_to
from drift.decide import APPROVABLE
from drift.render.finding_words import happens_to, symbol_of, who_changed
from drift.render.json import render_json
from drift.render.markdown import MOST_CHARACTERS, MOST_LISTED, render_markdown
from drift.render.order import gravest_first
from drift.render.reasons import HOLDS, words_of
from drift.render.summary import summary_line
from drift.render.terminal import (
    MOST_ATTRIBUTES,
    MOST_DIAGNOSTICS,
    MOST_FINDINGS,
    MOST_OF_A_CLEAN_STACK,
    render_terminal,
)
from drift.render.text import ELLIPSIS, shortened, shortened_pair, spelt
from drift.render.wording import KINDS, decided
from records.findings import Finding, FindingKind
from records.plan_checks import CheckReport, Decision, HoldReason, StackCheck
from records.spelling import visible
from tests.unit.check_samples import (
    ALICE,
    HOSTILE,
    JOB,
    SAMPLES,
    changed,
    check,
    eventful,
    finding,
    findings_of,
    hostile,
    huge,
    inconclusive,
    report,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "drift_render"
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
STALE = FindingKind.STALE_STATE
ELLIPSIS_AND_ENDS = re.compile(rf'^"a+{ELLIPSIS}a+"$')


def terminal(rendered: CheckReport, width: int = 100) -> str:
    """As on a terminal of that width, without its colours and without blanks at line ends."""
    text = io.StringIO()
    Console(file=text, width=width, highlight=False).print(render_terminal(rendered))
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().split("\n")[:-1])


def pipe(rendered: CheckReport) -> str:
    text = io.StringIO()
    print_to(text, render_terminal(rendered))
    return text.getvalue()


def markdown(rendered: CheckReport) -> str:
    return "".join(render_markdown(rendered))


def json_of(rendered: CheckReport) -> Any:
    return json.loads("".join(render_json(rendered)))


def told_of(one: Finding, width: int = 100, decision: Decision | HoldReason = Decision.HEAL) -> list[str]:
    """The lines on a terminal about one finding, without their indent."""
    lines = terminal(report([check(decision=decision, findings=(one,), why="", job_id=JOB)]), width).splitlines()
    start = next(place for place, line in enumerate(lines) if one.address in line)
    return [line.strip() for line in lines[start:-2]]


def values(*attributes: Any, width: int = 100, **changes: Any) -> list[str]:
    """The lines of a finding's attributes."""
    return told_of(finding(attributes=attributes, **{**ALICE, **changes}), width)[3:]


TEXTS: dict[str, Callable[[CheckReport], str]] = {
    "terminal_80.txt": lambda rendered: terminal(rendered, 80),
    "terminal_120.txt": lambda rendered: terminal(rendered, 120),
    "pipe.txt": pipe,
    "report.md": markdown,
    "report.json": lambda rendered: "".join(render_json(rendered)),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_morning_reads_as_the_golden_text_does(name: str) -> None:
    told, golden = TEXTS[name](eventful()), GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(told, encoding="utf-8", newline="\n")
    assert told == golden.read_text(encoding="utf-8")


# Words


def test_every_reason_and_every_kind_has_its_words() -> None:
    assert HOLDS.keys() == set(HoldReason)
    assert KINDS.keys() == set(FindingKind)
    assert all(words.because and words.next_step.endswith(".") for words in HOLDS.values())


@pytest.mark.parametrize("reason", HoldReason)
def test_a_held_stack_says_why_and_what_to_do_on_a_terminal_and_in_markdown(reason: HoldReason) -> None:
    held = report([check("app", reason)])
    words = words_of(reason, is_planned=True)
    step = words.next_step.format(market="de")
    assert terminal(held, 400).count(f"({reason})") == 1
    assert f"(`{reason}`)" in markdown(held)
    assert f"| {words.because} |" in markdown(held)
    for told in (terminal(held, 400), markdown(held)):
        assert f"docs/runbook.md#{reason}: {step}" in told
        assert "{" not in step


def test_without_a_sentence_a_stack_says_in_a_few_words_why_it_is_held() -> None:
    held = report([check("app", HoldReason.LOCKED, why="")])
    for told in (terminal(held), markdown(held)):
        assert re.search(rf"^ +{HOLDS[HoldReason.LOCKED].because}$", told, re.MULTILINE)


def test_a_door_that_a_dry_run_leaves_open_is_said_to_be_open_and_how_it_is_shut() -> None:
    told = terminal(report([check("app", HoldReason.DRY_RUN)]), 400)
    assert "Nothing to do" not in told
    assert "would be healed" not in told
    for words in ("still as it was found", "by hand", "deploy the release on record", "HEAL_MODE=on", "heal_mode"):
        assert words in told


@pytest.mark.parametrize("reason", HoldReason)
def test_an_approval_is_offered_where_it_could_overrule_and_its_job_named(reason: HoldReason) -> None:
    assert ("approve the job" in HOLDS[reason].next_step) is (reason in APPROVABLE)
    held = report([check("app", reason)])
    command = f"trueup drift approve {JOB[:12]} --by WHO --reason WHY"
    assert (command in terminal(held)) is (f"`{command}`" in markdown(held)) is (reason in APPROVABLE)


@pytest.mark.parametrize(
    ("queued", "step"),
    [
        pytest.param(None, "Nothing was queued; `trueup drift check --queue` queues what is to be healed.", id="asked"),
        pytest.param((), "`trueup drift history --market de --stack network` tells.", id="queued before"),
    ],
)
def test_what_was_not_queued_is_never_said_to_be_healed(queued: tuple[str, ...] | None, step: str) -> None:
    rendered = report([check(findings=(finding(),))], queued=queued)
    for told in (terminal(rendered, 200), markdown(rendered)):
        assert step in told
        assert "would be healed, not queued" in told
        assert not re.search(r"\bwill\b|to be healed by|[Qq]ueued as job", told)


def test_what_was_queued_names_its_job() -> None:
    rendered = report([check(findings=(finding(),))])
    assert f"\n  queued as job {JOB[:12]}\n" in terminal(rendered)
    assert f"Queued as job `{JOB[:12]}`." in markdown(rendered)


@pytest.mark.parametrize("kind", FindingKind)
def test_every_kind_is_told_in_words(kind: FindingKind) -> None:
    assert any(line.startswith(KINDS[kind]) for line in told_of(finding(kind=kind)))


def test_what_was_deleted_outside_is_told_so() -> None:
    [deleted] = findings_of("deleted_outside")
    head, kind, who, *_ = told_of(deleted)
    assert head == "+ azsim_key_vault.main will be created"
    assert kind == "deleted outside Terraform"
    assert who == "who changed it is not known"


def test_where_the_records_disagree_their_verdict_comes_first_and_nothing_is_called_pipeline_drift() -> None:
    told = terminal(report([check(decision=HoldReason.RECORDS_DISAGREE, market="emea/fr")]), 400)
    assert "Run `trueup reconcile --market emea/fr` and do what it says" in told
    ours = [*KINDS.values(), *(f"{words.because} {words.next_step}" for words in HOLDS.values())]
    assert not any("pipeline drift" in text.lower() for text in ours)


def test_a_dry_run_says_would_and_a_heal_says_will() -> None:
    assert "~ azurerm_network_security_group.hub will be updated in-place" in told_of(finding())
    head, kind, *_ = told_of(finding(), decision=HoldReason.DRY_RUN)
    assert head.endswith("would be updated in-place")
    assert kind == "changed outside Terraform"


# A finding


@pytest.mark.parametrize(
    ("actions", "symbol", "words"),
    [
        pytest.param(("update",), "~", "would be updated in-place", id="update"),
        pytest.param(("create",), "+", "would be created", id="create"),
        pytest.param(("delete",), "-", "would be destroyed", id="destroy"),
        pytest.param(("delete", "create"), "-/+", "would be replaced: destroyed and then created", id="replace"),
        pytest.param(("create", "delete"), "+/-", "would be replaced: created and then destroyed", id="create first"),
        pytest.param(("read",), "<=", "would be read during apply", id="read"),
        pytest.param(("forget",), "?", "has an action that trueup does not apply: forget", id="forget"),
        pytest.param(
            ("create", "forget"), "?", "has an action that trueup does not apply: create, forget", id="two actions"
        ),
        pytest.param((), "?", "has an action that trueup does not apply: none is named", id="no action named"),
        pytest.param(("no-op",), "?", "has an action that trueup does not apply: none is named", id="drift not known"),
    ],
)
def test_terraforms_symbols_and_words_are_used(actions: tuple[str, ...], symbol: str, words: str) -> None:
    one = finding(kind=FindingKind.UNSAFE, actions=actions)
    assert (symbol_of(one), happens_to(one, is_queued=False)) == (symbol, words)


def test_a_state_that_is_behind_has_no_action_and_says_what_its_sides_are() -> None:
    [behind] = findings_of("computed_noise")
    head, kind, attribute = told_of(behind, 200)
    assert head == "# azsim_hybrid_worker.main"
    assert kind == "the state alone is behind (as recorded, then as it is); reported only"
    assert re.fullmatch(r'~ last_seen_at = ".+" -> ".+"', attribute)


def test_a_former_object_is_told_apart() -> None:
    [former] = findings_of("deposed_object")
    assert f"azsim_storage_account.main (deposed object {former.deposed}) will be destroyed" in told_of(former)[0]


@pytest.mark.parametrize(
    ("known", "told"),
    [
        pytest.param(ALICE, "changed by alice@example.com at 2026-11-23 02:14 UTC with Azure Portal", id="all of it"),
        pytest.param({"changed_by": "bob"}, "changed by bob", id="a name alone"),
        pytest.param(
            {**ALICE, "changed_by": None},
            "changed at 2026-11-23 02:14 UTC with Azure Portal; by whom is not known",
            id="all but a name",
        ),
        pytest.param({}, "who changed it is not known", id="nothing"),
        pytest.param({"kind": FindingKind.PENDING_CHANGE}, None, id="nobody need have changed what waits for a deploy"),
        pytest.param({"kind": STALE}, None, id="nobody need have changed what is computed"),
        pytest.param({"kind": STALE, "changed_by": "bob"}, "changed by bob", id="a state that is behind by a click"),
    ],
)
def test_who_changed_it_is_told_as_far_as_it_is_known(known: dict[str, Any], told: str | None) -> None:
    assert who_changed(finding(**known)) == told


@pytest.mark.parametrize(
    ("attribute", "changes", "told"),
    [
        pytest.param(changed("a", "Allow", "Deny"), {}, '~ a = "Allow" -> "Deny"', id="text"),
        pytest.param(changed("a", 1, 2.5), {}, "~ a = 1 -> 2.5", id="numbers"),
        pytest.param(changed("a", True, False), {}, "~ a = true -> false", id="truth"),
        pytest.param(changed("a", None, "x"), {}, '+ a = "x"', id="what is new"),
        pytest.param(changed("a", "x", None), {}, '- a = "x" -> null', id="what goes"),
        pytest.param(changed("a", "", "null"), {}, '~ a = "" -> "null"', id="empty and null are told apart"),
        pytest.param(changed("a", [1, "b"], {"c": None}), {}, '~ a = [1,"b"] -> {"c":null}', id="compact JSON"),
        pytest.param(changed("a", "x\ny\t", "x"), {}, r'~ a = "x\ny\t" -> "x"', id="several lines in one"),
        pytest.param(changed("", "x", "y"), {}, '~ (all of it) = "x" -> "y"', id="a value without a path"),
        pytest.param(changed("a", sensitive=True), {}, "~ a = (not shown)", id="masked in an update"),
        pytest.param(
            changed("a", sensitive=True),
            {"actions": ("create",)},
            "+ a = (not shown)",
            id="masked in a creation",
        ),
        pytest.param(
            changed("a", sensitive=True), {"actions": ("delete",)}, "- a = (sensitive value)", id="masked in a deletion"
        ),
        pytest.param(
            changed("a", sensitive=True),
            {"kind": STALE, "actions": ("no-op",)},
            "~ a = (sensitive value)",
            id="masked in a state that is behind",
        ),
    ],
)
def test_an_attribute_is_spelt_as_terraform_spells_it(attribute: Any, changes: dict[str, Any], told: str) -> None:
    assert values(attribute, **changes) == [told]


def test_attributes_are_aligned_and_a_long_path_pushes_no_other_aside() -> None:
    long = "very.long." * 6 + "path"
    told = values(changed("access", 1, 2), changed("priority", 1, 2), changed(long, 1, 2), width=80)
    assert told == ["~ access   = 1 -> 2", "~ priority = 1 -> 2", f"~ {long} =", "1 -> 2"]


def test_values_that_do_not_fit_beside_their_path_have_a_line_of_their_own() -> None:
    before, after = "b" * 25, "c" * 25
    told = values(changed("some.path.of.a.block[0].value", before, after), width=80)
    assert told == ["~ some.path.of.a.block[0].value =", f'"{before}" -> "{after}"']


def test_a_long_value_is_cut_in_its_middle() -> None:
    _, line = values(changed("a", "a" * 500, "z"), width=80)
    before, after = line.split(" -> ")
    assert (ELLIPSIS_AND_ENDS.match(before) is not None, after) == (True, '"z"')
    assert len(line) == 80 - 6 - 4


def test_values_that_part_only_in_their_middle_show_where() -> None:
    _, line = values(changed("a", "x" * 900 + "1" + "x" * 900, "x" * 900 + "2" + "x" * 900), width=80)
    before, after = line.split(" -> ")
    assert before.replace("1", "2") == after
    assert before != after


def test_the_harmless_end_of_a_long_list_is_the_one_that_is_cut() -> None:
    stale, unsafe = finding("a", kind=STALE), finding("z", kind=FindingKind.UNSAFE)
    replaced, click = finding("y", actions=("delete", "create")), finding("b")
    assert [one.address for one in gravest_first([stale, click, unsafe, replaced])] == ["y", "z", "b", "a"]


@given(st.text(), st.text(), st.integers(8, 60))
def test_any_two_values_fit_and_are_told_apart(one: str, other: str, cells: int) -> None:
    before, after = shortened_pair(spelt(one), spelt(other), cells)
    assert cell_len(before) + cell_len(after) <= cells
    assert cells < 16 or (before == after) is (one == other)
    assert cell_len(shortened(spelt(one), cells)) <= cells


# The whole of it


@pytest.mark.parametrize("rendered", SAMPLES.values(), ids=SAMPLES.keys())
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(rendered: CheckReport, width: int) -> None:
    assert max(map(cell_len, terminal(rendered, width).splitlines())) <= width


@pytest.mark.parametrize("rendered", SAMPLES.values(), ids=SAMPLES.keys())
@pytest.mark.parametrize("tell", [terminal, pipe, markdown])
def test_nothing_that_a_terminal_would_obey_is_printed(
    tell: Callable[[CheckReport], str], rendered: CheckReport
) -> None:
    told = tell(rendered)
    assert told.endswith("\n")
    assert all(line.isprintable() for line in told.split("\n"))


def test_a_hostile_text_is_shown_as_it_is_spelt() -> None:
    told = terminal(hostile(), 1000)
    assert told.count(visible(HOSTILE)) >= 8
    assert "[red]x[/red]" in told
    assert r"\x1b[31mred" in told
    assert r"\u202egnp.exe" in told
    assert ":smile:" in told


@pytest.mark.parametrize(
    ("rendered", "line"),
    [
        pytest.param(report(), "No stack was checked", id="nothing at all"),
        pytest.param(report([check(decision=Decision.CLEAN)]), "1 stack: 1 clean", id="one clean"),
        pytest.param(
            report(
                [
                    *(check(f"s{number}", Decision.CLEAN) for number in range(9)),
                    check("heal"),
                    check("gone", HoldReason.DESTRUCTIVE),
                    inconclusive("odd"),
                ]
            ),
            "12 stacks: 9 clean, 1 heal, 2 held (1 inconclusive, 1 destructive)",
            id="a bit of each, the reasons in their order",
        ),
        pytest.param(SAMPLES["a problem alone"], "No stack was checked; 1 problem", id="a problem alone"),
    ],
)
def test_the_last_line_counts(rendered: CheckReport, line: str) -> None:
    assert summary_line(rendered) == line
    assert terminal(rendered).splitlines()[-1] == line


def test_clean_stacks_are_only_counted() -> None:
    assert terminal(SAMPLES["all clean"]) == "2 stacks: 2 clean\n"


def test_a_clean_stack_whose_state_is_behind_has_one_line_a_finding() -> None:
    stale = [finding(f"a.{name}", kind=STALE, actions=("no-op",)) for name in ("one", "two")]
    ignored = finding("a.three")
    told = terminal(report([check("app", Decision.CLEAN, findings=(*stale, ignored))]), 120)
    paths = "security_rule[0].access, tags.owner"
    assert [line for line in told.splitlines() if line.startswith("de/app")] == [
        f"de/app  ~ a.three: changed outside Terraform, ignored by the policy: {paths}",
        f"de/app  # a.one: state behind: {paths}",
        f"de/app  # a.two: state behind: {paths}",
    ]


@pytest.mark.parametrize(
    ("one", "queued", "words"),
    [
        pytest.param(check(decision=Decision.CLEAN), None, "clean", id="clean"),
        pytest.param(check(), (JOB,), "will be healed", id="a heal that is queued"),
        pytest.param(check(), (), "would be healed, not queued", id="a heal whose job was there before"),
        pytest.param(check(), None, "would be healed, not queued", id="a heal where nothing is queued"),
        pytest.param(check(decision=HoldReason.LOCKED), (), "held (locked)", id="a hold"),
        pytest.param(check(decision=Decision.HOLD), (JOB,), "held", id="a hold without a reason"),
        pytest.param(check(decision=HoldReason.DRY_RUN), None, "held (dry_run)", id="a dry run"),
    ],
)
def test_a_decision_is_told_in_a_few_words(one: StackCheck, queued: tuple[str, ...] | None, words: str) -> None:
    assert decided(one, queued) == words


def test_a_heal_that_names_no_job_is_told_without_one() -> None:
    told = terminal(report([check(job_id=None, findings=(finding(),))]))
    assert "de/network  would be healed, not queued\n" in told
    assert JOB[:8] not in told


def test_many_lines_of_terraform_and_many_findings_of_a_clean_stack_are_cut() -> None:
    lines = tuple(f"error: number {number}" for number in range(MOST_DIAGNOSTICS + 2))
    stale = tuple(finding(f"a.n{number}", kind=STALE) for number in range(MOST_OF_A_CLEAN_STACK + 1))
    told = terminal(report([inconclusive("odd", diagnostics=lines), check("app", Decision.CLEAN, findings=stale)]))
    assert f"error: number {MOST_DIAGNOSTICS - 1}\n  # 2 more lines\n" in told
    assert "de/app  # 1 more finding\n" in told


def test_terraforms_own_words_are_told_once() -> None:
    odd = inconclusive()
    told = terminal(report([odd]), 200)
    assert told.count("Failed to query available provider packages") == 1
    assert "· error: Inconsistent dependency lock file; HTTP 503" in told


def test_a_problem_has_its_remedy() -> None:
    told = terminal(eventful())
    assert "uk  registry  forbidden\n    uk/subscription.json: access was denied\n    → Give trueup's identity" in told
    assert "the whole estate  results  unavailable" in told


def test_a_bad_morning_is_cut_and_says_so() -> None:
    told = terminal(huge())
    assert f"# {501 - MOST_FINDINGS} more findings, which --format json lists" in told
    assert f"# {60 - MOST_ATTRIBUTES} more attributes" in told
    assert told.index("azurerm_zone.z") < told.index("azurerm_policy.p")


def test_a_report_reads_the_same_in_whatever_order_its_stacks_and_findings_come() -> None:
    rendered = eventful()
    shuffled = rendered.model_copy(
        update={
            "results": tuple(
                one.model_copy(update={"findings": one.findings[::-1]}) for one in reversed(rendered.results)
            )
        }
    )
    assert pipe(shuffled) == pipe(rendered)
    assert markdown(shuffled) == markdown(rendered)


def test_colours_are_terraforms() -> None:
    text = io.StringIO()
    console = Console(file=text, width=100, highlight=False, force_terminal=True, color_system="standard")
    console.print(render_terminal(report([check(findings=(finding(actions=("delete", "create")),))])))
    assert "\x1b[31m-/+\x1b[0m" in text.getvalue()
    assert '\x1b[33m~\x1b[0m security_rule[0].access = "Allow" -> "Deny"' in text.getvalue()


# JSON

STACK_FIELDS = {
    "market", "stack", "decision", "reason", "job_id", "fingerprint", "verdict", "serial", "bundle_sha256", "diagnostics",
    "findings",
}  # fmt: skip
FINDING_FIELDS = {
    "address", "type", "kind", "actions", "destructive", "attributes", "changed_by", "changed_at", "client",
}  # fmt: skip


@pytest.mark.parametrize("rendered", SAMPLES.values(), ids=SAMPLES.keys())
def test_the_json_is_the_whole_report_with_every_field_of_the_contract(rendered: CheckReport) -> None:
    written = json_of(rendered)
    assert written == rendered.model_dump(mode="json")
    assert list(written) == [
        "schema_version", "run_id", "started_at", "finished_at", "counts", "queued", "results", "problems"
    ]  # fmt: skip
    for result in written["results"]:
        assert result.keys() >= STACK_FIELDS
        for one in result["findings"]:
            assert one.keys() >= FINDING_FIELDS
            assert all(set(attribute) == {"path", "before", "after", "sensitive"} for attribute in one["attributes"])
    assert CheckReport.model_validate(written) == rendered


def test_times_are_utc_and_what_is_not_known_is_null() -> None:
    written = json_of(report([check(findings=(finding(**ALICE), finding("a.b")))]))
    known, unknown = written["results"][0]["findings"]
    assert (written["started_at"], known["changed_at"]) == ("2026-11-23T06:00:04Z", "2026-11-23T02:14:09Z")
    assert (unknown["changed_by"], unknown["changed_at"], unknown["client"]) == (None, None, None)
    assert written["results"][0]["reason"] is None


def test_results_are_sorted_and_streamed_a_line_each() -> None:
    checks = [check(stack, market=market) for market, stack in (("pl", "a"), ("de", "b"), ("de", "a"))]
    chunks = list(render_json(report().model_copy(update={"results": tuple(checks)})))
    assert len(chunks) == 2 + len(checks)
    lines = "".join(chunks).splitlines()
    assert [json.loads(line.rstrip(","))["stack"] for line in lines[2:5]] == ["a", "b", "a"]
    assert '"market":"pl"' in lines[4]
    assert chunks[-1].endswith("}\n")


# Markdown


def inlines(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from inlines(token.children or [])


@pytest.mark.parametrize("rendered", SAMPLES.values(), ids=SAMPLES.keys())
def test_markdown_is_headings_paragraphs_one_table_and_fences_and_nothing_foreign_is_outside_of_them(
    rendered: CheckReport,
) -> None:
    tokens = PARSER.parse(markdown(rendered))
    assert {token.type.removesuffix("_open").removesuffix("_close") for token in inlines(tokens)} <= {
        "heading", "paragraph", "inline", "text", "code_inline", "strong", "table", "thead", "tbody", "tr", "th", "td",
        "fence", "hr",
    }  # fmt: skip
    assert {token.info for token in tokens if token.type == "fence"} <= {"diff", "text"}
    prose = "".join(token.content for token in inlines(tokens) if token.type == "text")
    assert not re.search(r"[<>@|\[\]\\]|://|:smile:", prose)


@pytest.mark.parametrize("rendered", SAMPLES.values(), ids=SAMPLES.keys())
def test_every_row_of_the_table_has_as_many_cells(rendered: CheckReport) -> None:
    for is_table, rows in groupby(markdown(rendered).splitlines(), key=lambda line: line.startswith("|")):
        assert not is_table or {row.count("|") for row in rows} == {5}


@pytest.mark.parametrize("rendered", SAMPLES.values(), ids=SAMPLES.keys())
def test_markdown_fits_a_comment(rendered: CheckReport) -> None:
    assert len(markdown(rendered)) <= MOST_CHARACTERS + 100


def test_markdown_says_what_it_leaves_out() -> None:
    told = markdown(huge())
    assert f"And {201 - MOST_LISTED} more stacks, which `--format json` lists." in told
    assert re.search(r"\n# \d+ more findings, which --format json lists\n", told)
    assert re.search(r"\n\d+ more stacks would not fit here; `--format json` has all of them\.\n", told)


def test_a_side_of_a_change_is_a_line_of_the_diff() -> None:
    attributes = (changed("a", 1, 2), changed("gone", "x"), changed("new", None, "y"), changed("key", sensitive=True))
    [fence] = [
        token.content
        for token in PARSER.parse(markdown(report([check(findings=(finding(attributes=attributes),))])))
        if token.type == "fence"
    ]
    assert fence.splitlines()[-6:] == [
        "      who changed it is not known",
        "-     a    = 1",
        "+     a    = 2",
        '-     gone = "x"',
        '+     new  = "y"',
        "!     key  = (not shown)",
    ]


def test_a_clean_report_is_its_counts() -> None:
    told = markdown(SAMPLES["all clean"])
    assert told.startswith(
        "## Portal drift\n\n**2 stacks: 2 clean**\n\nRun `20261123T060004000Z`, started 2026-11-23 06:00 UTC"
    )
    assert "|" not in told
