"""What HTTP answers: JSON for what was asked, ``application/problem+json`` (RFC 9457) for what went wrong.

Nothing that opens a door is in an answer: no key, no signed URL, no management URL of the engine.
"""

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from traceback import format_tb
from typing import Final

from pydantic import BaseModel, ConfigDict

from answering.asking import MOST_BODY_BYTES, BadRequestError, BodyTooLargeError, FieldError
from records.errors import EngineUnavailableError, SettingsError, StoreError, StoreUnavailableError

_LOG: Final = logging.getLogger(__name__)
ASK_AGAIN_AFTER_SECONDS: Final = 10


class View(BaseModel):
    """One JSON object of an answer."""

    model_config = ConfigDict(frozen=True)


class ProblemView(View):
    """RFC 9457. ``type`` is stable, for programs; ``errors`` names the fields that are wrong."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, before it is bound to a framework."""

    status: int
    content: View
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> str:
        return self.content.model_dump_json(indent=1)


def problem(
    status: int,
    kind: str,
    title: str,
    detail: str,
    *,
    errors: tuple[FieldError, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """A problem; ``kind`` is its stable name for programs."""
    content = ProblemView(type=f"urn:trueup:problem:{kind}", title=title, status=status, detail=detail, errors=errors)
    return Answer(status, content, media_type="application/problem+json", headers=headers or {})


async def answered(answer: Awaitable[Answer]) -> Answer:
    """The answer, or the problem that stood in its way."""
    try:
        return await answer
    except BodyTooLargeError as error:
        return problem(
            413, "body-too-large", "The body is too large", f"It may hold {MOST_BODY_BYTES:,} bytes; {error}."
        )
    except BadRequestError as error:
        return problem(400, "bad-request", "The request cannot be understood", error.detail, errors=error.errors)
    except (StoreUnavailableError, EngineUnavailableError) as error:
        return problem(
            503,
            "unavailable",
            "A service behind trueup does not answer",
            str(error),
            headers={"Retry-After": str(ASK_AGAIN_AFTER_SECONDS)},
        )
    except StoreError as error:
        return problem(503, "storage-refused", "Storage refused", f"{error}; see docs/configuration.md#identity")
    except SettingsError as error:
        return problem(500, "misconfigured", "A setting is missing or wrong", str(error))
    except Exception as error:  # noqa: BLE001 (the last door: an asker gets a line, and no values)
        _LOG.error("%s\n%s", type(error).__name__, "".join(format_tb(error.__traceback__)))
        return problem(500, "broken", "trueup broke", f"{type(error).__name__}; the app's log says where")
