"""An OpenTelemetry collector as small as can be: OTLP over HTTP, spans kept by their names."""

from __future__ import annotations

import gzip
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

WAIT_S = 60.0


class Collector:
    """`spans` are all that came so far; `url` is the endpoint of traces."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self._came: queue.SimpleQueue[ExportTraceServiceRequest] = queue.SimpleQueue()

    def took(self, body: bytes) -> None:
        self._came.put(ExportTraceServiceRequest.FromString(body))

    def until(self, name: str, trace_id: bytes) -> Span:
        """Waits for the span of that name in that trace."""
        while not (found := [each for each in self.of(trace_id) if each.name == name]):
            request = self._came.get(timeout=WAIT_S)
            for resource in request.resource_spans:
                told = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                self.services.add(f"{told['service.name']}/{told['wharfside.node']}")
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return found[0]

    def of(self, trace_id: bytes) -> list[Span]:
        return [each for each in self.spans if each.trace_id == trace_id]


@contextmanager
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            made.took(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Collector(f"http://127.0.0.1:{server.server_address[1]}/v1/traces")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
