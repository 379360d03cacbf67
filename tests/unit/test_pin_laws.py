"""Laws of module pins that hold for any text."""

import itertools
import re
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pins.address import PackageSource, Scheme, parse_source
from pins.constraints import Allowed, read_constraint
from pins.firmness import FIRMNESS_OF, Firmness, Reason, pin_of
from pins.modules import module_of, version_of
from pins.versions import RefKind, parse_version, read_ref
from records.errors import ModuleSourceError

NUMBERS = st.integers(0, 99)
FULL = st.builds("{}.{}.{}".format, NUMBERS, NUMBERS, NUMBERS)
WORDS = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
PIECES = st.sampled_from(
    [
        "git::", "hg::", "s3::", "https://", "ssh://", "github.com/", "dev.azure.com", "/_git/", "//", "?ref=", "v1.2.3", "~>",
        "@", ":", "..", "./", "#", "%", "&", "[", "]", "=", "a", "b/c", " ", "\\", "amazonaws.com/", "\x00", "é",
    ]
)  # fmt: skip
SOURCES = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=12).map("".join))
VERSIONS = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.lists(st.sampled_from(["~> ", ">= ", "<= ", "= ", "!=", "1", ".", "2.3", ",", " ", "-rc.1", "+b", "v"])).map(
        "".join
    ),
)


@given(SOURCES)
@example("git::https://[::1/x")
@example("git::ssh://git@host:v3/x")
@example("https://example.com:99999/x")
def test_parsing_raises_nothing_but_its_own_error(source: str) -> None:
    with suppress(ModuleSourceError):
        parse_source(source)


@given(SOURCES, VERSIONS)
def test_whatever_is_hard_is_pinned_to_one_version_or_commit(source: str, version: str | None) -> None:
    pin = pin_of(source, version, folder="stacks/de")
    assert pin.firmness is FIRMNESS_OF[pin.reason]
    if pin.firmness is not Firmness.HARD:
        assert pin.reason not in {Reason.COMMIT, Reason.VERSION_TAG, Reason.EXACT_VERSION}
        return
    assert pin.pinned_to
    match pin.reason:
        case Reason.COMMIT:
            assert re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", pin.pinned_to)
        case Reason.VERSION_TAG | Reason.EXACT_VERSION:
            assert version_of(pin) is not None
        case Reason.CHECKSUM | Reason.OBJECT_VERSION:
            assert module_of(pin) is not None
        case _:
            pytest.fail(f"no such reason is hard: {pin.reason}")


@given(st.one_of(FULL, FULL.map("v{}".format), st.builds("{}-rc.{}".format, FULL, NUMBERS)), WORDS)
def test_a_full_version_is_hard_after_any_modules_name(version: str, module: str) -> None:
    if module in {"release", "hotfix", "feature", "bugfix", "support", "releases", "v"}:
        return
    for ref in (version, f"{module}/{version}", f"{module}-{version}", f"refs/tags/{module}/{version}"):
        assert pin_of(f"git::https://example.com/modules?ref={ref}", None).reason is Reason.VERSION_TAG, ref


@given(FULL, st.sampled_from(["~> {}", ">= {}", "> {}", "< {}", "<= {}", "!= {}", ">= {}, < 100.0.0"]))
def test_a_range_is_never_hard(version: str, constraint: str) -> None:
    assert pin_of("hashicorp/consul/aws", constraint.format(version)).firmness is Firmness.FLOATING


@given(FULL, st.lists(st.sampled_from(["~> 0.0", ">= 0.0.0", "< 200.0.0", "!= 150.0.0"]), max_size=3))
def test_one_version_stays_one_whatever_else_it_must_fit(version: str, others: list[str]) -> None:
    found = read_constraint(", ".join([version, *others]))
    assert found is not None
    expected = parse_version(version)
    assert (found.allowed, found.version) in {(Allowed.ONE, expected), (Allowed.NONE, None)}


@given(st.lists(st.builds("{}.{}.{}-rc.{}".format, NUMBERS, NUMBERS, NUMBERS, NUMBERS) | FULL, min_size=2, max_size=6))
def test_versions_are_in_one_order(texts: list[str]) -> None:
    versions = [version for text in texts if (version := parse_version(text))]
    assert len(versions) == len(texts)
    for one, other in itertools.pairwise(sorted(versions)):
        assert one < other or one == other
        assert not other < one
    for version in versions:
        assert parse_version(str(version)) == version


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.2.3-rc.1", "1.2.3"),
        ("1.2.3-rc.2", "1.2.3-rc.10"),
        ("1.2.3-1", "1.2.3-rc"),
        ("1.2.3", "1.2.3.1"),
        ("1.9.0", "1.10.0"),
        ("0.10.2", "1"),
    ],
)
def test_a_version_comes_before_the_next(lower: str, higher: str) -> None:
    one, other = parse_version(lower), parse_version(higher)
    assert one
    assert other
    assert one < other


@pytest.mark.parametrize(
    ("one", "other"), [("1.2", "1.2.0"), ("v1.2.3", "1.2.3"), ("1.2.3+a", "1.2.3+b"), ("1.2.3.0", "1.2.3")]
)
def test_two_spellings_of_a_version_are_one(one: str, other: str) -> None:
    assert parse_version(one) == parse_version(other)
    assert hash(parse_version(one)) == hash(parse_version(other))


@pytest.mark.parametrize(
    "source",
    [
        "git::https://dev.azure.com/contoso/platform/_git/modules?ref=v1.0.0",
        "git::https://contoso@dev.azure.com/contoso/platform/_git/modules?ref=v1.0.0",
        "git::https://contoso.visualstudio.com/platform/_git/modules?ref=v1.0.0",
        "git::git@ssh.dev.azure.com:v3/contoso/platform/modules?ref=v1.0.0",
        "git::ssh://git@ssh.dev.azure.com/v3/contoso/platform/modules?ref=v1.0.0",
    ],
)
def test_a_repository_has_one_name_however_it_is_reached(source: str) -> None:
    parsed = parse_source(source)
    assert isinstance(parsed, PackageSource)
    assert (parsed.scheme, parsed.host, parsed.path) == (Scheme.GIT, "dev.azure.com", "contoso/platform/_git/modules")


def test_no_argument_of_an_address_is_in_its_representation() -> None:
    pin = pin_of("git::ssh://git@example.com/x.git?ref=v1.0.0&sshkey=c2VjcmV0", None)
    assert "c2VjcmV0" not in repr(pin)
    assert isinstance(pin.source, PackageSource)
    assert pin.source.argument("sshkey") == "c2VjcmV0"


@given(st.text(max_size=30))
def test_a_ref_is_read_without_an_error(ref: str) -> None:
    name = read_ref(ref)
    assert (name.version is not None) or name.kind is not RefKind.VERSION
