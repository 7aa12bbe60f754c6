"""Ask other servers, without being used against our own network: http and https only, the address looked up first and then used.

Every redirect is checked like the first address. The connection goes to the very address that was checked, so that a name which
answers differently the second time (DNS rebinding) leads nowhere. Bodies, time and redirects are bounded.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

from fairlead.errors import InvalidInput, NotPermitted, ServiceUnreachable

type Resolve = Callable[[str, int], list[str]]
MAX_DOCUMENT: Final = 8 * 1024 * 1024
MAX_REDIRECTS: Final = 5
TIMEOUT_S: Final = 20.0
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""Stands for an IPv4 address, which is what is asked in the end (RFC 6052 section 2.1)."""
AGENT: Final = "fairlead-harvester (+https://github.com/fairlead/fairlead)"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. ``url`` is where the last redirect led; ``headers`` have lower-case names."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """Media type without parameters, lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host; raise ServiceUnreachable."""
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError) as error:
        raise ServiceUnreachable(f"The host {host[:100]} is not known.", remedy="Correct the address.") from error


def is_public(address: str) -> bool:
    """Return whether an address belongs to the open Internet (IANA special-purpose registries).

    >>> [is_public(text) for text in ("93.184.216.34", "127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1")]
    [True, False, False, False, False, False, False]
    >>> is_public("64:ff9b::5db8:d822"), is_public("64:ff9b::a00:1")
    (True, False)
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, ipaddress.IPv6Address) and parsed in NAT64:
        parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    return parsed.is_global and not parsed.is_multicast


@dataclass(slots=True)
class Fetcher:
    """Asks servers for documents. ``private`` allows addresses that are not public; only by a setting."""

    private: bool = False
    resolve: Resolve = look_up
    transport: httpx.BaseTransport | None = None
    deadline_s: float = TIMEOUT_S
    max_bytes: int = MAX_DOCUMENT
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._client = httpx.Client(transport=self.transport, timeout=self.deadline_s, trust_env=False, headers={"User-Agent": AGENT})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Answer:
        """Return the answer of a server after at most :data:`MAX_REDIRECTS` redirects; every status is an answer.

        Raises
        ------
        InvalidInput : no http or https address, too many redirects, or an answer that is too large.
        NotPermitted : the address is inside a private network.
        ServiceUnreachable : no answer, or none in time.
        """
        ends = time.monotonic() + self.deadline_s
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._ask(url, headers or {}, method=method, ends=ends)
            if answer.status not in REDIRECTS or "location" not in answer.headers:
                return answer
            url = urljoin(url, answer.headers["location"])
        raise InvalidInput(f"More than {MAX_REDIRECTS} redirects.", remedy="Give the address they lead to.")

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return what a server says to a document; redirects are answers, since the document is for that server and for no other.

        Raises
        ------
        InvalidInput, NotPermitted, ServiceUnreachable : as :meth:`get`.
        """
        return self._ask(url, headers, method="POST", ends=time.monotonic() + self.deadline_s, content=body)

    def _ask(self, url: str, headers: Mapping[str, str], *, method: str, ends: float, content: bytes | None = None) -> Answer:
        host, address = self._checked(url)
        target = httpx.URL(url)
        pinned = target.copy_with(host=address, userinfo=b"", fragment=None)
        shown = target.netloc.decode("ascii").rpartition("@")[2]
        request = self._client.build_request(
            method,
            pinned,
            content=content,
            headers={**headers, "Host": shown},
            extensions={"sni_hostname": host, "timeout": _timeouts(ends)},
        )
        try:
            answer = self._client.send(request, stream=True)
            try:
                body = self._read(answer, ends)
            finally:
                answer.close()
        except httpx.HTTPError as error:
            raise ServiceUnreachable(f"{shown} does not answer ({type(error).__name__}).", remedy="Repeat later.") from error
        return Answer(url.partition("#")[0], answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)

    def _checked(self, url: str) -> tuple[str, str]:
        """Return host and address of a URL that may be asked."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            httpx.URL(url)
        except (ValueError, httpx.InvalidURL) as error:
            raise InvalidInput("This is no address.", remedy="Give an http or https address.") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(f"Only http and https are asked, not {parts.scheme[:20]!r}.", remedy="Give an http or https address.")
        addresses = self.resolve(parts.hostname, port)
        if not addresses or (not self.private and not all(is_public(address) for address in addresses)):
            raise NotPermitted(
                f"{parts.hostname[:100]} is inside a private network.", remedy="Set catalog.harvest_private if that catalogue is yours."
            )
        return parts.hostname, addresses[0]

    def _read(self, answer: httpx.Response, ends: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in answer.iter_bytes(64 * 1024):
            size += len(part)
            if size > self.max_bytes:
                raise InvalidInput(f"The answer has more than {self.max_bytes} bytes.", remedy="Ask the other side for pages.")
            if time.monotonic() > ends:
                raise ServiceUnreachable("The answer takes too long.", remedy="Repeat later.")
            parts.append(part)
        return b"".join(parts)


def _timeouts(ends: float) -> dict[str, float]:
    left = max(0.1, ends - time.monotonic())
    return {"connect": left, "read": left, "write": left, "pool": left}
