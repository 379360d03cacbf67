"""What Terraform gets of this process's environment: what it needs by name.

How its backend signs in, the cloud's name and whether to snapshot come from ARM_* variables, and are those of whoever plans.

Sources: hashicorp/terraform ``website/docs/cli/config/environment-variables.mdx`` and
``internal/backend/remote-state/azure/backend.go``; the azurerm provider's guides on authentication; OpenTofu's
``website/docs/cli/config/environment-variables.mdx``.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from records.errors import SettingsError

CLI_CONFIG_FILE: Final = "TF_CLI_CONFIG_FILE"

_FAMILIES: Final = ("ARM_", "TF_VAR_", "TF_TOKEN_", "TF_REGISTRY_")
"""The azurerm provider and backend; variables of root modules; credentials for, and patience with, registries of providers."""
_OF_THE_PLATFORM: Final = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "MSI_SECRET")
"""The managed identities of an app in Functions, App Service and Container Apps."""
_NAMES: Final = frozenset(
    {
        "PATH",
        "TF_APPEND_USER_AGENT",
        "TF_ENCRYPTION",  # OpenTofu: without its keys an encrypted state cannot be read
        # Federated identities: workload identity, GitHub, Azure DevOps.
        "AZURE_AUTHORITY_HOST", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_TENANT_ID",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "SYSTEM_ACCESSTOKEN", "SYSTEM_OIDCREQUESTURI",
        *_OF_THE_PLATFORM,
        # Go's net/http and crypto/x509, and the Azure CLI's requests.
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    }
)  # fmt: skip
_NEVER: Final = (
    "TF_LOG", "TF_PROVIDER_LOG", "TF_SDK_LOG", "TF_ACC",  # logs of requests and states, in clear, into a file or stderr
    "TF_CLI_ARGS",  # another command than the one that is written here: -target, -refresh=false, -lock=false
    "TF_DATA_DIR",  # credentials of the backend outside the private folder, and two plans in one
    "TF_REATTACH_PROVIDERS", "TF_DISABLE_PLUGIN_TLS", "TF_SKIP_PROVIDER_VERIFY",  # providers nobody has checked
    "TF_PLUGIN_CACHE", "TF_WORKSPACE", "TF_INPUT", "TF_IN_AUTOMATION", "CHECKPOINT_DISABLE", "HOME", "TMPDIR",  # ours
    "APPLICATIONINSIGHTS_", "AZUREWEBJOBS", "ESTATE_", "RESULTS_", "WEBSITE_", "AZURE_STORAGE_",  # the app's own
)  # fmt: skip
_SECRET_WORDS: Final = ("SECRET", "KEY", "TOKEN", "PASSWORD", "CERTIFICATE", "HEADER", "ENCRYPTION")
_SHORTEST_SECRET: Final = 4
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def terraform_environment(
    own: Mapping[str, str],
    *,
    home: Path,
    temporary: Path,
    plugin_cache: Path,
    workspace: str | None = None,
    subscription_id: str | None = None,
    also: Iterable[str] = (),
    sign_in: Mapping[str, str] = _NOTHING,
) -> dict[str, str]:
    """The environment of one Terraform; ``own`` is this process's.

    ``home`` and ``temporary`` take what Terraform, providers and the Azure CLI write outside their folder. ``also`` names
    further variables that go through, such as another provider's credentials. With a ``sign_in`` there is no other way to
    the app's managed identities: what the platform says of them stays here.

    Raises:
        SettingsError: a name in ``also`` that must not go through.
    """
    names = frozenset(also)
    refused = sorted(name for name in names if name.upper().startswith(_NEVER))
    if refused:
        raise SettingsError(f"{', '.join(refused)}: Terraform must not see this variable. Take it off the list.")
    passed = {
        name: value for name, value in own.items() if name in _NAMES or name in names or name.startswith(_FAMILIES)
    }
    passed |= _of_the_user(own)
    if sign_in:
        passed = {name: value for name, value in passed.items() if name not in _OF_THE_PLATFORM} | dict(sign_in)
    if subscription_id is not None:
        passed["ARM_SUBSCRIPTION_ID"] = subscription_id
    if workspace is not None:
        passed["TF_WORKSPACE"] = workspace
    return passed | {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "TF_PLUGIN_CACHE_DIR": str(plugin_cache),
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
        "CHECKPOINT_DISABLE": "1",
    }


def _of_the_user(own: Mapping[str, str]) -> dict[str, str]:
    """What is found through HOME otherwise: where providers come from, and the sign-in of `az login`."""
    home = own.get("HOME")
    found = {}
    if config := own.get(CLI_CONFIG_FILE):
        found[CLI_CONFIG_FILE] = str(Path(config).absolute())
    elif home and Path(home, ".terraformrc").is_file():
        found[CLI_CONFIG_FILE] = str(Path(home, ".terraformrc"))
    if folder := own.get("AZURE_CONFIG_DIR"):
        found["AZURE_CONFIG_DIR"] = str(Path(folder).absolute())
    elif home and Path(home, ".azure").is_dir():
        found["AZURE_CONFIG_DIR"] = str(Path(home, ".azure"))
    return found


def secrets_of(environment: Mapping[str, str], *, also: Iterable[str] = ()) -> frozenset[str]:
    """The values that no message may hold: credentials, and every variable of a root module, whatever it is for.

    So are those that went through by their name, in ``also``: it is another provider's credentials that are put there, and
    nobody knows what those are called.
    """
    named = frozenset(also)
    return frozenset(
        value
        for name, value in environment.items()
        if len(value) >= _SHORTEST_SECRET
        and name not in {CLI_CONFIG_FILE, "PATH"}
        and (
            name in named
            or name.startswith("TF_VAR_")
            or any(word in name.upper() for word in _SECRET_WORDS)
            or _has_a_password(value)
        )
    )


def _has_a_password(value: str) -> bool:
    """As in ``http://user:password@proxy:3128``."""
    return "://" in value and "@" in value.partition("://")[2].partition("/")[0]


def own_environment() -> Mapping[str, str]:
    """This process's, as it is now."""
    return dict(os.environ)
