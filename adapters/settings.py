"""Every setting of trueup, read from the environment (docs/configuration.md)."""

from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from adapters.account_urls import host_of
from records.errors import SettingsError
from records.heals import HealMode

_PUBLIC_CLOUD_AND_SOVEREIGN: Final = (
    ".blob.core.windows.net",
    ".blob.storage.azure.net",
    ".blob.core.usgovcloudapi.net",
    ".blob.core.chinacloudapi.cn",
)
_NCRONTAB_FIELDS: Final = 6
_MIB: Final = 1024**2


def _comma_separated(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class Settings(BaseSettings):
    """Named as in the environment, in capitals. Times are in the unit that the name ends in."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    estate_account_url: str | None = Field(
        default=None, description="Blob endpoint of the estate's storage account; reached with an identity."
    )
    estate_connection_string: SecretStr | None = Field(
        default=None, description="Instead of the URL: a connection string, for Azurite."
    )
    results_account_url: str | None = Field(
        default=None,
        description="Table endpoint for results; by default the estate account's own.",
    )
    results_connection_string: SecretStr | None = Field(
        default=None, description="Instead of the URL: a connection string for the tables, for Azurite."
    )
    state_account_host_suffixes: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_separated)] = Field(
        default=_PUBLIC_CLOUD_AND_SOVEREIGN,
        description="Hosts that a registry record's account_url may end in; the identity is sent nowhere else.",
    )
    registry_container: str = Field(default="registry", description="Container of the registry records.")
    trackers_container: str = Field(default="trackers", description="Container of the version trackers.")
    states_container: str = Field(
        default="tfstate", description="Container of the states whose registry entry names no other."
    )
    bundles_container: str = Field(
        default="bundles",
        description="Container of the bundles; must be there before the first `trueup record --bundle`.",
    )
    bundle_max_mib: int = Field(
        default=64, ge=1, le=1024, description="Largest bundle, in MiB, that is made of a root module or read."
    )
    reports_container: str = Field(
        default="reports", description="Container of the reports; made where it is not there."
    )
    runbook_url: str | None = Field(
        default=None,
        pattern=r"^https://[^\s\"#<>]+$",
        description="Where this service's readers find docs/runbook.md: reports link to its sections.",
    )
    reconcile_schedule: str = Field(
        default="0 0 6 * * *", description="NCRONTAB of the daily run; in UTC, or in RECONCILE_TIME_ZONE."
    )
    reconcile_time_zone: str | None = Field(
        default=None, description="IANA time zone in which RECONCILE_SCHEDULE names a time of day."
    )
    fan_out_width: int = Field(default=16, ge=1, le=256, description="Markets reconciled side by side.")
    market_limit_seconds: int = Field(
        default=300,
        ge=1,
        le=3000,
        description="The service gives a market up after this long, and tries it again later.",
    )
    in_flight_minutes: int = Field(
        default=60, ge=1, description="A lock younger than this is a deploy that is running."
    )
    reread_delay_seconds: float = Field(
        default=3, ge=0, le=60, description="Wait before records that disagree are read once more."
    )
    retention_days: int = Field(
        default=400, ge=1, le=36_500, description="How long history rows and runs are kept; the latest stay for ever."
    )
    retry_total: int = Field(default=5, ge=0, le=20, description="Tries after the first, of each request.")
    retry_backoff_seconds: float = Field(
        default=0.8, gt=0, le=30, description="First wait between tries; doubles, to 30 s at most."
    )
    applicationinsights_connection_string: SecretStr | None = Field(
        default=None, description="Where telemetry goes; without it there is none."
    )
    python_applicationinsights_enable_telemetry: bool = Field(
        default=False,
        description="Whether Azure's Python worker configures the telemetry of the process; else trueup does.",
    )

    plan_check_schedule: str = Field(
        default="0 30 */4 * * *", description="NCRONTAB of the plan checks, in UTC; six fields."
    )
    plan_check_width: int = Field(
        default=8, ge=1, le=256, description="Stacks that the service checks side by side, over all its instances."
    )
    plans_per_instance: int = Field(
        default=2,
        ge=1,
        le=32,
        description="Plans side by side in one instance, or on a terminal; each can need 500 MB.",
    )
    plan_limit_seconds: int = Field(
        default=1500, ge=30, le=3300, description="A stack's check is given up after this long, from init to show."
    )
    plan_json_max_mib: int = Field(
        default=1024, ge=1, le=8192, description="Largest plan, in MiB of `terraform show -json`, that is read."
    )
    plan_work_folder: Path | None = Field(
        default=None,
        description="Where each plan's folder is made: a local disk, at most 45 bytes; else the temporary folder.",
    )
    tf_binary: str = Field(default="terraform", description="Terraform or OpenTofu: a name on the PATH, or a path.")
    tf_passed_variables: Annotated[tuple[str, ...] | None, NoDecode, BeforeValidator(_comma_separated)] = Field(
        default=None, description="Environment variables that Terraform may see beside those of the allow-list."
    )
    provider_folder: Path | None = Field(
        default=None, description="Providers, shared by all processes of one user; without it each plan has its own."
    )
    resource_graph: bool = Field(default=True, description="Whether Azure is asked who changed a resource.")
    config_container: str = Field(
        default="config",
        description="Container of the policy, blob `policy.yaml`; must be there, unless POLICY_FILE is set.",
    )
    policy_file: Path | None = Field(
        default=None, description="The policy where that blob is absent; one that cannot be read holds every heal."
    )
    heal_mode: HealMode | None = Field(
        default=None, description="How far trueup may go by itself; no policy goes further. Without it the policy says."
    )
    heal_max_resources: int = Field(
        default=10, ge=0, le=10_000, description="A heal of more resources is held, unless the policy says more."
    )
    heal_max_percent: int = Field(
        default=20, ge=0, le=100, description="The same of the stack's resources; 3 are always allowed."
    )
    breaker_count: int = Field(
        default=3, ge=1, le=1000, description="Heals of one drift within BREAKER_HOURS, after which it is held."
    )
    breaker_hours: int = Field(default=24, ge=1, le=24 * 366, description="How far back these are counted.")
    fleet_percent: int = Field(
        default=30, ge=0, le=100, description="Drift in more of the checked markets is an event of the platform."
    )
    heal_expires_minutes: int = Field(
        default=120, ge=1, le=10_080, description="A heal that no worker has begun by then is dropped."
    )
    lock_timeout_seconds: int = Field(
        default=120, ge=0, le=3600, description="How long a heal waits for Terraform's lock on a state."
    )
    locks_container: str = Field(
        default="locks", description="Container of the leases that heals take on stacks; made where it is not there."
    )
    queue_account_url: str | None = Field(
        default=None, description="Queue endpoint for heals; by default that of the results' account."
    )

    @property
    def bundle_max_bytes(self) -> int:
        return self.bundle_max_mib * _MIB

    @property
    def plan_json_max_bytes(self) -> int:
        return self.plan_json_max_mib * _MIB

    @field_validator("estate_account_url", "results_account_url", "queue_account_url")
    @classmethod
    def _plain_url(cls, url: str | None) -> str | None:
        if url is not None and host_of(url) is None:
            raise ValueError("must be a plain https URL such as https://contosotfestate.blob.core.windows.net")
        return url

    @field_validator("reconcile_schedule", "plan_check_schedule")
    @classmethod
    def _six_fields(cls, schedule: str) -> str:
        if len(schedule.split()) != _NCRONTAB_FIELDS:
            raise ValueError("must have the six fields of NCRONTAB, seconds first, such as 0 0 6 * * *")
        return schedule

    @field_validator("state_account_host_suffixes")
    @classmethod
    def _whole_domains(cls, suffixes: tuple[str, ...]) -> tuple[str, ...]:
        if any("." not in suffix.strip(".") for suffix in suffixes):
            raise ValueError("each must be a domain such as .blob.core.windows.net")
        return suffixes

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        for url, string, name in (
            (self.estate_account_url, self.estate_connection_string, "ESTATE"),
            (self.results_account_url, self.results_connection_string, "RESULTS"),
        ):
            if url and string:
                raise ValueError(f"set {name}_ACCOUNT_URL or {name}_CONNECTION_STRING, not both")
        return self


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: names each setting that is wrong, and why; never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, detail['loc'])).upper() or 'settings'}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise SettingsError("; ".join(wrong) + " (docs/configuration.md)") from None
