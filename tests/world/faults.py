"""What a fault proxy can do to a request, and which requests it does it to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class ProxiedRequest:
    """What a rule may look at. The path is decoded and begins with the account's name, as in a blob's URL."""

    method: str
    path: str
    query: dict[str, str]


Matches = Callable[[ProxiedRequest], bool]


def on(method: str = "*", path: str = "*", **query: str) -> Matches:
    """Match by method, path and query values, each a shell pattern: `on("PUT", "*.tfstate", comp="lease")`.

    Case counts. An absent query value matches as an empty one.
    """

    def matches(request: ProxiedRequest) -> bool:
        return (
            fnmatchcase(request.method, method)
            and fnmatchcase(request.path, path)
            and all(fnmatchcase(request.query.get(name, ""), pattern) for name, pattern in query.items())
        )

    return matches


@dataclass(frozen=True, slots=True)
class AnswerStatus:
    """Answer in the storage service's stead, which then never sees the request.

    The body is XML as from blobs, or OData JSON when the client asks for JSON, as from tables. A HEAD gets
    no body, only `x-ms-error-code`.
    """

    status: int
    error_code: str
    retry_after_seconds: int | None = None
    message: str = "Injected by the fault proxy."


@dataclass(frozen=True, slots=True)
class CutBody:
    """Send the real headers and the body's first bytes, half of them when `after_bytes` is None, then close.

    An answer without a body cannot be cut and is passed on whole.
    """

    after_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Let the storage service do what was asked, then close without an answer, as a lost connection does."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait, then pass the request on."""

    seconds: float


Action = AnswerStatus | CutBody | LoseAnswer | Delay


@dataclass(slots=True)
class Rule:
    """An action for the matching requests: for the first `times` of them, or for ever when that is None."""

    matches: Matches
    action: Action
    times: int | None = None
    used: int = 0

    @property
    def is_spent(self) -> bool:
        return self.times is not None and self.used >= self.times
