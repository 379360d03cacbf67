"""Laws of module pins that hold for any text."""

import io
import itertools
import re
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from pins.address import PackageSource, Scheme, parse_source
from pins.audit import Audit, audit
from pins.calls import call_as_deployed, calls_of
from pins.configuration import Argument, Block, BlockKind, Configuration, ConfigurationFile, Origin
from pins.constraints import Allowed, read_constraint
from pins.firmness import FIRMNESS_OF, Firmness, Reason, pin_of
from pins.modules import module_of, version_of
from pins.moved import TagTally
from pins.render.json import render_json
from pins.render.markdown import render_markdown
from pins.render.sarif import render_sarif
from pins.render.terminal import render_terminal
from pins.versions import RefKind, parse_version, read_ref
from reconcile.module_pins import PinTally
from records.errors import ModuleSourceError
from records.module_sources import masked_source
from records.modules import DeployedModule

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


SECRET = "S3cr3t"
HOSTS = st.sampled_from(
    ["github.com", "dev.azure.com", "example.com:8443", "contoso.visualstudio.com", "www.googleapis.com"]
)
GETTERS = st.sampled_from(["", "git::", "hg::", "s3::", "gcs::", "oci::", "http::", "git::git::", "GIT::"])
SCHEMES = st.sampled_from(
    [
        "https://",
        "http://",
        "ssh://",
        "git://",
        "s3://",
        "oci://",
        "HTTPS://",
        "https:",
        "https:/",
        "https:///",
        "https:\\",
        "",
    ]
)
NEAR = st.text("ab1/@:%?#&=.\\-_é", max_size=4)
REPOSITORIES = st.sampled_from(
    ["contoso/modules", "contoso/platform/_git/modules", "x.zip", "contoso/modules.git//keyvault"]
)
AS_A_USER = st.builds("{}{}{}@{}/{}?ref=kv/v1.2.3".format, NEAR, st.just(SECRET), NEAR, HOSTS, REPOSITORIES)
AS_A_PASSWORD = st.builds("user:{}{}{}@{}/{}?ref=v1.2.3".format, NEAR, st.just(SECRET), NEAR, HOSTS, REPOSITORIES)
OF_GIT = st.builds("git:{}@{}/{}?ref=v1.2.3".format, st.just(SECRET), HOSTS, REPOSITORIES)
AS_AN_SCP_USER = st.builds("{}@{}:{}?ref=v1.2.3".format, st.just(SECRET), HOSTS, REPOSITORIES)
AS_A_PORT = st.builds("user:{}/{}".format, st.just(SECRET), REPOSITORIES)
BEHIND = st.sampled_from(
    [
        f"#{SECRET}",
        f"?ref=v1.2.3#{SECRET}",
        f"#{SECRET}?ref=v1.2.3",
        f"?{SECRET}",
        f"?{SECRET}==",
        f"?sshkey={SECRET}",
        f"?ref=v1.2.3&sshkey={SECRET}&depth=1",
        f"?sv=2024&sig={SECRET}%3D",
        f"?ref=kv/v1.2.3;token={SECRET}",
        f"?ref=token={SECRET}/v1.2.3",
        f"?ref=kv/v1.2.3%3Btoken%3D{SECRET}",
        f"?ref=kv/v1.2.3%253Btoken%253D{SECRET}",
        f"?ref=v1.2.3?token={SECRET}",
        f"?ref=user:{SECRET}@v1.2.3",
        f"?rev=v1.2.3;{SECRET}",
        f"?tag=1.2.3;token={SECRET}",
        f"?checksum=file:https://user:{SECRET}@example.com/sums",
        f"?ref=v1.2.3&ref=;{SECRET}",
        f"?REF={SECRET}",
    ]
)
AFTERWARDS = st.builds("{}/{}{}".format, HOSTS, REPOSITORIES, BEHIND)
PLANTED = st.one_of(
    st.builds("".join, st.tuples(GETTERS, SCHEMES, st.one_of(AS_A_USER, AS_A_PASSWORD, OF_GIT, AFTERWARDS))),
    st.builds("".join, st.tuples(GETTERS, AS_AN_SCP_USER)),
    st.builds("git::https://{}".format, AS_A_PORT),
    st.builds(
        "{}?ref={}".format,
        st.sampled_from(["https://example.com/x.zip", "http::https://example.com/x"]),
        st.just(SECRET),
    ),
    st.builds("git::http://example.com//user:{}@{}".format, st.just(SECRET), HOSTS),
)


def on_a_terminal(found: Audit) -> str:
    console = Console(file=io.StringIO(), width=1_000)
    console.print(render_terminal(found))
    told = console.file
    assert isinstance(told, io.StringIO)
    return told.getvalue()


def in_the_daily_report(source: str) -> str:
    """What the report, the table and the telemetry take what they tell from."""
    tally = PinTally()
    for market, commit in (("de", "a" * 40), ("fr", "b" * 40)):
        tally.add([DeployedModule(market=market, stack="s", name="kv", source=source, commit=commit)])
    return tally.summary().model_dump_json()


@given(PLANTED, st.booleans())
@example(f"git::https://user:pa/{SECRET}@h/r?ref=v1.0.0", False)
@example(f"user:{SECRET}@github.com/o/r", False)
@example(f"https:user:{SECRET}@h/r", False)
@example(f"git::http://x//u:{SECRET}@h", False)
@example(f"git::https:/user:{SECRET}@h", True)
@example(f"git::ssh://ghp_{SECRET}@github.com/o/r", False)
@example(f"git::ghp_{SECRET}@github.com:o/r", True)
def test_no_secret_of_an_address_is_in_anything_that_is_told(source: str, is_deployed: bool) -> None:
    if is_deployed:
        call = call_as_deployed(DeployedModule(market="de", stack="network", name="kv", source=source, commit="a" * 40))
    else:
        block = Block(kind=BlockKind.MODULE, name="kv", line=1, source=Argument(source, 2))
        file = ConfigurationFile(origin=Origin.FOLDER, path="main.tf", folder=".", root="/r", blocks=(block,))
        (call,) = calls_of(Configuration(files=(file,)))
    found = audit(Configuration(), deployed=[call])
    tally = TagTally()
    tally.add([call, replace(call, commit="b" * 40)])
    told = [
        repr(call),
        repr(call.module),
        repr(found),
        repr(tally.moved()),
        call.version_in_use,
        "".join(render_json(found)),
        "".join(render_sarif(found)),
        "".join(render_markdown(found)),
        on_a_terminal(found),
        in_the_daily_report(source),
    ]
    assert not [text for text in told if SECRET in text]
    assert masked_source(call.source or "") == call.source


@given(SOURCES)
def test_a_source_that_is_masked_stays_as_it_is(source: str) -> None:
    assert masked_source(masked_source(source)) == masked_source(source)


@given(SOURCES | PLANTED)
@example("git::https://user:pa/ss@h/r?ref=v1.0.0")
def test_masking_makes_no_pin_firmer(source: str) -> None:
    try:
        parse_source(source)
    except ModuleSourceError:
        assert pin_of(source, None).reason is Reason.MALFORMED_SOURCE


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("gcs::https://www.googleapis.com/storage/v1/b/x.zip#1234", Reason.OBJECT_VERSION),
        (f"gcs::https://www.googleapis.com/storage/v1/b/x.zip#{SECRET}", Reason.ARCHIVE),
        ("oci://example.com/x?tag=1.2.3", Reason.VERSION_TAG),
        ("oci://example.com/x?digest=sha256:abcd", Reason.CHECKSUM),
        ("s3::https://s3.amazonaws.com/b/x.zip?version=a.b_c-1", Reason.OBJECT_VERSION),
        (f"https://example.com/x.zip?checksum=a={SECRET}", Reason.ARCHIVE),
        (f"git::https://example.com/x?ref=kv/v1.2.3;token={SECRET}", Reason.BRANCH),
        ("git::https://example.com/x?ref=kv@v1.2.3", Reason.VERSION_TAG),
        ("git::https://example.com/x?ref=v1.2.3%2Bbuild", Reason.VERSION_TAG),
    ],
)
def test_what_is_masked_pins_nothing_and_what_is_not_still_does(source: str, reason: Reason) -> None:
    assert pin_of(source, None).reason is reason


@given(st.text(max_size=30))
def test_a_ref_is_read_without_an_error(ref: str) -> None:
    name = read_ref(ref)
    assert (name.version is not None) or name.kind is not RefKind.VERSION
