"""What S3 answers to the requests that our code makes: conditional put, parts, get, head, list; signatures are not looked at.

Every key that S3 takes is taken, and listings come in pages of three (ListObjectsV2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from obstore.store import S3Store

BUCKET = "lab"
PAGE = 3


class Handler(BaseHTTPRequestHandler):
    """One bucket in memory, by key; ``parts`` holds uploads that nobody has completed, ``requests`` what was asked."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    parts: dict[str, dict[int, bytes]]
    requests: list[str]

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def _ask(self) -> tuple[str, dict[str, str], bytes]:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.requests.append(f"{self.command} {'&'.join(sorted(query))}".strip())
        return unquote(parts.path).lstrip("/").partition("/")[2], query, self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, body: bytes = b"", etag: str = "") -> None:
        self.send_response(status)
        if etag:
            self.send_header("ETag", f'"{etag}"')
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self) -> None:
        key, query, body = self._ask()
        if "uploadId" in query:
            self.parts[query["uploadId"]][int(query["partNumber"])] = body
        elif self.headers.get("If-None-Match") == "*" and key in self.objects:
            return self._answer(412)
        else:
            self.objects[key] = body
        return self._answer(200, etag=_digest(body))

    def do_POST(self) -> None:
        key, query, _ = self._ask()
        if "uploads" in query:
            upload = str(len(self.parts))
            self.parts[upload] = {}
            body = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
        else:
            self.objects[key] = b"".join(part for _, part in sorted(self.parts.pop(query["uploadId"]).items()))
            body = "<CompleteMultipartUploadResult><ETag>whole-1</ETag></CompleteMultipartUploadResult>"
        self._answer(200, body.encode())

    def do_GET(self) -> None:
        key, query, _ = self._ask()
        if "list-type" in query:
            return self._answer(200, listing(self.objects, query))
        if key not in self.objects:
            return self._answer(404)
        return self._answer(200, self.objects[key], etag=_digest(self.objects[key]))

    do_HEAD = do_GET


def listing(objects: dict[str, bytes], asked: dict[str, str]) -> bytes:
    """Return one page of what begins with the prefix, folded at the delimiter, after the token or key that is given."""
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
    return f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>{BUCKET}</Name>{stated}</ListBucketResult>'.encode()


def _entry(key: str, body: bytes) -> str:
    stated = f"<ETag>&quot;{_digest(body)}&quot;</ETag><Size>{len(body)}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    return f"<Contents><Key>{escape(key)}</Key>{stated}</Contents>"


def _digest(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()  # as S3 does


@contextmanager
def s3_server() -> Iterator[tuple[str, type[Handler]]]:
    """Serve one empty bucket; yield the endpoint and what it holds."""
    handler = type("S3", (Handler,), {"objects": {}, "parts": {}, "requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def a_prefix(prefix: str) -> Iterator[tuple[dict[str, bytes], S3Store]]:
    """Yield the objects of a bucket by whole key, to be changed at will, and the client of one prefix in it."""
    with s3_server() as (endpoint, bucket):
        keys = {"access_key_id": "x", "secret_access_key": "y", "region": "z"}
        yield bucket.objects, S3Store(BUCKET, prefix=prefix, endpoint=endpoint, client_options={"allow_http": True}, **keys)
