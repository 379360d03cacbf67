"""Where the Azure SDK's errors, its waiting and its identity end: what trueup makes of each."""

import asyncio
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import azure.core
import azure.data.tables
import azure.identity
import azure.storage.blob
import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    IncompleteReadError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ResourceNotModifiedError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
    TooManyRedirectsError,
)
from azure.core.pipeline import PipelineContext, PipelineResponse
from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables import TableErrorCode, TableTransactionError
from azure.identity import CredentialUnavailableError
from azure.storage.blob import StorageErrorCode
from azure.storage.blob.aio import BlobServiceClient

from adapters.azure_blobs import AzureBlobStore, connect_with_string
from adapters.azure_errors import translate, translated
from adapters.azure_retries import BlobRetryPolicy, RetryLimits
from adapters.blob_store import BlobPlace
from records.errors import (
    AccessDeniedError,
    AccountNotAllowedError,
    BlobChangedError,
    BlobMissingError,
    ContainerMissingError,
    NotSignedInError,
    RecordError,
    StoreError,
    StoreUnavailableError,
    TrueupError,
)
from records.faults import FaultCode, RecordKind
from records.store_faults import store_fault, told

PLACE: Final = "tfstate/de/network.tfstate"
SECRET: Final = "c2VjcmV0%2Bsignature%3D"
URL_WITH_SIGNATURE: Final = (
    f"https://acct.blob.core.windows.net/tfstate/de?sv=2024-11-04&se=2026-11-25T00%3A00Z&sp=rl&sig={SECRET}"
)


class Answer:
    """The little of an HTTP response that an SDK error takes over."""

    def __init__(self, status: int, reason: str = "A Reason") -> None:
        self.status_code = status
        self.reason = reason
        self.headers: dict[str, str] = {}

    def body(self) -> bytes:
        return b""

    def text(self, encoding: str | None = None) -> str:
        return ""


def error_of(
    kind: type[HttpResponseError], status: int, code: object = None, message: str = "prose"
) -> HttpResponseError:
    error = kind.__new__(kind)
    HttpResponseError.__init__(error, message, response=Answer(status))  # type: ignore[arg-type]
    if code is not None:
        error.error_code = code  # type: ignore[attr-defined]
    return error


HTTP: Final = [
    (ResourceNotFoundError, 404, StorageErrorCode.BLOB_NOT_FOUND, BlobMissingError),
    (ResourceNotFoundError, 404, "BlobNotFound", BlobMissingError),
    (ResourceNotFoundError, 404, StorageErrorCode.CONTAINER_NOT_FOUND, ContainerMissingError),
    (ResourceNotFoundError, 404, TableErrorCode.TABLE_NOT_FOUND, ContainerMissingError),
    (TableTransactionError, 404, TableErrorCode.TABLE_NOT_FOUND, ContainerMissingError),
    (ResourceExistsError, 409, StorageErrorCode.CONTAINER_BEING_DELETED, ContainerMissingError),
    (HttpResponseError, 409, TableErrorCode.TABLE_BEING_DELETED, ContainerMissingError),
    (ResourceNotFoundError, 404, StorageErrorCode.RESOURCE_NOT_FOUND, StoreUnavailableError),
    (ResourceNotFoundError, 404, StorageErrorCode.PARENT_NOT_FOUND, StoreUnavailableError),
    (ResourceNotFoundError, 404, TableErrorCode.ENTITY_NOT_FOUND, StoreUnavailableError),
    (HttpResponseError, 404, "WebsiteNotFound", StoreUnavailableError),
    (ResourceNotFoundError, 404, "", StoreUnavailableError),
    (ResourceNotFoundError, 404, None, StoreUnavailableError),
    (HttpResponseError, 410, "BlobNotFound", StoreUnavailableError),
    (HttpResponseError, 200, "BlobNotFound", StoreUnavailableError),
    (HttpResponseError, 403, "BlobNotFound", AccessDeniedError),
    (ClientAuthenticationError, 404, "BlobNotFound", AccessDeniedError),
    (ClientAuthenticationError, 401, StorageErrorCode.INVALID_AUTHENTICATION_INFO, AccessDeniedError),
    (ClientAuthenticationError, 403, StorageErrorCode.AUTHENTICATION_FAILED, AccessDeniedError),
    (HttpResponseError, 401, StorageErrorCode.NO_AUTHENTICATION_INFORMATION, AccessDeniedError),
    (HttpResponseError, 403, "AuthorizationPermissionMismatch", AccessDeniedError),
    (HttpResponseError, 403, StorageErrorCode.AUTHORIZATION_FAILURE, AccessDeniedError),
    (HttpResponseError, 403, None, AccessDeniedError),
    (TableTransactionError, 403, TableErrorCode.AUTHORIZATION_FAILURE, AccessDeniedError),
    (ResourceModifiedError, 412, StorageErrorCode.CONDITION_NOT_MET, BlobChangedError),
    (ResourceExistsError, 409, StorageErrorCode.BLOB_ALREADY_EXISTS, BlobChangedError),
    (HttpResponseError, 400, StorageErrorCode.INVALID_BLOCK_LIST, BlobChangedError),
    (HttpResponseError, 412, StorageErrorCode.LEASE_ID_MISSING, StoreUnavailableError),
    (HttpResponseError, 412, StorageErrorCode.LEASE_ID_MISMATCH_WITH_BLOB_OPERATION, StoreUnavailableError),
    (ResourceExistsError, 409, StorageErrorCode.SNAPSHOTS_PRESENT, StoreUnavailableError),
    (ResourceExistsError, 409, "BlobImmutableDueToPolicy", StoreUnavailableError),
    (ResourceExistsError, 409, TableErrorCode.ENTITY_ALREADY_EXISTS, StoreUnavailableError),
    (HttpResponseError, 400, StorageErrorCode.INVALID_BLOCK_ID, StoreUnavailableError),
    (TableTransactionError, 412, TableErrorCode.UPDATE_CONDITION_NOT_SATISFIED, BlobChangedError),
    (ResourceNotModifiedError, 304, None, StoreUnavailableError),
    (ResourceExistsError, 409, StorageErrorCode.LEASE_ALREADY_PRESENT, StoreUnavailableError),
    (HttpResponseError, 400, StorageErrorCode.OUT_OF_RANGE_INPUT, StoreUnavailableError),
    (HttpResponseError, 408, None, StoreUnavailableError),
    (HttpResponseError, 416, StorageErrorCode.INVALID_RANGE, StoreUnavailableError),
    (HttpResponseError, 429, "TooManyRequests", StoreUnavailableError),
    (HttpResponseError, 500, StorageErrorCode.INTERNAL_ERROR, StoreUnavailableError),
    (HttpResponseError, 503, StorageErrorCode.SERVER_BUSY, StoreUnavailableError),
    (TableTransactionError, 503, TableErrorCode.SERVER_BUSY, StoreUnavailableError),
    (DecodeError, 200, None, StoreUnavailableError),
    (TooManyRedirectsError, 302, None, StoreUnavailableError),
]

WITHOUT_ANSWER: Final = [
    (AzureError("anything"), StoreUnavailableError),
    (HttpResponseError("no response at all"), StoreUnavailableError),
    (ResourceNotFoundError("no response at all"), StoreUnavailableError),
    (ServiceRequestError("Cannot connect to host acct.blob.core.windows.net:443"), StoreUnavailableError),
    (ServiceRequestTimeoutError("timed out"), StoreUnavailableError),
    (ServiceResponseError("Connection aborted"), StoreUnavailableError),
    (ServiceResponseTimeoutError("timed out"), StoreUnavailableError),
    (IncompleteReadError("Response payload is not completed"), StoreUnavailableError),
    (ClientAuthenticationError("no token"), NotSignedInError),
    (CredentialUnavailableError("no managed identity"), NotSignedInError),
]


def vendor_errors() -> list[type[AzureError]]:
    """Every AzureError that the SDKs in use define, private ones too."""
    for package in (azure.core, azure.data.tables, azure.identity, azure.storage.blob):
        _import_all(package)
    return sorted(_descendants(AzureError), key=lambda kind: f"{kind.__module__}.{kind.__name__}")


def _import_all(package: ModuleType) -> None:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if "exceptions" in module.name or "error" in module.name or module.name.count(".") <= 3:
            try:
                importlib.import_module(module.name)
            except ImportError:  # an optional part, such as another HTTP client
                continue


def _descendants(kind: type[AzureError]) -> set[type[AzureError]]:
    below = set(kind.__subclasses__())
    return below.union(*map(_descendants, below))


def made(kind: type[AzureError]) -> AzureError:
    if issubclass(kind, HttpResponseError):
        return error_of(kind, 500)
    error = kind.__new__(kind)
    AzureError.__init__(error, "prose")
    return error


class TestTranslation:
    @pytest.mark.parametrize(
        ("kind", "status", "code", "expected"),
        [pytest.param(*case, id=f"{case[0].__name__} {case[1]} {getattr(case[2], 'value', case[2])}") for case in HTTP],
    )
    def test_an_answer_is_told_by_its_status_and_the_service_s_own_code(
        self, kind: type[HttpResponseError], status: int, code: object, expected: type[StoreError]
    ) -> None:
        error = translate(error_of(kind, status, code), PLACE)
        assert (type(error), error.place) == (expected, PLACE)
        assert str(status) in error.reason

    @pytest.mark.parametrize(
        ("error", "expected"), [pytest.param(*case, id=type(case[0]).__name__) for case in WITHOUT_ANSWER]
    )
    def test_what_never_got_an_answer_is_told_by_its_kind(self, error: AzureError, expected: type[StoreError]) -> None:
        assert type(translate(error, PLACE)) is expected

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 412, 416, 429, 500, 503])
    def test_only_a_404_that_names_the_blob_is_an_absent_blob(self, status: int) -> None:
        codes = [*StorageErrorCode, *TableErrorCode, "", None]
        absences = [
            code
            for code in codes
            if type(translate(error_of(HttpResponseError, status, code), PLACE)) is BlobMissingError
        ]
        assert absences == ([StorageErrorCode.BLOB_NOT_FOUND] if status == 404 else [])

    def test_no_error_of_the_sdks_is_left_untranslated(self) -> None:
        kinds = vendor_errors()
        assert {ResourceNotFoundError, TableTransactionError, CredentialUnavailableError} <= set(kinds)
        untranslated = [kind for kind in kinds if not _is_raised_as_store_error(made(kind))]
        assert untranslated == []

    def test_no_error_of_the_sdks_is_absence_without_saying_so(self) -> None:
        absent = [kind for kind in vendor_errors() if isinstance(translate(made(kind), PLACE), BlobMissingError)]
        assert absent == []

    def test_what_is_not_the_sdk_s_is_left_alone(self) -> None:
        with pytest.raises(ZeroDivisionError), translated(PLACE):
            raise ZeroDivisionError

    def test_trueup_s_own_errors_pass_through(self) -> None:
        error = AccountNotAllowedError(PLACE, "not allowed")
        with pytest.raises(AccountNotAllowedError) as caught, translated(PLACE):
            raise error
        assert caught.value is error


class TestReasons:
    @pytest.mark.parametrize(
        "error",
        [
            pytest.param(
                error_of(HttpResponseError, 403, "AuthorizationFailure", URL_WITH_SIGNATURE), id="in the prose"
            ),
            pytest.param(error_of(HttpResponseError, 503, None, URL_WITH_SIGNATURE), id="in the prose of no code"),
            pytest.param(ServiceRequestError(f"Cannot connect to {URL_WITH_SIGNATURE}"), id="in a URL"),
            pytest.param(ServiceRequestError(f"GET {URL_WITH_SIGNATURE.upper()}"), id="in capitals"),
            pytest.param(ServiceRequestError(f"first line\nGET {URL_WITH_SIGNATURE}"), id="on a later line"),
            pytest.param(AzureError(f"'?sig={SECRET}'"), id="as the only parameter"),
            pytest.param(ClientAuthenticationError(f"no: {URL_WITH_SIGNATURE}"), id="in an authentication error"),
        ],
    )
    def test_no_signature_gets_into_a_reason(self, error: AzureError) -> None:
        told = str(translate(error, PLACE))
        assert SECRET.lower() not in told.lower()
        assert PLACE in told

    @pytest.mark.parametrize("message", ["", "\n", "one\ntwo", "x" * 5000, "one\r\ntwo"])
    def test_a_reason_is_one_short_line(self, message: str) -> None:
        for error in (AzureError(message), error_of(HttpResponseError, 503, None, message)):
            reason = translate(error, PLACE).reason
            assert len(reason.splitlines()) <= 1
            assert len(reason) <= 200

    def test_a_reason_gives_the_status_and_the_service_s_code(self) -> None:
        error = translate(error_of(HttpResponseError, 503, StorageErrorCode.SERVER_BUSY), PLACE)
        assert str(error) == f"{PLACE}: 503 ServerBusy"

    def test_a_reason_without_a_code_gives_the_status_line(self) -> None:
        assert translate(error_of(HttpResponseError, 502), PLACE).reason == "502 A Reason"

    def test_nothing_of_the_vendor_s_error_hangs_on_to_it(self) -> None:
        with pytest.raises(StoreError) as caught, translated(PLACE):
            raise ServiceRequestError(URL_WITH_SIGNATURE)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


class TestMeaning:
    @pytest.mark.parametrize("kind", StoreError.__subclasses__())
    def test_every_refusal_of_storage_has_a_fault_with_a_remedy(self, kind: type[StoreError]) -> None:
        fault = store_fault(kind(PLACE, "503 ServerBusy"), kind=RecordKind.STATE, blob="de/network.tfstate")
        assert (fault.record, fault.blob) == (RecordKind.STATE, "de/network.tfstate")
        assert "503 ServerBusy" in fault.message
        assert fault.remedy.endswith(".")

    def test_where_no_identity_could_sign_in_the_one_remedy_is_to_give_it_one(self) -> None:
        error = translate(CredentialUnavailableError("no managed identity"), PLACE)
        assert told(error) == (
            f"{PLACE}: no identity could sign in. Run `az login`, or give the app a managed identity."
        )
        fault = store_fault(error, kind=RecordKind.STATE, blob="de/network.tfstate")
        assert fault.message == f"storage was not asked for it ({PLACE}: no identity could sign in)"

    def test_no_two_refusals_have_the_same_fault(self) -> None:
        codes: list[FaultCode] = [
            store_fault(kind("x", "y"), kind=RecordKind.STATE, blob="x").code for kind in StoreError.__subclasses__()
        ]
        assert len(codes) == len(set(codes)) > 5

    def test_all_that_a_door_catches_is_one_tree(self) -> None:
        assert all(issubclass(kind, TrueupError) for kind in (StoreError, RecordError))


class Connected(Exception):  # noqa: N818 (it is no error: the store got as far as to connect)
    """The store was about to send its identity there."""


def connect(account_url: str | None) -> BlobServiceClient:
    if account_url is not None:
        raise Connected(account_url)
    return BlobServiceClient("https://own.blob.core.windows.net")


async def reach(account_url: str, *suffixes: str) -> None:
    store = AzureBlobStore(connect, allowed_host_suffixes=suffixes or (".blob.core.windows.net",))
    try:
        await store.read(BlobPlace(container="tfstate", name="x", account_url=account_url), length_bytes=10)
    finally:
        await store.close()


REFUSED: Final = [
    pytest.param("http://acct.blob.core.windows.net", id="no TLS"),
    pytest.param("HTTP://acct.blob.core.windows.net", id="no TLS in capitals"),
    pytest.param("ftp://acct.blob.core.windows.net", id="another protocol"),
    pytest.param("acct.blob.core.windows.net", id="no protocol"),
    pytest.param("//acct.blob.core.windows.net", id="any protocol"),
    pytest.param("https://example.com", id="another host"),
    pytest.param("https://example.com/acct.blob.core.windows.net", id="the suffix in the path"),
    pytest.param("https://example.com/.blob.core.windows.net", id="the suffix as the path"),
    pytest.param("https://example.com#.blob.core.windows.net", id="the suffix in the fragment"),
    pytest.param("https://example.com?.blob.core.windows.net", id="the suffix in the query"),
    pytest.param("https://acct.blob.core.windows.net.example.com", id="the suffix in the middle"),
    pytest.param("https://acctblob.core.windows.net", id="the suffix without its dot"),
    pytest.param("https://blob.core.windows.net", id="the suffix without an account"),
    pytest.param("https://acct.blob.core.windows.net@example.com", id="the suffix as user"),
    pytest.param("https://user@acct.blob.core.windows.net", id="a user"),
    pytest.param("https://user:password@acct.blob.core.windows.net", id="a user and a password"),
    pytest.param("https://:password@acct.blob.core.windows.net", id="a password"),
    pytest.param("https://acct.blob.core.windows.net?sv=1", id="a query"),
    pytest.param("https://example.com\\.blob.core.windows.net", id="a backslash, which browsers take for a slash"),
    pytest.param("https://example.com\\@acct.blob.core.windows.net", id="a backslash before a user"),
    pytest.param("https://acct.blob.core.windows.net:port", id="a port that is no number"),
    pytest.param("https://acct.blob.core.windows.net:99999", id="a port beyond the last"),
    pytest.param("https://acct blob.blob.core.windows.net", id="a space"),
    pytest.param("https://[acct.blob.core.windows.net", id="half an IPv6 address"),
    pytest.param("https://\u2100.blob.core.windows.net", id="a character that unfolds to a slash"),
    pytest.param("https://.blob.core.windows.net", id="a host without its first label"),
    pytest.param("https://acct..blob.core.windows.net", id="a host with an empty label"),
    pytest.param(f"https://{'a' * 64}.blob.core.windows.net", id="a label longer than any host's"),
    pytest.param("https://", id="no host"),
    pytest.param("", id="nothing"),
]


class TestAccounts:
    @pytest.mark.parametrize("account_url", REFUSED)
    async def test_the_identity_is_sent_to_no_such_account(self, account_url: str) -> None:
        with pytest.raises(AccountNotAllowedError):
            await reach(account_url)

    @pytest.mark.parametrize(
        "account_url",
        [
            "https://acct.blob.core.windows.net",
            "https://acct.blob.core.windows.net/",
            "https://acct.blob.core.windows.net:443",
            "HTTPS://ACCT.BLOB.CORE.WINDOWS.NET",
        ],
    )
    async def test_the_identity_is_sent_to_an_account_with_an_allowed_host(self, account_url: str) -> None:
        with pytest.raises(Connected):
            await reach(account_url)

    async def test_another_cloud_s_host_must_be_allowed_first(self) -> None:
        account_url = "https://acct.blob.core.usgovcloudapi.net"
        with pytest.raises(AccountNotAllowedError):
            await reach(account_url)
        with pytest.raises(Connected):
            await reach(account_url, ".blob.core.windows.net", ".blob.core.usgovcloudapi.net")

    @pytest.mark.parametrize(
        "account_url",
        [
            pytest.param(f"https://acct.blob.core.windows.net/?sv=2024&sig={SECRET}", id="a signature"),
            pytest.param(f"https://user:{SECRET}@acct.blob.core.windows.net", id="a password"),
            pytest.param(f"https://example.com/?code={SECRET}", id="another host's key"),
        ],
    )
    async def test_what_is_secret_in_a_refused_url_is_not_told(self, account_url: str) -> None:
        with pytest.raises(AccountNotAllowedError) as refused:
            await reach(account_url)
        assert SECRET not in str(refused.value)

    async def test_a_connection_string_opens_no_other_account(self) -> None:
        to_azurite = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a;"
        store = AzureBlobStore(
            connect_with_string(to_azurite, RetryLimits(total=0, backoff_seconds=0.02)),
            allowed_host_suffixes=(".blob.core.windows.net",),
        )
        place = BlobPlace(container="tfstate", name="x", account_url="https://acct.blob.core.windows.net")
        with pytest.raises(AccountNotAllowedError, match="ESTATE_ACCOUNT_URL"):
            await store.read(place, length_bytes=10)
        with pytest.raises(AccountNotAllowedError):
            await store.sightings(place)
        await store.close()


async def wait_after(retry_after_seconds: int) -> None:
    policy = BlobRetryPolicy(RetryLimits(total=3, backoff_seconds=0.8))
    answer = Answer(503)
    answer.headers["Retry-After"] = str(retry_after_seconds)
    response = PipelineResponse[Any, Any](http_request=None, http_response=answer, context=PipelineContext(None))
    await policy.sleep(policy.configure_retries({}), AioHttpTransport(), response)


class TestWaiting:
    @pytest.fixture
    def waits(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
        slept: list[float] = []

        async def note(seconds: float, *_: Any) -> None:
            slept.append(seconds)

        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "sleep", note)
            yield slept

    @pytest.mark.parametrize("asked", [1, 7, 30, 120])
    async def test_a_retry_after_is_never_cut_short_and_at_most_half_as_long_again(
        self, waits: list[float], asked: int
    ) -> None:
        for _ in range(200):
            await wait_after(asked)
        assert min(waits) >= asked
        assert max(waits) <= asked * 1.5

    async def test_a_throttled_fleet_does_not_come_back_as_one(self, waits: list[float]) -> None:
        for _ in range(50):
            await wait_after(7)
        assert len(set(waits)) > 40

    def test_the_limits_are_those_of_every_kind_of_retry(self) -> None:
        options = RetryLimits(total=2, backoff_seconds=0.5).policy_options()
        kinds = ("retry_total", "retry_connect", "retry_read", "retry_status")
        assert [options[kind] for kind in kinds] == [2, 2, 2, 2]
        assert options["retry_backoff_max"] == 30


def _is_raised_as_store_error(error: AzureError) -> bool:
    try:
        with translated(PLACE):
            raise error
    except StoreError:
        return True
    except AzureError:
        return False
