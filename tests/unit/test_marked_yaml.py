"""The policy's YAML: what is read, on which line, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.marked_yaml import MAX_BYTES, read_marked_yaml
from drift.policy import InvalidPolicy, Policy, parse_policy
from records.heals import HealMode
from records.policy_source import BrokenYaml, MarkedValues

TEXT = """\
# of the network team
heal_mode: on
heal_mode_by_market:
  - market: no
    mode: dry-run
freeze_windows:
  - cron: "0 18 * * fri"
    duration: 2d14h
    zone: Europe/Berlin
rules:
  - {do: ignore, attribute: tags.*}
  - do: never
    address: 'module.hub["a"].*'
limits: {heal_max_resources: 5}
"""


def read(text: str) -> MarkedValues:
    marked = read_marked_yaml(text.encode())
    assert isinstance(marked, MarkedValues), marked
    return marked


def test_a_policy_is_read_and_means_what_it_says() -> None:
    marked = read(TEXT)
    policy = parse_policy(marked.values, marked.lines)
    assert isinstance(policy, Policy)
    assert policy.heal_mode is HealMode.ON
    assert policy.mode_of("no") is HealMode.DRY_RUN
    assert policy.rules[1].address == ('module.hub["a"].*',)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("zone: Europe/Berlin", "zone: Berlin", "line 9, freeze_windows[0].zone: no such IANA time zone"),
        ("do: ignore", "do: ignroe", "line 11, rules[0].do"),
        ("    address:", "    adress:", "line 13, rules[1].adress: there is no such field"),
        ("  - do: never\n", "  - why: x\n", "line 12, rules[1].do: is missing"),
        ("heal_max_resources: 5", "heal_max_resources: five", "line 14, limits.heal_max_resources"),
        ("duration: 2d14h", "duration: 62", "line 8, freeze_windows[0].duration"),
    ],
)
def test_a_fault_names_its_line(old: str, new: str, fault: str) -> None:
    marked = read(TEXT.replace(old, new))
    invalid = parse_policy(marked.values, marked.lines)
    assert isinstance(invalid, InvalidPolicy)
    assert str(invalid).startswith(fault)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("on", "on"), ("no", "no"), ("yes", "yes"), ("true", True), ("False", False),
        ("5", 5), ("-5", -5), ("010", 10), ("0x1f", "0x1f"), ("1_000", "1_000"), ("1.5", "1.5"), ("12:30", "12:30"),
        ("2026-11-25", "2026-11-25"), ("'5'", "5"), ('"true"', "true"), ("'~'", "~"), ("9" * 40, "9" * 40),
    ],
)  # fmt: skip
def test_a_scalar_is_read_as_in_yaml_1_2(scalar: str, value: object) -> None:
    read_value = read(f"a: {scalar}\n").values
    assert read_value == {"a": value}
    assert isinstance(read_value, dict)
    assert type(read_value["a"]) is type(value)


def test_the_names_of_fields_are_text() -> None:
    assert read("no: 1\n2: 3\nnull: 4\n<<: 5\n").values == {"no": 1, "2": 3, "null": 4, "<<": 5}


def test_every_field_and_item_has_its_line() -> None:
    assert read("a:\n  - b: 1\n  -\n    - 2\n").lines == {
        (): 1, ("a",): 1, ("a", 0): 2, ("a", 0, "b"): 2, ("a", 1): 4, ("a", 1, 0): 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "says nothing"),
        ("# only a comment\n", 1, "says nothing"),
        ("---\n...\n", 2, "says nothing"),
        ("~\n", 1, "says nothing"),
        ("kill_switch:\nheal_mode: on\n", 1, "the field kill_switch says nothing: write its value, or leave it out"),
        ("rules:\n- do: ignore\n  attribute: ~\n", 3, "the field attribute says nothing"),
        ("protected:\n  type: null\n", 2, "the field type says nothing"),
        ("a: 1\nb: 2\na: 3\n", 3, "a second time (first on line 1)"),
        ("a:\n  b: 1\n  'b': 2\n", 3, "a second time (first on line 2)"),
        ("a: &x [1]\n", 1, "anchors and aliases"),
        ("a: 1\nb: *x\n", 2, "anchors and aliases"),
        ("a: &x 1\n", 1, "anchors and aliases"),
        ("&x a: 1\n", 1, "must be plain text"),
        ("a: 1\n*x : 1\n", 2, "must be plain text"),
        ("a: !!python/object/apply:os.system ['id']\n", 1, "tags are not read"),
        ("a: !!str 5\n", 1, "tags are not read"),
        ("a: ! 5\n", 1, "tags are not read"),
        ("!!str a: 5\n", 1, "must be plain text"),
        ("? [a]\n: 1\n", 1, "must be plain text"),
        ("a: 1\n---\nb: 2\n", 2, "a second document"),
        ("a: [1\nb: 2\n", 2, "is no YAML"),
        ("a: 1\n\tb: 2\n", 2, "is no YAML"),
        ("a: 1\nb: \x07\n", 2, "a character that YAML does not allow"),
        ("a: " + "[" * 30, 1, "nested more than 20 deep"),
        ("a: " + "{b: " * 30, 1, "nested more than 20 deep"),
        ("%TAG ! tag:x,2000:\n---\na: !b 1\n", 3, "tags are not read"),
        ("a: @b\n", 1, "is no YAML"),
    ],
)
def test_what_is_refused(text: str, line: int, words: str) -> None:
    broken = read_marked_yaml(text.encode())
    assert isinstance(broken, BrokenYaml)
    assert broken.line == line
    assert words in broken.message


def test_bytes_that_are_no_text_are_refused() -> None:
    assert read_marked_yaml(b"a: 1\nb: \xff\n") == BrokenYaml(message="is not UTF-8", line=2)
    assert isinstance(read_marked_yaml("a: 1".encode("utf-16")), BrokenYaml)
    assert read_marked_yaml(b"#" * (MAX_BYTES + 1)) == BrokenYaml(message="is larger than 256 KiB")
    assert read("\ufeffa: 1").values == {"a": 1}


@given(st.one_of(st.binary(max_size=60), st.text("ab:-[]{},&*!|>'\"#%@?~ \n\t", max_size=60).map(str.encode)))
def test_no_bytes_raise(content: bytes) -> None:
    assert isinstance(read_marked_yaml(content), MarkedValues | BrokenYaml)


@given(
    st.recursive(
        st.one_of(st.booleans(), st.integers(-(10**17), 10**17), st.text("ab on1~", max_size=6)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
        ),
    )
)
def test_json_is_read_as_json(values: object) -> None:
    assert read(json.dumps(values)).values == values
