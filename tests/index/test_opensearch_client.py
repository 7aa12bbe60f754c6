"""How the OpenSearch client meets servers that fail, refuse, or aren't OpenSearch: a scripted server, and a certificate nobody signed."""

from __future__ import annotations

import datetime
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from fairlead.errors import FairleadError, InvalidConfiguration, NotPermitted, ServiceUnreachable, StorageFull, UnsupportedInput
from fairlead.index.opensearch_client import Outcome, bulk, connect, opensearch_errors, read_each, scan, search
from fairlead.settings import IndexSettings

type Answer = tuple[int, Any]
type Serve = Callable[..., HTTPServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server with a list of answers; the last is given for ever."""
    servers: list[HTTPServer] = []

    def start(*answers: Answer, tls: ssl.SSLContext | None = None) -> HTTPServer:
        left = list(answers)

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                server.seen.append((self.command, self.path, self.rfile.read(length), self.headers.get("authorization")))  # type: ignore[attr-defined]
                status, body = left.pop(0) if len(left) > 1 else left[0]
                content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # the names http.server calls

            def log_message(self, *_: Any) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        server.seen = []  # type: ignore[attr-defined]
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def settings_of(server: HTTPServer, scheme: str = "http", **more: Any) -> IndexSettings:
    return IndexSettings(backend="opensearch", url=f"{scheme}://127.0.0.1:{server.server_port}", **more)


def failure(kind: str, **more: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "root_cause": [{"type": kind}], **more}, "status": 0}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://search.example.org:9200", "in the clear"),
        ("http://10.0.0.7:9200", "in the clear"),
        ("ftp://localhost", "no http or https"),
        ("localhost:9200", "no http or https"),
    ],
)
def test_an_address_that_would_leak_or_is_none_is_refused(url: str, message: str) -> None:
    with pytest.raises(InvalidConfiguration, match=message):
        connect(IndexSettings(url=url))


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "https://search.example.org"])
def test_loopback_and_tls_are_allowed(url: str) -> None:
    connect(IndexSettings(url=url)).close()


@pytest.mark.parametrize(
    ("status", "body", "expected", "message"),
    [
        (503, failure("no_shard_available_action_exception"), ServiceUnreachable, "overloaded or failing .status 503"),
        (429, failure("es_rejected_execution_exception"), ServiceUnreachable, "status 429"),
        (429, failure("cluster_block_exception"), StorageFull, "no disk space left"),
        (403, failure("cluster_block_exception"), ServiceUnreachable, "closed for writing"),
        (401, failure("security_exception"), NotPermitted, "does not let this user in"),
        (403, failure("security_exception"), NotPermitted, "does not let this user in"),
        (404, failure("index_not_found_exception"), ServiceUnreachable, "The index is not there"),
        (400, failure("illegal_argument_exception", reason="cannot execute [inline] scripts"), InvalidConfiguration, "refuses scripts"),
        (400, failure("too_many_nested_clauses"), UnsupportedInput, "too_many_nested_clauses"),
        (200, "<html>a proxy</html>", ServiceUnreachable, "not JSON"),
        (200, {"timed_out": True, "_shards": {"failed": 0}}, ServiceUnreachable, "answered in part"),
        (200, {"timed_out": False, "_shards": {"failed": 1}}, ServiceUnreachable, "answered in part"),
    ],
)
def test_a_failure_is_told_in_our_words(serve: Serve, status: int, body: Any, expected: type[FairleadError], message: str) -> None:
    with pytest.raises(expected, match=message):
        search(connect(settings_of(serve((status, body)))), "index", {"query": {"match_all": {}}})


def test_a_server_that_is_busy_for_a_moment_is_asked_again(serve: Serve) -> None:
    good = {"timed_out": False, "_shards": {"failed": 0}, "hits": {}}
    server = serve((503, {}), (429, {}), (200, good))
    assert search(connect(settings_of(server)), "index", {}) == good


def test_a_point_in_time_wants_every_shard_and_is_given_back_when_reading_breaks_off(serve: Serve) -> None:
    broken = {"timed_out": False, "_shards": {"failed": 1}}
    server = serve((200, {"pit_id": "p"}), (200, broken), (200, {}))
    with pytest.raises(ServiceUnreachable, match="in part"):
        list(scan(connect(settings_of(server)), "index", {}))
    (create, ask, delete) = server.seen  # type: ignore[attr-defined]
    assert "allow_partial_pit_creation=false" in create[1]
    assert json.loads(ask[2])["pit"]["id"] == "p"
    assert (delete[0], json.loads(delete[2])) == ("DELETE", {"pit_id": ["p"]})


def item(record_id: str, status: int, kind: str | None = None) -> dict[str, Any]:
    error = {"error": {"type": "mapper_parsing_exception", "reason": "Doe^Jane", "caused_by": {"type": kind}}} if kind else {}
    return {"create": {"_id": record_id, "status": status, **error}}


ACTIONS = [{"_op_type": "create", "_id": name, "_source": {}} for name in ("a", "b")]


def test_every_item_of_a_bulk_is_read_and_values_are_not_repeated(serve: Serve) -> None:
    server = serve((200, {"errors": True, "items": [item("a", 201), item("b", 400, "number_format_exception")]}))
    assert list(bulk(connect(settings_of(server)), "index", ACTIONS)) == [
        Outcome("a", 201, ""),
        Outcome("b", 400, "mapper_parsing_exception / number_format_exception"),
    ]


def test_an_item_that_the_server_cannot_take_now_is_an_outage(serve: Serve) -> None:
    server = serve((200, {"errors": True, "items": [item("a", 201), item("b", 503, "unavailable_shards_exception")]}))
    with pytest.raises(ServiceUnreachable, match="status 503"):
        list(bulk(connect(settings_of(server)), "index", ACTIONS))


def test_a_record_whose_shard_is_away_is_no_absent_record(serve: Serve) -> None:
    away = {"_id": "b", "error": {"type": "no_shard_available_action_exception", "reason": "Doe^Jane"}}
    server = serve((200, {"docs": [{"_id": "a", "found": False}, away]}))
    with pytest.raises(ServiceUnreachable, match=r"could not read a record now \(no_shard_available_action_exception\)"):
        list(read_each(connect(settings_of(server)), "index", ["a", "b"]))


@pytest.mark.parametrize(("kind", "expected"), [("security_exception", NotPermitted), ("cluster_block_exception", ServiceUnreachable)])
def test_an_item_that_nobody_may_write_now_is_no_bad_record_and_no_removed_one(
    serve: Serve, kind: str, expected: type[FairleadError]
) -> None:
    refused = {"delete": {"_id": "a", "status": 403, "error": {"type": kind, "reason": "Doe^Jane"}}}
    server = serve((200, {"errors": True, "items": [refused]}))
    with pytest.raises(expected, match=r"does not let this user in|closed for writing"):
        list(bulk(connect(settings_of(server)), "index", [{"_op_type": "delete", "_id": "a"}]))


def test_the_password_is_sent_and_an_empty_one_sends_nobody(serve: Serve) -> None:
    good = {"timed_out": False, "_shards": {"failed": 0}}
    server = serve((200, good))
    search(connect(settings_of(server, password=SecretStr("x"))), "index", {})
    search(connect(settings_of(server)), "index", {})
    assert [bool(seen[3]) for seen in server.seen] == [True, False]  # type: ignore[attr-defined]


def test_a_certificate_that_nobody_signed_is_refused_and_one_of_the_named_authority_accepted(serve: Serve, tmp_path: Path) -> None:
    key, file = ec.generate_private_key(ec.SECP256R1()), tmp_path / "cert.pem"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    signed = made.sign(key, hashes.SHA256())
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = serve((200, {"timed_out": False, "_shards": {"failed": 0}}), tls=context)
    url = f"https://localhost:{server.server_port}"
    with pytest.raises(ServiceUnreachable, match="certificate of OpenSearch cannot be verified"), opensearch_errors():
        connect(IndexSettings(url=url)).info()
    with opensearch_errors():
        assert connect(IndexSettings(url=url, ca_file=file)).info()
