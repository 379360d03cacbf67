"""What a deploy pipeline says of its run in the environment: Azure DevOps' and GitHub Actions' predefined variables.

Sources: Azure Pipelines
https://learn.microsoft.com/azure/devops/pipelines/build/variables and, for classic releases,
https://learn.microsoft.com/azure/devops/pipelines/release/variables; GitHub Actions
https://docs.github.com/actions/reference/workflows-and-actions/variables.
"""

import getpass
import os
import re
import socket
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from posixpath import normpath
from typing import Final
from urllib.parse import quote

from adapters.terraform_json import DATA_FOLDER
from records.errors import SettingsError

MOST_TEXT_CHARACTERS: Final = 256
MOST_URL_CHARACTERS: Final = 2048
"""What a tracker takes (``records/tracker.py``)."""

_TAG_PREFIX: Final = "refs/tags/"
_UNEXPANDED_MACRO: Final = re.compile(r"\$\([^()]*\)")
_UNKNOWN: Final = "unknown"
_REMEDY: Final = "unset it for this command and give its option"
_NOT_TEXT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters, bytes that are not UTF-8, and separators of lines. No-break spaces and joiners
are part of people's names."""


class PipelineKind(StrEnum):
    """The service that the run is of; ``none`` at a desk."""

    AZURE_DEVOPS = "azure_devops"
    GITHUB_ACTIONS = "github_actions"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What the run says of itself. None: the environment does not say.

    ``release`` is the tag that is deployed, or a classic release's name; ``run_id`` what the service's own pages call the run,
    with spaces where its number's format has them; ``by`` who started it: an e-mail address, a name or an account.
    """

    kind: PipelineKind
    release: str | None = None
    commit: str | None = None
    run_id: str | None = None
    run_url: str | None = None
    by: str | None = None
    subscription_id: str | None = None


def current_pipeline() -> Pipeline:
    """The run that this process is part of.

    Raises:
        SettingsError: as `read_pipeline` does.
    """
    return read_pipeline(os.environ)


def current_workspace() -> str | None:
    """The workspace that TF_WORKSPACE has Terraform use, whatever is selected in the folder.

    Raises:
        SettingsError: TF_DATA_DIR has Terraform keep its modules and backend elsewhere, where nothing here looks.
    """
    if normpath(os.environ.get("TF_DATA_DIR") or DATA_FOLDER) != DATA_FOLDER:
        raise SettingsError(
            f"TF_DATA_DIR is set: run `terraform init` without it, so that {DATA_FOLDER} is in the folder"
        )
    return os.environ.get("TF_WORKSPACE") or None


def current_user() -> str:
    """Who runs a command by hand, as ``account@host``: what the machine says, for information and never for a decision."""
    try:
        account = getpass.getuser()
    except (KeyError, ImportError, OSError):
        # No such variable, and the user id has no name: a container, or Windows.
        account = _UNKNOWN
    shown = "".join(character for character in f"{account}@{socket.gethostname()}" if character.isprintable())
    return shown[:MOST_TEXT_CHARACTERS]


def read_pipeline(environ: Mapping[str, str]) -> Pipeline:
    """The run that these variables describe.

    A variable that is empty, or that holds a macro of Azure DevOps that was never expanded (``$(Build.BuildId)``), is absent.

    Raises:
        SettingsError: a value that no tracker can take, named by its variable; never with the value.
    """
    variables = _Variables(environ)
    if variables.flag("TF_BUILD"):
        return _azure_devops(variables)
    if variables.flag("GITHUB_ACTIONS"):
        return _github_actions(variables)
    return Pipeline(kind=PipelineKind.NONE)


class _Variables:
    """The environment's variables, trimmed and checked when they are asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def flag(self, name: str) -> bool:
        """Whether it is ``True``, as Azure DevOps writes it, or ``true``, as GitHub does."""
        return self._environ.get(name, "").strip().casefold() == "true"

    def text(self, *names: str) -> str | None:
        """The first of these that says something."""
        return next((text for name in names if (text := self._one(name)) is not None), None)

    def long_text(self, name: str) -> str | None:
        """A URL, or a reference of which a part is kept."""
        return self._one(name, most=MOST_URL_CHARACTERS)

    def _one(self, name: str, *, most: int = MOST_TEXT_CHARACTERS) -> str | None:
        text = self._environ.get(name, "").strip()
        if not text or _UNEXPANDED_MACRO.fullmatch(text):
            return None
        if any(unicodedata.category(character) in _NOT_TEXT for character in text):
            raise SettingsError(f"{name}: holds a control character, which no record takes; {_REMEDY}")
        _check_length(text, most, name)
        return text


def _check_length(text: str, most: int, names: str) -> None:
    if len(text) > most:
        raise SettingsError(f"{names}: longer than the {most} characters that a record takes; {_REMEDY}")


def _azure_devops(variables: _Variables) -> Pipeline:
    """In a classic release the variables of the build are those of its primary artifact, so the release's go before."""
    tag = _tag_of(variables.long_text("BUILD_SOURCEBRANCH"))
    return Pipeline(
        kind=PipelineKind.AZURE_DEVOPS,
        release=tag or variables.text("RELEASE_RELEASENAME"),
        commit=variables.text("BUILD_SOURCEVERSION"),
        run_id=variables.text("RELEASE_RELEASENAME", "BUILD_BUILDNUMBER", "BUILD_BUILDID"),
        run_url=variables.long_text("RELEASE_RELEASEWEBURL") or _build_url(variables),
        by=variables.text(
            "RELEASE_DEPLOYMENT_REQUESTEDFOR",
            "RELEASE_REQUESTEDFOREMAIL",
            "RELEASE_REQUESTEDFOR",
            "BUILD_REQUESTEDFOREMAIL",
            "BUILD_REQUESTEDFOR",
        ),
        subscription_id=variables.text("ARM_SUBSCRIPTION_ID"),
    )


def _build_url(variables: _Variables) -> str | None:
    collection = variables.long_text("SYSTEM_COLLECTIONURI") or variables.long_text(
        "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI"
    )
    project = variables.text("SYSTEM_TEAMPROJECT")
    build = variables.text("BUILD_BUILDID")
    if collection is None or project is None or build is None:
        return None
    url = f"{collection.rstrip('/')}/{quote(project, safe='')}/_build/results?buildId={quote(build, safe='')}"
    _check_length(url, MOST_URL_CHARACTERS, "SYSTEM_COLLECTIONURI, SYSTEM_TEAMPROJECT and BUILD_BUILDID")
    return url


def _github_actions(variables: _Variables) -> Pipeline:
    """``GITHUB_SHA`` of a ``pull_request`` is GitHub's trial merge, which no branch holds: that is what was checked out."""
    run, attempt = variables.text("GITHUB_RUN_ID"), variables.text("GITHUB_RUN_ATTEMPT")
    is_of_a_tag = variables.text("GITHUB_REF_TYPE") == "tag"
    return Pipeline(
        kind=PipelineKind.GITHUB_ACTIONS,
        release=variables.text("GITHUB_REF_NAME") if is_of_a_tag else None,
        commit=variables.text("GITHUB_SHA"),
        run_id=_attempt_id(run, attempt),
        run_url=_workflow_run_url(variables, run, attempt),
        by=variables.text("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"),
        subscription_id=variables.text("ARM_SUBSCRIPTION_ID"),
    )


def _attempt_id(run: str | None, attempt: str | None) -> str | None:
    if run is None or attempt is None:
        return run
    _check_length(f"{run}.{attempt}", MOST_TEXT_CHARACTERS, "GITHUB_RUN_ID and GITHUB_RUN_ATTEMPT")
    return f"{run}.{attempt}"


def _workflow_run_url(variables: _Variables, run: str | None, attempt: str | None) -> str | None:
    """The documented address of the run; that of the attempt where it was run again."""
    server, repository = variables.long_text("GITHUB_SERVER_URL"), variables.text("GITHUB_REPOSITORY")
    if server is None or repository is None or run is None:
        return None
    url = f"{server.rstrip('/')}/{quote(repository)}/actions/runs/{quote(run, safe='')}"
    if attempt is not None and attempt != "1":
        url = f"{url}/attempts/{quote(attempt, safe='')}"
    _check_length(url, MOST_URL_CHARACTERS, "GITHUB_SERVER_URL, GITHUB_REPOSITORY and GITHUB_RUN_ID")
    return url


def _tag_of(reference: str | None) -> str | None:
    if reference is None or not reference.startswith(_TAG_PREFIX):
        return None
    tag = reference.removeprefix(_TAG_PREFIX)
    _check_length(tag, MOST_TEXT_CHARACTERS, "BUILD_SOURCEBRANCH")
    return tag or None
