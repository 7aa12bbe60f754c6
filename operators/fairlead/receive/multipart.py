"""multipart/related as it streams in (RFC 2387, PS3.18 section 8.6): parts one after the other, one network chunk in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from fairlead.errors import InvalidInput

HEADER_LIMIT_BYTES: Final = 16 * 1024
BOUNDARY_CHARACTERS: Final = 70


class BadMultipart(InvalidInput):
    """A request body that is not what its Content-Type says."""

    code = "bad-multipart"
    default_remedy = 'Send multipart/related; type="application/dicom" with one DICOM file per part (PS3.18 section 10.5).'


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its media type, and its bytes, which must be read before the next part is asked for."""

    media_type: str
    chunks: Iterator[bytes]


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """Return media type in lower case, and parameters of a Content-Type.

    >>> media_type('multipart/related; type="application/dicom"; boundary=x')
    ('multipart/related', {'type': 'application/dicom', 'boundary': 'x'})
    """
    kind, parameters = parse_options_header(header)
    return kind.decode("latin-1").lower(), {name.decode("latin-1"): value.decode("latin-1") for name, value in parameters.items()}


class MultipartStream:
    """Pulls parts out of a stream of chunks; the library's parser is a pushing one, so its events wait in a queue of one chunk's length."""

    def __init__(self, chunks: Iterator[bytes], boundary: str) -> None:
        if not 0 < len(boundary) <= BOUNDARY_CHARACTERS:
            raise BadMultipart("The Content-Type has no usable boundary.")
        self._chunks = chunks
        self._events: deque[tuple[str, bytes]] = deque()
        self._parser = MultipartParser(
            boundary.encode("latin-1"),
            {
                "on_part_begin": lambda: self._note("begin"),
                "on_header_field": lambda data, start, end: self._note("name", data[start:end]),
                "on_header_value": lambda data, start, end: self._note("value", data[start:end]),
                "on_header_end": lambda: self._note("header"),
                "on_headers_finished": lambda: self._note("headers"),
                "on_part_data": lambda data, start, end: self._note("data", data[start:end]),
                "on_part_end": lambda: self._note("end"),
                "on_end": lambda: self._note("finished"),
            },
        )

    def parts(self) -> Iterator[Part]:
        """Yield the parts in order; what a reader leaves of one is skipped.

        Raises
        ------
        BadMultipart : the body is malformed, or ends before its last boundary.
        """
        while self._next()[0] != "finished":  # a "begin"
            body = self._body()
            yield Part(self._headers(), body)
            for _ in body:
                pass

    def _note(self, kind: str, data: bytes = b"") -> None:
        self._events.append((kind, data))

    def _next(self) -> tuple[str, bytes]:
        while not self._events:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise BadMultipart("The body ends before its last boundary.")
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise BadMultipart("The body is not well-formed multipart.") from error
        return self._events.popleft()

    def _headers(self) -> str:
        found: dict[str, str] = {}
        name, value, left = b"", b"", HEADER_LIMIT_BYTES
        while True:
            kind, data = self._next()
            left -= len(data)
            if left < 0:
                raise BadMultipart("The headers of a part are longer than 16 KiB.")
            match kind:
                case "name":
                    name += data
                case "value":
                    value += data
                case "header":
                    found[name.decode("latin-1").lower()] = value.decode("latin-1")
                    name, value = b"", b""
                case "headers":
                    return media_type(found.get("content-type", ""))[0]

    def _body(self) -> Iterator[bytes]:
        while (event := self._next())[0] == "data":
            yield event[1]
