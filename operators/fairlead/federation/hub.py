"""The hub that this installation is: its identity, the centres it accepted, and the way to them, from the settings."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import Engine

from fairlead.errors import InvalidConfiguration
from fairlead.federation.asking import CONNECT_S, Asking, CenterAnswer, HttpPost, fan_out
from fairlead.federation.centers import Center, Centers
from fairlead.federation.mailbox import Mailbox, MailboxPost
from fairlead.federation.signing import HUB_KEY, Identity, load_identity
from fairlead.records import JsonObject
from fairlead.settings import Settings


@dataclass(frozen=True, slots=True)
class Hub:
    """Everything that asking needs."""

    settings: Settings
    engine: Engine
    identity: Identity

    @staticmethod
    def open(settings: Settings, engine: Engine) -> Hub:
        """Return the hub of this installation; its key is made at first need."""
        return Hub(settings, engine, load_identity(settings.secrets_folder, HUB_KEY))

    @property
    def centers(self) -> Centers:
        """The centres that this hub knows."""
        return Centers(self.engine)

    def asking(self, *, project: str = "", purpose: str = "", person: str, wait_s: float | None = None) -> Asking:
        """Return who asks for what, with the settings' project and purpose unless others are given.

        Raises
        ------
        InvalidConfiguration : neither the caller nor the settings name project and purpose.
        """
        known = self.settings.federation
        project, purpose = project or known.project, purpose or known.purpose
        if not project or not purpose:
            raise InvalidConfiguration(
                "No project or no purpose is given to ask under.",
                remedy="Give --project and --purpose as the centres approved them, or set federation.project and federation.purpose.",
            )
        return Asking(known.hub, self.identity, project, purpose, person, wait_s if wait_s is not None else known.wait_s)

    async def ask(
        self, definition: JsonObject, *, asking: Asking, path: str = "/v1/count", fields: Sequence[str] = (), only: Sequence[str] = ()
    ) -> AsyncIterator[CenterAnswer]:
        """Yield the answers of all accepted centres, or of those named."""
        wanted = [center for center in self.centers.list(accepted=True) if not only or center.name in only]
        async with httpx.AsyncClient(**_client(self.settings, asking.wait_s)) as client:
            http = HttpPost(client, self.settings.federation.token.get_secret_value())
            mail = MailboxPost(Mailbox(self.engine))

            async def post(center: Center, path: str, body: bytes, signature: str) -> bytes:
                """Send a message the centre's way: to its address, or into its mailbox."""
                return await (mail if center.mode == "pull" else http)(center, path, body, signature)

            async for answer in fan_out(wanted, definition, asking=asking, post=post, path=path, fields=fields):
                yield answer


def _client(settings: Settings, wait_s: float) -> dict[str, Any]:
    known = settings.federation
    options: dict[str, Any] = {"timeout": httpx.Timeout(wait_s, connect=min(CONNECT_S, wait_s)), "trust_env": False}
    if known.ca_file is None and known.certificate is None:
        return options
    context = ssl.create_default_context(cafile=str(known.ca_file) if known.ca_file else None)
    if known.certificate is not None:
        context.load_cert_chain(str(known.certificate), str(known.key) if known.key else None)
    return options | {"verify": context}
