"""Who may write: local users with argon2id hashes, and signed tokens that expire. There is no default user and no default secret.

Source: RFC 7519 (JWT, HS256).
"""

from __future__ import annotations

import base64
import hmac
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import BoundedSemaphore, Lock
from typing import Final, Literal

from sqlalchemy import Engine, bindparam, func, insert, select, update

from fairlead.catalog.passwords import NOBODY, check_password, hash_password, is_current
from fairlead.catalog.tables import users
from fairlead.database import utc_now
from fairlead.errors import Conflict, FairleadError, InvalidInput, NotFound, Unauthenticated
from fairlead.keys import load_project_key
from fairlead.publish.store import store_errors
from fairlead.publish.vocabulary import EMAIL
from fairlead.settings import Settings

type Role = Literal["admin", "user"]
SIGNING_KEY: Final = "catalog-tokens"
MIN_PASSWORD: Final = 12
MAX_PASSWORD: Final = 1024
MAX_ADDRESS: Final = 256
TOKEN_LIFE_S: Final = 12 * 3600
MAX_FAILURES: Final = 10
FORGET_S: Final = 300
MAX_WATCHED: Final = 10_000
HASHES_AT_ONCE: Final = 2
"""Each costs 19 MB and some 30 ms: strangers must not be able to ask for hundreds at once."""
LOGINS_AT_ONCE: Final = 8
"""Those that wait hold a thread each, of the forty that readers are served by; who comes when so many wait is sent away at once."""
WAIT_S: Final = 2.0

ONE: Final = (
    select(users)
    .where(func.lower(users.c.email) == func.lower(bindparam("email")))
    .order_by(users.c.email != bindparam("email"), users.c.email)
    .limit(1)
)
"""Made once: every request of a user asks for it. Nobody's mailboxes differ by the case of letters only (RFC 5321 section 2.4)."""


class NotAuthenticated(FairleadError):
    """No token, or one that does not hold."""

    code = "not-authenticated"
    default_remedy = "Get a token with POST /tokens and send it as Authorization: Bearer."


class TooManyAttempts(FairleadError):
    """Too many wrong passwords for one account."""

    code = "too-many-attempts"
    default_remedy = f"Wait {FORGET_S} seconds."


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may write."""

    email: str
    role: Role

    @property
    def is_admin(self) -> bool:
        """Whether this user may change records of others."""
        return self.role == "admin"


class Accounts:
    """Users of one catalogue, and the tokens that stand for them."""

    def __init__(self, settings: Settings, engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = Lock()
        self._logins, self._hashing = BoundedSemaphore(LOGINS_AT_ONCE), BoundedSemaphore(HASHES_AT_ONCE)

    def add(self, email: str, password: str, role: Role | None = None, *, reset: bool = False) -> User:
        """Add a user; with ``reset`` give an existing one a new password, and the role when one is named.

        Raises
        ------
        Conflict : there is one already, in whatever case the address is written, and nothing was to be reset.
        InvalidInput : no e-mail address, or a password shorter than :data:`MIN_PASSWORD`.
        """
        if not _is_address(email):
            raise InvalidInput(f"{email[:80]!r} is no e-mail address.", remedy="Users are known by their e-mail address.")
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise InvalidInput(f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.", remedy="Choose another.")
        digest = hash_password(password)
        with store_errors(), self._engine.begin() as connection:
            known = connection.execute(ONE, {"email": email}).one_or_none()
            if known is None:
                connection.execute(insert(users).values(email=email, created_at=self._clock(), role=role or "user", password_hash=digest))
                return User(email, role or "user")
            if not reset:
                raise Conflict(f"{known.email} is here already, as {known.role}; nothing was changed.", remedy="See --reset-password.")
            connection.execute(update(users).where(users.c.email == known.email).values(role=role or known.role, password_hash=digest))
        return User(known.email, role or known.role)

    def get(self, email: str) -> User:
        """Return a user; raise NotFound."""
        with store_errors(), self._engine.connect() as connection:
            row = connection.execute(ONE, {"email": email}).one_or_none()
        if row is None:
            raise NotFound("There is no such user.")
        return User(row.email, row.role)

    def token(self, email: str, password: str) -> str:
        """Return a token for the user whose password this is.

        Raises
        ------
        NotAuthenticated : no such user or another password; which of them is not told.
        TooManyAttempts : the account was tried too often.
        """
        wrong = NotAuthenticated("The e-mail address or the password is wrong.", remedy="Ask an administrator of this catalogue.")
        if not _is_address(email) or len(password) > MAX_PASSWORD:
            raise wrong  # nobody has such a one, and none of them is remembered
        self._check_attempts(email.lower())
        with store_errors(), self._engine.connect() as connection:
            row = connection.execute(ONE, {"email": email}).one_or_none()
        with self._turn():
            holds = check_password(password, row.password_hash if row else NOBODY)
            renewed = hash_password(password) if row and holds and not is_current(row.password_hash) else None
        if not holds or row is None:
            self._count_failure(email.lower())
            raise wrong
        with self._lock:
            self._failures.pop(email.lower(), None)
        if renewed is not None:
            self._store_hash(row.email, renewed)
        return self.issue(row.email)

    def _store_hash(self, email: str, password_hash: str) -> None:
        with store_errors(), self._engine.begin() as connection:
            connection.execute(update(users).where(users.c.email == email).values(password_hash=password_hash))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for a turn to hash; raise TooManyAttempts when too many wait, or for too long."""
        busy = TooManyAttempts("Too many are logging in at once.", remedy="Repeat in a moment.")
        if not self._logins.acquire(blocking=False):
            raise busy
        try:
            if not self._hashing.acquire(timeout=WAIT_S):
                raise busy
            try:
                yield
            finally:
                self._hashing.release()
        finally:
            self._logins.release()

    def issue(self, email: str) -> str:
        """Return a token for a user who has proved to be one."""
        claims = {"sub": email, "exp": int(self._clock().timestamp()) + TOKEN_LIFE_S}
        head = _b64(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        signed = f"{head}.{_b64(json.dumps(claims).encode())}"
        return f"{signed}.{_b64(self._sign(signed))}"

    def user_of(self, authorization: str | None) -> User | None:
        """Return who sends a request, None for anonymous ones.

        Raises
        ------
        NotAuthenticated : a token that is malformed, forged, expired, or of a user who is gone.
        """
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise NotAuthenticated("Only bearer tokens are known here.")
        if self._settings.catalog.oidc.keys_file is not None and not _is_ours(token):
            return self._of_provider(authorization)
        try:
            signed, _, signature = token.strip().rpartition(".")
            if not hmac.compare_digest(self._sign(signed), _unb64(signature)):
                raise ValueError("signature")
            claims = json.loads(_unb64(signed.partition(".")[2]))
            if claims["exp"] < self._clock().timestamp():
                raise ValueError("expired")
            return self.get(str(claims["sub"]))
        except (ValueError, KeyError, TypeError, NotFound) as error:
            raise NotAuthenticated("The token does not hold, or has expired.") from error

    def _of_provider(self, authorization: str) -> User:
        """Return the user whose verified e-mail address a token of the identity provider names (OpenID Connect Core 5.1)."""
        from fairlead.federation import Bearer, check_bearer  # numpy: not before such a token comes

        oidc = self._settings.catalog.oidc
        if oidc.keys_file is None:
            raise NotAuthenticated("No identity provider is known here.")
        try:
            claims = check_bearer(
                authorization, Bearer(issuer=oidc.issuer, audience=oidc.audience, keys_file=oidc.keys_file), now=self._clock()
            )
            if claims.get("email_verified") is not True:
                raise NotAuthenticated("The identity provider has not verified the e-mail address.")
            return self.get(str(claims.get("email", "")))
        except (Unauthenticated, NotFound) as error:
            raise NotAuthenticated("The token does not hold, or its user is not known here.", remedy="Ask an administrator.") from error

    def _sign(self, text: str) -> bytes:
        key = load_project_key(self._settings.secrets_folder, SIGNING_KEY)
        return hmac.digest(key, text.encode(), "sha256")

    def _check_attempts(self, email: str) -> None:
        with self._lock:
            number, since = self._failures.get(email, (0, 0.0))
            if self._clock().timestamp() - since > FORGET_S:
                self._failures.pop(email, None)
            elif number >= MAX_FAILURES:
                raise TooManyAttempts("There were too many wrong passwords for this account.")

    def _count_failure(self, email: str) -> None:
        with self._lock:
            number, _ = self._failures.get(email, (0, 0.0))
            self._failures[email] = (number + 1, self._clock().timestamp())
            while len(self._failures) > MAX_WATCHED:
                self._failures.popitem(last=False)


def _is_address(email: str) -> bool:
    return len(email) <= MAX_ADDRESS and EMAIL.fullmatch(email) is not None


def _is_ours(token: str) -> bool:
    """Return whether a token says that we signed it; what it says is checked afterwards, and ours are checked with our key only."""
    try:
        return bool(json.loads(_unb64(token.strip().partition(".")[0]))["alg"] == "HS256")
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode("ascii", "replace") + b"=" * (-len(text) % 4))
