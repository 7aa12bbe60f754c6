"""What S3 answers to the requests that our store makes: conditional put, parts, get, head, list; signatures are not looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Handler(BaseHTTPRequestHandler):
    """One bucket in memory, by path; ``parts`` holds uploads that nobody has completed, ``requests`` what was asked."""

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
        return unquote(parts.path), query, self.rfile.read(int(self.headers.get("Content-Length") or 0))

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
        return self._answer(200, etag=hashlib.md5(body).hexdigest())  # noqa: S324  # as S3 does

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
            return self._answer(200, self._listing(key.rstrip("/") + "/", query.get("prefix", "")).encode())
        if key not in self.objects:
            return self._answer(404)
        return self._answer(200, self.objects[key], etag=hashlib.md5(self.objects[key]).hexdigest())  # noqa: S324

    do_HEAD = do_GET

    def _listing(self, bucket: str, prefix: str) -> str:
        rows = "".join(
            f"<Contents><Key>{escape(key.removeprefix(bucket))}</Key><Size>{len(body)}</Size>"
            '<ETag>"x"</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>'
            for key, body in self.objects.items()
            if key.startswith(bucket + prefix)
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"


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
