"""Bytes from a bucket: where a version was mirrored as a whole, requests for its files are sent there with an address signed for them.

What our own pages ask for stays here: their content security policy lets nothing else in. Source: Amazon S3, presigned requests;
RFC 9110 section 15.4.8 (307 keeps method and Range).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from fairlead.errors import FairleadError
from fairlead.storage import bucket_errors, open_bucket

logger = logging.getLogger(__name__)
GOOD_FOR: Final = timedelta(minutes=15)
ASK_AGAIN_S: Final = 60.0
"""How long a version that is not there, or a bucket that does not answer, is served from here before the bucket is asked again."""
FOR_GOOD: Final = float("inf")
LAST: Final = "record.ttl"
"""The mirror writes it after everything else: where it is, everything is."""


class Mirrored:
    """The bucket that ``catalog.bucket`` names, where ``fairlead mirror`` copied public datasets to."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._lock = Lock()
        self._bucket: Any = None
        self._known: dict[str, float] = {}

    def elsewhere(self, request: Request, folder: Path, file: Path) -> Response | None:
        """Return the redirect to a file of a version in the bucket; None when it is to be served from here."""
        if not self._url or request.headers.get("sec-fetch-site") == "same-origin":
            return None
        version = f"{folder.parent.name}/{folder.name}"
        if not self._has(version):
            return None
        from obstore import sign

        key = f"{version}/{file.relative_to(folder).as_posix()}"
        address = sign(self._bucket, "HEAD" if request.method == "HEAD" else "GET", key, expires_in=GOOD_FOR)
        return Response(status_code=307, headers={"Location": address, "Cache-Control": "no-store"})

    def _has(self, version: str) -> bool:
        """Return whether a version is there as a whole; a bucket that does not answer has nothing, and the bytes are here too."""
        with self._lock:
            until = self._known.get(version, 0.0)
            if self._clock() < until:
                return until == FOR_GOOD
            self._known[version] = self._clock() + ASK_AGAIN_S  # nobody else waits while one asks
        try:
            self._bucket = self._bucket or open_bucket(self._url)
            with bucket_errors():
                self._bucket.head(f"{version}/{LAST}")
        except FileNotFoundError:
            return False
        except FairleadError as error:
            logger.warning("catalog.bucket does not answer: %s", error.code)
            return False
        self._known[version] = FOR_GOOD
        return True
