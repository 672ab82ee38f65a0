"""Traces and metrics by OpenTelemetry's interface; where they go is up to whoever starts the server.

`opentelemetry-instrument semantic-memory serve` sends them where the usual `OTEL_*` variables say. Counts, times and
ids only: what a user said stays out of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import metrics, propagate, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from semantic_memory import Learned, Recall

NAME = "semantic_memory"


class Telemetry:
    """The server's instruments."""

    def __init__(self, *, traces: TracerProvider | None = None, meters: MeterProvider | None = None) -> None:
        self._tracer = trace.get_tracer(NAME, tracer_provider=traces)
        self._meter = metrics.get_meter(NAME, meter_provider=meters)
        self._requests = self._meter.create_histogram("http.server.request.duration", unit="s")
        self._recall = self._meter.create_histogram(f"{NAME}.recall.duration", unit="s")
        self._shown = self._meter.create_histogram(f"{NAME}.recall.facts", unit="{fact}")
        self._degraded = self._meter.create_counter(f"{NAME}.recall.degraded", unit="{recall}")
        self._written = self._meter.create_counter(f"{NAME}.facts.written", unit="{fact}")
        self._learned = self._meter.create_counter(f"{NAME}.learn.messages", unit="{message}")

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """The span of a request, in the trace that its sender began."""
        parent = propagate.extract(headers)
        with self._tracer.start_as_current_span(
            method,
            context=parent,
            kind=SpanKind.SERVER,
            record_exception=False,  # its message may hold what a user said
            set_status_on_exception=False,
        ) as span:
            yield span

    def answered(self, span: Span, method: str, route: str, status: int, seconds: float) -> None:
        """A request is over."""
        seen: dict[str, str | int] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
        }
        span.update_name(f"{method} {route}")
        span.set_attributes(seen)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        self._requests.record(seconds, seen)

    def failed(self, span: Span, error: Exception) -> None:
        """A request met an error that nobody expected; of it only its kind is told."""
        span.set_attribute("error.type", type(error).__name__)

    def recalled(self, recall: Recall) -> None:
        """A recall was answered."""
        self._recall.record(recall.latency_ms / 1000, {"answered_by": recall.answered_by})
        self._shown.record(len(recall.facts))
        if recall.degraded:
            self._degraded.add(1, {"answered_by": recall.answered_by})

    def learned(self, learned: Learned) -> None:
        """A learn pass is over."""
        self._learned.add(learned.messages)
        self._written.add(len(learned.written), {"by": "learn"})

    def wrote(self, facts: int, by: str) -> None:
        """Statements were kept, by one verb or another."""
        self._written.add(facts, {"by": by})

    def watch_backlog(self, size: Callable[[], int]) -> None:
        """Report how many learn passes are waiting or going on."""

        def observe(_options: CallbackOptions) -> list[Observation]:
            return [Observation(size())]

        self._meter.create_observable_gauge(f"{NAME}.learn.backlog", callbacks=[observe], unit="{pass}")
