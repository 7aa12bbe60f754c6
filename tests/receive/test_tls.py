"""DICOM TLS: certificates made here, pynetdicom as the peer, raw sockets as the ones that should not get in."""

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pynetdicom import AE

from fairlead.errors import InvalidConfiguration
from fairlead.receive import DicomNode
from receive.builders import CT, ECHO, EXPLICIT, IMPLICIT, a_slice, echo, keep_answers, quick, running, send, wait_for
from receive.raw import associate_request, closed, connect


@dataclass(frozen=True)
class Identity:
    certificate: Path
    key: Path


def issue(folder: Path, name: str, authority: tuple | None = None) -> tuple:
    """Write <name>.pem and <name>.key; return (certificate, key) for issuing more."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, issuer_key = (authority[0].subject, authority[1]) if authority else (subject, key)
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    certificate = builder.add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
    certificate = certificate.sign(issuer_key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(secret)
    return certificate, key


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    hospital, elsewhere = issue(folder, "hospital"), issue(folder, "elsewhere")
    for name in ("node", "ct", "mr"):
        issue(folder, name, hospital)
    issue(folder, "stranger", elsewhere)
    return folder


def tls(keys: Path, **more: object) -> dict[str, object]:
    return {"certificate": keys / "node.pem", "key": keys / "node.key", "ca_file": keys / "hospital.pem"} | more


def context(keys: Path, name: str | None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.load_verify_locations(keys / "hospital.pem")
    if name:
        made.load_cert_chain(keys / f"{name}.pem", keys / f"{name}.key")
    return made


def secured(port: int, keys: Path, name: str | None):
    ae = AE("SCANNER")
    ae.add_requested_context(ECHO, IMPLICIT)
    ae.add_requested_context(CT, EXPLICIT)
    found = ae.associate("127.0.0.1", port, ae_title="FAIRLEAD", tls_args=(context(keys, name), "node"))
    keep_answers(found)
    return found


def leave(association) -> None:
    connection = association.dul.socket.socket
    association.release()
    connection.close()


def test_the_certificate_decides_where_objects_belong(tmp_path, keys):
    routes = tmp_path / "routes.yaml"
    routes.write_text(
        "routes:\n"
        "  - {name: ct, project: trauma, center: a, from_networks: [127.0.0.0/8], tls_subjects: [ct]}\n"
        "  - {name: mr, project: brain, center: a, from_networks: [127.0.0.0/8], tls_subjects: [mr]}\n"
    )
    with running(quick(tmp_path / "home", routes=routes, tls=tls(keys))) as (node, port):
        for number, name in enumerate(("ct", "mr"), start=1):
            peer = secured(port, keys, name)
            assert send(peer, a_slice(1, series=number)) == 0
            leave(peer)
        wait_for(lambda: node.ledger.waiting() == 2)
        found = {(one.route.tls_subject, one.route.project) for one in node.ledger.claim_series(9, claimant="test")}
    assert found == {("ct", "trauma"), ("mr", "brain")}


@pytest.mark.parametrize("name", [None, "stranger"], ids=["no certificate", "a certificate of another authority"])
def test_whoever_has_no_certificate_of_ours_gets_no_association(tmp_path, keys, name):
    with running(quick(tmp_path, tls=tls(keys))) as (_, port):
        said = b""
        with connect(port) as raw:
            try:
                with context(keys, name).wrap_socket(raw, server_hostname="node") as inside:
                    inside.sendall(associate_request())
                    said = inside.recv(10)
            except OSError:
                pass  # with TLS 1.3 the refusal arrives after the peer's side of the handshake
        assert said == b""
        peer = secured(port, keys, "ct")
        assert peer.send_c_echo().Status == 0
        leave(peer)


def test_peers_that_never_finish_the_handshake_keep_nobody_waiting(tmp_path, keys):
    with running(quick(tmp_path, tls=tls(keys), acse_timeout_s=20)) as (node, port):
        silent = [connect(port) for _ in range(5)]
        silent[0].sendall(b"\x16\x03\x01\x02\x00\x01")  # the begin of a ClientHello
        wait_for(lambda: node.associations() == 5)
        peer = secured(port, keys, "mr")
        assert peer.send_c_echo().Status == 0
        assert node.associations() == 6
        leave(peer)
        for raw in silent:
            raw.close()


def test_a_silent_peer_is_closed_at_the_deadline(tmp_path, keys):
    with running(quick(tmp_path, tls=tls(keys), acse_timeout_s=0.3)) as (node, port), connect(port) as raw:
        assert closed(raw) == b""
        wait_for(lambda: node.associations() == 0)


def test_plain_dicom_is_refused_on_the_tls_port_and_taken_on_the_second_one(tmp_path, keys):
    with running(quick(tmp_path, tls=tls(keys, plain_port=0))) as (node, port):
        with connect(port) as raw:
            raw.sendall(associate_request())
            assert closed(raw)[:1] != b"\x02"
        assert echo(node.plain_address[1]) == 0


def test_an_old_protocol_is_refused(tmp_path, keys):
    old = context(keys, "ct")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with running(quick(tmp_path, tls=tls(keys))) as (_, port), connect(port) as raw, pytest.raises(ssl.SSLError):
        old.wrap_socket(raw, server_hostname="node")


def test_without_mutual_tls_a_peer_needs_no_certificate(tmp_path, keys):
    with running(quick(tmp_path, tls=tls(keys, mutual=False, ca_file=None))) as (_, port):
        peer = secured(port, keys, None)
        assert peer.send_c_echo().Status == 0
        leave(peer)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"ca_file": None}, "ca_file"), ({"certificate": Path("/nowhere.pem")}, "node.tls"), ({"key": None}, "node.tls")],
)
def test_files_that_do_not_fit_are_named_at_the_start(tmp_path, keys, wrong, message):
    with pytest.raises(InvalidConfiguration, match=message):
        DicomNode(quick(tmp_path, tls=tls(keys) | wrong)).start()
