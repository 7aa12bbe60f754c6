"""Client certificates, and centres that are found through their own catalogues."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from fairlead.catalog import create_app
from fairlead.database import open_database
from fairlead.errors import Conflict
from fairlead.federation import Hub
from fairlead.federation.centers import Center
from fairlead.federation.discovery import discover
from fairlead.settings import CatalogSettings, FederationSettings, GatewaySettings, Settings
from federation.builders import EVERYBODY, a_center, key_of, patients_of, running
from migrated import migrated_engine


class Authority:
    """A certificate authority of a test (RFC 5280)."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self._key = folder, Ed25519PrivateKey.generate()
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._issue(self._name, self._key.public_key(), ca=True).public_bytes(Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return the files of a certificate for 127.0.0.1 and of its key."""
        key = Ed25519PrivateKey.generate()
        certificate, private = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate.write_bytes(self._issue(subject, key.public_key(), ca=False).public_bytes(Encoding.PEM))
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, private

    def _issue(self, subject: x509.Name, public: Any, *, ca: bool) -> x509.Certificate:
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = x509.CertificateBuilder(self._name, subject, public, x509.random_serial_number(), now - day, now + day)
        made = made.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True).add_extension(address, critical=False)
        usage = x509.KeyUsage(True, False, False, False, False, ca, ca, False, False)
        made = made.add_extension(usage, critical=True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return made.add_extension(issuer, critical=False).sign(self._key, None)


def test_a_gateway_with_an_authority_answers_only_who_shows_a_certificate_of_it(tmp_path, hub):
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    certificate, key = ours.issue("north")
    settings = a_center(tmp_path / "north", "north", {"hub-a": hub}, records=patients_of("north", each=5))
    tls = {"certificate": certificate, "key": key, "ca_file": ours.file}
    settings = settings.model_copy(update={"gateway": settings.gateway.model_copy(update=tls)})

    def asked(address: str, **certificates: Path) -> str:
        known = FederationSettings(hub="hub-a", project="lung", purpose="feasibility", wait_s=20, ca_file=ours.file, **certificates)
        keeper = Hub(Settings(home=tmp_path / "hub", federation=known), engine, hub)
        found = keeper.centers.found(Center("north", address, key_of(settings)))
        keeper.centers.accept("north", found.fingerprint, by="admin")

        async def ask() -> list[str]:
            return [one.state async for one in keeper.ask(EVERYBODY, asking=keeper.asking(person="u-1"))]

        return asyncio.run(ask())[0]

    engine = migrated_engine(Settings(home=tmp_path / "hub"))
    with running(settings) as (address,):
        assert address.startswith("https://")
        assert asked(address) == "offline"
        for authority, state in ((theirs, "offline"), (ours, "answered")):
            shown, private = authority.issue("hub")
            assert asked(address, certificate=shown, key=private) == state
    engine.dispose()


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Run an application on loopback and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)


def test_a_centre_is_found_through_its_own_catalogue_and_asked_after_its_fingerprint_is_accepted(open_center, tmp_path):
    from fairlead.federation.app import create_app as gateway_app

    gateway, _ = open_center()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with serving(gateway_app(gateway, url=where)) as address:
        told = Settings(home=tmp_path / "told", catalog=CatalogSettings(base_url=where), gateway=GatewaySettings(url=address))
        engine = migrated_engine(told)
        with serving(create_app(told, engine)) as catalogue:
            (found,) = discover(catalogue, private=True)
        engine.dispose()
    assert (found.name, found.public_key) == ("north", gateway.identity.public_key)
    assert "from 10 up" in found.summary["policy"]
    settings = Settings(home=tmp_path / "hub")
    migrated_engine(settings).dispose()
    hub = Hub.open(settings, open_database(settings))
    assert hub.centers.found(found).state == "found"
    assert hub.centers.list(accepted=True) == ()
    with pytest.raises(Conflict):
        hub.centers.accept("north", "0000", by="admin")
    assert hub.centers.accept("north", found.fingerprint, by="admin").state == "accepted"
    hub.engine.dispose()
