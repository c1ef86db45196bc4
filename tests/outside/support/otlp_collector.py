"""A collector that reads OTLP over HTTP with the official protobuf classes, and the check of what it got.

otlp_collector.py serve PORT FILE: listens, and keeps every request that it understands as a line of FILE.
otlp_collector.py check FILE TRACE PARENT PAGES: FILE has the spans of one list that was read in so many
pages for a client's span PARENT of TRACE, and of one request with a wrong key."""

import base64
import http.server
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status

IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}


def spans_of(message):
    return [
        span
        for resource in message["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def parse(text):
    """The message, read by the official classes. Ids are hex in OTLP, where other JSON of protobuf has
    base64; everything else must be as it is there, byte for byte of each value."""
    message = json.loads(text)
    for span in spans_of(message):
        for name, digits in IDS.items():
            if name in span:
                assert len(span[name]) == digits and span[name] == span[name].lower(), span
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    export = json_format.ParseDict(message, ExportTraceServiceRequest(), ignore_unknown_fields=False)
    written = json_format.MessageToDict(export, use_integers_for_enums=True)
    assert written == message, f"written otherwise: {written}\nit came as: {message}"
    return export


class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kept = None

    def do_POST(self):
        text = self.rfile.read(int(self.headers["content-length"]))
        try:
            assert self.path == "/collect/v1/traces", self.path
            assert self.headers["content-type"] == "application/json"
            assert self.headers["x-check"] == "one two"
            parse(text)
            status, line = 200, text.decode()
        except Exception as error:  # any of them is a finding
            status, line = 400, json.dumps({"bad": f"{error}"})
        with open(Collector.kept, "a") as kept:
            kept.write(line + "\n")
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def serve(port, kept):
    Collector.kept = kept
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Collector)
    print("listening", flush=True)
    server.serve_forever()


def values(attributes):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def check(kept, trace, parent, pages):
    exports = []
    for line in open(kept):
        assert "bad" not in json.loads(line), line
        exports.append(parse(line))
    for resource in (one for export in exports for one in export.resource_spans):
        attributes = values(resource.resource.attributes)
        assert attributes["service.name"] == "otlp-check", attributes
        assert attributes["check.note"] == "a,b=\u00e4", attributes
        assert attributes["service.version"] == attributes["telemetry.sdk.version"], attributes
        assert attributes["telemetry.sdk.language"] == "rust", attributes
        for scope in resource.scope_spans:
            assert (scope.scope.name, scope.scope.version) == ("tieline", attributes["service.version"])
    all_spans = [
        span
        for export in exports
        for resource in export.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert len({span.span_id for span in all_spans}) == len(all_spans) == int(pages) + 2, all_spans
    assert {span.trace_id.hex() for span in all_spans} == {trace}, all_spans
    assert all(0 < span.start_time_unix_nano <= span.end_time_unix_nano for span in all_spans)
    has_remote = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
    remote = has_remote | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
    servers = [span for span in all_spans if span.kind == Span.SPAN_KIND_SERVER]
    good, refused = sorted(servers, key=lambda span: values(span.attributes)["http.response.status_code"])
    for span in (good, refused):
        assert span.parent_span_id.hex() == parent and span.flags == remote | 1, span
        assert span.status.code == Status.STATUS_CODE_UNSET, span
    assert good.name == "GET v1_users", good
    attributes = values(good.attributes)
    assert attributes["http.response.status_code"] == 200, attributes
    assert attributes["tieline.caller"] == "crm", attributes
    assert attributes["tieline.upstream_calls"] == int(pages), attributes
    assert attributes["tieline.rows"] > 200, attributes
    assert values(refused.attributes)["error.type"] == "unknown_credential", refused
    clients = [span for span in all_spans if span.kind == Span.SPAN_KIND_CLIENT]
    assert len(clients) == int(pages), clients
    for span in clients:
        assert span.parent_span_id == good.span_id and span.flags == has_remote | 1, span
        assert values(span.attributes)["tieline.upstream"] == "ams", span
        assert good.start_time_unix_nano <= span.start_time_unix_nano, span
        assert span.end_time_unix_nano <= good.end_time_unix_nano, span
    print(f"{len(all_spans)} spans in {len(exports)} requests")


if __name__ == "__main__":
    {"serve": serve, "check": check}[sys.argv[1]](*sys.argv[2:])
