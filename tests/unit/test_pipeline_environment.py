"""What a run of a pipeline says of itself, from the variables that its service documents."""

import getpass
import socket
from dataclasses import FrozenInstanceError

import pytest

from adapters.pipeline_environment import (
    MOST_TEXT_CHARACTERS,
    Pipeline,
    PipelineKind,
    current_pipeline,
    current_user,
    read_pipeline,
)
from records.errors import SettingsError
from records.tracker import TrackerRecord

AZURE_DEVOPS = {
    "TF_BUILD": "True",
    "BUILD_BUILDNUMBER": "20261123.4",
    "BUILD_BUILDID": "81234",
    "BUILD_SOURCEVERSION": "4f1c0de5b2a94c0b8d1f4b7a9b6d5e3c2a1f0e9d",
    "BUILD_SOURCEBRANCH": "refs/heads/main",
    "BUILD_REQUESTEDFOR": "Alice Example",
    "BUILD_REQUESTEDFOREMAIL": "alice@example.com",
    "SYSTEM_COLLECTIONURI": "https://dev.azure.com/contoso/",
    "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/contoso/",
    "SYSTEM_TEAMPROJECT": "Landing Zones",
    "ARM_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001",
}
CLASSIC_RELEASE = AZURE_DEVOPS | {
    "RELEASE_RELEASENAME": "Release-47",
    "RELEASE_RELEASEWEBURL": "https://dev.azure.com/contoso/f3325c6c/_release?releaseId=392&_a=release-summary",
    "RELEASE_REQUESTEDFOREMAIL": "mateo@example.com",
    "RELEASE_DEPLOYMENT_REQUESTEDFOR": "Bob Example",
}
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_RUN_ID": "1658821493",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "contoso/landing-zones",
    "GITHUB_SHA": "ffac537e6cbbf934b08745a378932722df287a53",
    "GITHUB_REF_TYPE": "branch",
    "GITHUB_REF_NAME": "main",
    "GITHUB_ACTOR": "alice",
    "GITHUB_TRIGGERING_ACTOR": "bob",
    "ARM_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001",
}


def test_a_run_of_azure_devops_says_what_a_tracker_needs() -> None:
    assert read_pipeline(AZURE_DEVOPS) == Pipeline(
        kind=PipelineKind.AZURE_DEVOPS,
        release=None,
        commit="4f1c0de5b2a94c0b8d1f4b7a9b6d5e3c2a1f0e9d",
        run_id="20261123.4",
        run_url="https://dev.azure.com/contoso/Landing%20Zones/_build/results?buildId=81234",
        by="alice@example.com",
        subscription_id="00000000-0000-0000-0000-000000000001",
    )


def test_a_run_of_github_says_what_a_tracker_needs() -> None:
    assert read_pipeline(GITHUB) == Pipeline(
        kind=PipelineKind.GITHUB_ACTIONS,
        release=None,
        commit="ffac537e6cbbf934b08745a378932722df287a53",
        run_id="1658821493.1",
        run_url="https://github.com/contoso/landing-zones/actions/runs/1658821493",
        by="bob",
        subscription_id="00000000-0000-0000-0000-000000000001",
    )


def test_a_classic_release_speaks_for_itself_and_not_for_its_artifact() -> None:
    pipeline = read_pipeline(CLASSIC_RELEASE)
    assert (pipeline.release, pipeline.run_id, pipeline.by) == ("Release-47", "Release-47", "Bob Example")
    assert pipeline.run_url == CLASSIC_RELEASE["RELEASE_RELEASEWEBURL"]
    assert pipeline.commit == AZURE_DEVOPS["BUILD_SOURCEVERSION"]


@pytest.mark.parametrize(
    ("environ", "release"),
    [
        pytest.param(
            AZURE_DEVOPS | {"BUILD_SOURCEBRANCH": "refs/tags/2026.11.3"}, "2026.11.3", id="azure devops, a tag"
        ),
        pytest.param(
            CLASSIC_RELEASE | {"BUILD_SOURCEBRANCH": "refs/tags/v1/a"}, "v1/a", id="the tag before a release's name"
        ),
        pytest.param(
            AZURE_DEVOPS | {"BUILD_SOURCEBRANCH": "refs/pull/1/merge"}, None, id="azure devops, a pull request"
        ),
        pytest.param(AZURE_DEVOPS | {"BUILD_SOURCEBRANCH": "refs/heads/" + "x" * 300}, None, id="a long branch"),
        pytest.param(AZURE_DEVOPS | {"BUILD_SOURCEBRANCH": "refs/tags/"}, None, id="a tag without a name"),
        pytest.param(GITHUB | {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1.2"}, "v1.2", id="github, a tag"),
        pytest.param(GITHUB | {"GITHUB_REF_NAME": "v1.2"}, None, id="a branch that is named like a tag"),
        pytest.param({"TF_BUILD": "True"}, None, id="nothing said"),
    ],
)
def test_the_release_is_the_tag(environ: dict[str, str], release: str | None) -> None:
    assert read_pipeline(environ).release == release


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({}, PipelineKind.NONE),
        ({"TF_BUILD": "", "GITHUB_ACTIONS": ""}, PipelineKind.NONE),
        ({"TF_BUILD": "False"}, PipelineKind.NONE),
        ({"TF_BUILD": "true"}, PipelineKind.AZURE_DEVOPS),
        ({"GITHUB_ACTIONS": "true"}, PipelineKind.GITHUB_ACTIONS),
        ({"TF_BUILD": "True", "GITHUB_ACTIONS": "true"}, PipelineKind.AZURE_DEVOPS),
    ],
)
def test_the_service_is_told_by_its_own_flag(environ: dict[str, str], kind: PipelineKind) -> None:
    assert read_pipeline(environ) == Pipeline(kind=kind)


def test_at_a_desk_the_environment_says_nothing() -> None:
    assert read_pipeline(AZURE_DEVOPS | GITHUB | {"TF_BUILD": "", "GITHUB_ACTIONS": ""}) == Pipeline(
        kind=PipelineKind.NONE
    )


@pytest.mark.parametrize("absent", ["", "  \t", "$(Build.BuildNumber)", " $(Build.BuildNumber) ", "$()"])
def test_empty_and_unexpanded_are_absent(absent: str) -> None:
    assert read_pipeline(AZURE_DEVOPS | {"BUILD_BUILDNUMBER": absent}).run_id == "81234"
    assert read_pipeline(AZURE_DEVOPS | {"ARM_SUBSCRIPTION_ID": absent}).subscription_id is None


def test_values_are_trimmed() -> None:
    assert read_pipeline(AZURE_DEVOPS | {"BUILD_SOURCEVERSION": " abc\n"}).commit == "abc"


@pytest.mark.parametrize(
    "missing", ["SYSTEM_TEAMPROJECT", "BUILD_BUILDID"], ids=["without its project", "without its id"]
)
def test_no_url_is_better_than_half_of_one_in_azure_devops(missing: str) -> None:
    assert read_pipeline(AZURE_DEVOPS | {missing: ""}).run_url is None


@pytest.mark.parametrize("missing", ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"])
def test_no_url_is_better_than_half_of_one_in_github(missing: str) -> None:
    assert read_pipeline(GITHUB | {missing: ""}).run_url is None


def test_an_older_server_names_its_collection_otherwise() -> None:
    environ = AZURE_DEVOPS | {
        "SYSTEM_COLLECTIONURI": "",
        "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://tfs.example.com/tfs/Default Collection/",
        "SYSTEM_TEAMPROJECT": "Zonen/Süd",
    }
    expected = "https://tfs.example.com/tfs/Default Collection/Zonen%2FS%C3%BCd/_build/results?buildId=81234"
    assert read_pipeline(environ).run_url == expected


@pytest.mark.parametrize(
    ("attempt", "run_id", "end"),
    [("", "1658821493", "/1658821493"), ("3", "1658821493.3", "/1658821493/attempts/3")],
    ids=["no attempt said", "run again"],
)
def test_an_attempt_is_a_run_of_its_own(attempt: str, run_id: str, end: str) -> None:
    pipeline = read_pipeline(GITHUB | {"GITHUB_RUN_ATTEMPT": attempt})
    assert pipeline.run_id == run_id
    assert pipeline.run_url
    assert pipeline.run_url.endswith(end)


@pytest.mark.parametrize(
    ("changed", "by"),
    [
        pytest.param({"BUILD_REQUESTEDFOREMAIL": ""}, "Alice Example", id="a name where there is no address"),
        pytest.param({"BUILD_REQUESTEDFOREMAIL": "", "BUILD_REQUESTEDFOR": ""}, None, id="neither"),
        pytest.param(
            {"BUILD_REQUESTEDFOREMAIL": "", "BUILD_REQUESTEDFOR": "Zoë\N{NO-BREAK SPACE}van\N{NO-BREAK SPACE}Dijk"},
            "Zoë\N{NO-BREAK SPACE}van\N{NO-BREAK SPACE}Dijk",
            id="a name with no-break spaces",
        ),
    ],
)
def test_who_started_a_run_of_azure_devops(changed: dict[str, str], by: str | None) -> None:
    assert read_pipeline(AZURE_DEVOPS | changed).by == by


def test_who_started_a_run_of_an_older_github_server() -> None:
    assert read_pipeline(GITHUB | {"GITHUB_TRIGGERING_ACTOR": ""}).by == "alice"


@pytest.mark.parametrize(
    ("base", "name", "value"),
    [
        pytest.param(AZURE_DEVOPS, "BUILD_BUILDNUMBER", "x" * 257, id="a number that is too long"),
        pytest.param(AZURE_DEVOPS, "BUILD_REQUESTEDFOR", "Ali\x1b[31mce", id="a control character in a name"),
        pytest.param(AZURE_DEVOPS, "BUILD_SOURCEBRANCH", "refs/tags/" + "x" * 257, id="a tag that is too long"),
        pytest.param(AZURE_DEVOPS, "SYSTEM_COLLECTIONURI", "https://" + "x" * 2041, id="an address that is too long"),
        pytest.param(AZURE_DEVOPS, "SYSTEM_TEAMPROJECT", "ü" * 256, id="a project that grows when it is escaped"),
        pytest.param(GITHUB, "GITHUB_SHA", "a\nb", id="two lines"),
        pytest.param(GITHUB, "GITHUB_ACTOR", "a\udcffb", id="bytes that are not UTF-8"),
        pytest.param(GITHUB, "GITHUB_SERVER_URL", "https://" + "x" * 2030, id="a server that leaves no room"),
        pytest.param(GITHUB, "ARM_SUBSCRIPTION_ID", "0" * 300, id="a subscription that is too long"),
    ],
)
def test_what_no_tracker_takes_is_an_error_that_names_the_variable(base: dict[str, str], name: str, value: str) -> None:
    quiet = {"BUILD_REQUESTEDFOREMAIL": "", "GITHUB_TRIGGERING_ACTOR": ""}
    if name == "SYSTEM_TEAMPROJECT":
        quiet["SYSTEM_COLLECTIONURI"] = "https://" + "x" * 600
    with pytest.raises(SettingsError, match=name) as caught:
        read_pipeline(base | quiet | {name: value})
    assert value not in str(caught.value)


@pytest.mark.parametrize("environ", [AZURE_DEVOPS, CLASSIC_RELEASE, GITHUB], ids=["azure devops", "classic", "github"])
def test_a_tracker_takes_all_of_it(environ: dict[str, str]) -> None:
    pipeline = read_pipeline(environ)
    record = TrackerRecord(
        schema_version=1,
        market="de",
        stack="network",
        subscription_id=pipeline.subscription_id,
        release=pipeline.release,
        commit=pipeline.commit,
        run_id=pipeline.run_id,
        run_url=pipeline.run_url,
        deployed_by=pipeline.by,
    )
    assert record.commit == pipeline.commit


def test_a_run_id_of_two_parts_fits_too() -> None:
    with pytest.raises(SettingsError, match="GITHUB_RUN_ID"):
        read_pipeline(GITHUB | {"GITHUB_RUN_ID": "1" * 256, "GITHUB_RUN_ATTEMPT": "2" * 10})


def test_the_current_pipeline_is_read_from_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (AZURE_DEVOPS | {"GITHUB_ACTIONS": ""}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BUILD_BUILDNUMBER", "7")
    assert current_pipeline().run_id == "7"


def test_a_person_is_named_by_account_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ali\x1bce")
    monkeypatch.setattr(socket, "gethostname", lambda: "h" * 400)
    assert current_user() == ("alice@" + "h" * 400)[:MOST_TEXT_CHARACTERS]


def test_an_account_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", nobody)
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    assert current_user() == "unknown@box"


def test_a_pipeline_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        read_pipeline({}).run_id = "1"  # type: ignore[misc]
