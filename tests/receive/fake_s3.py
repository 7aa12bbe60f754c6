"""A bucket behind HTTP as S3 describes it (ListObjectsV2, GetObject, HeadObject), with every key that S3 takes and pages of three."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from obstore.store import S3Store

PAGE = 3


@contextmanager
def a_bucket(prefix: str) -> Iterator[tuple[dict[str, bytes], S3Store]]:
    """Yield the objects of a bucket by whole key, to be changed at will, and the client of one prefix in it."""
    objects: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"objects": objects}))
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    keys = {"access_key_id": "x", "secret_access_key": "y", "region": "z"}
    try:
        yield objects, S3Store("lab", prefix=prefix, endpoint=address, client_options={"allow_http": True}, **keys)
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: ClassVar[dict[str, bytes]]

    def log_message(self, *said: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer a listing or an object."""
        address = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(address.query).items()}
        if "list-type" in asked:
            self._answer(200, _listing(self.objects, asked))
        else:
            body = self.objects.get(unquote(address.path).removeprefix("/lab/"))
            self._answer(404 if body is None else 200, body or b"")

    do_HEAD = do_GET

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", _etag(body))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _listing(objects: dict[str, bytes], asked: dict[str, str]) -> bytes:
    prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
    after = unquote(asked.get("continuation-token", "")) or asked.get("start-after", "")
    rows: dict[str, str] = {}
    for key in sorted(key for key in list(objects) if key.startswith(prefix)):
        name, cut, _ = key.removeprefix(prefix).partition(delimiter) if delimiter else (key, "", "")
        if cut:
            common = f"{prefix}{name}{cut}"
            rows[common] = f"<CommonPrefixes><Prefix>{escape(common)}</Prefix></CommonPrefixes>"
        else:
            rows[key] = _entry(key, objects[key])
    left = [key for key in rows if key > after]
    more = f"<NextContinuationToken>{quote(left[PAGE - 1])}</NextContinuationToken>" if len(left) > PAGE else ""
    stated = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}{''.join(rows[key] for key in left[:PAGE])}"
    return f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>lab</Name>{stated}</ListBucketResult>'.encode()


def _entry(key: str, body: bytes) -> str:
    stated = f"<ETag>{escape(_etag(body))}</ETag><Size>{len(body)}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    return f"<Contents><Key>{escape(key)}</Key>{stated}</Contents>"


def _etag(body: bytes) -> str:
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'
