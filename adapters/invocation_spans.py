"""A span for each invocation of a function, in the trace of the Functions host."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters import telemetry_names as names
from adapters.telemetry_events import present

_TRACEPARENT: Final = "traceparent"
_TRACESTATE: Final = "tracestate"


class TraceContext(Protocol):
    """Where an invocation stands in a trace, as the Functions host hands it to a function (W3C Trace Context)."""

    @property
    def trace_parent(self) -> str | None: ...

    @property
    def trace_state(self) -> str | None: ...


@contextmanager
def invocation_span(
    function: str, parent: TraceContext, *, run_id: str | None = None, market: str | None = None
) -> Iterator[None]:
    """The span of one invocation, under the host's; what is started or read inside belongs to the same trace."""
    carrier = {
        name: value for name, value in ((_TRACEPARENT, parent.trace_parent), (_TRACESTATE, parent.trace_state)) if value
    }
    context = TraceContextTextMapPropagator().extract(carrier)
    tracer = trace.get_tracer(names.SCOPE)
    attributes = present({names.RUN_ID: run_id, names.MARKET: market})
    with tracer.start_as_current_span(
        names.SPAN_PREFIX + function,
        context=context,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except Exception as error:
            # What kind it was and not its text, which can quote a record.
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
