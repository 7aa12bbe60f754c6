"""DICOM TLS by the BCP 195 profile (PS3.15 B.9, RFC 9325): TLS 1.2 or newer, forward secrecy, authenticated ciphers."""

from __future__ import annotations

import ssl
from typing import Any, Final

from fairlead.errors import InvalidConfiguration
from fairlead.settings import NodeTlsSettings

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"


def server_context(settings: NodeTlsSettings) -> ssl.SSLContext | None:
    """Return how the node answers a TLS handshake, None when no certificate is configured.

    Raises
    ------
    InvalidConfiguration : files that are missing, do not fit together, or no authority for mutual TLS.
    """
    if settings.certificate is None:
        return None
    if settings.mutual and settings.ca_file is None:
        raise InvalidConfiguration(
            "Mutual TLS needs node.tls.ca_file.", remedy="Name the authorities of the client certificates, or set node.tls.mutual to false."
        )
    context = _with_identity(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), settings)
    context.verify_mode = ssl.CERT_REQUIRED if settings.mutual else ssl.CERT_NONE
    return context


def client_context(settings: NodeTlsSettings) -> ssl.SSLContext:
    """Return how the node calls a TLS peer: with its own certificate, and against its own authorities."""
    context = _with_identity(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), settings)
    context.check_hostname = False  # peers are named by address in routes.yaml; the authority is what is checked
    return context


def _with_identity(context: ssl.SSLContext, settings: NodeTlsSettings) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    try:
        if settings.certificate is not None:
            context.load_cert_chain(settings.certificate, settings.key)
        if settings.ca_file is not None:
            context.load_verify_locations(settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidConfiguration(f"The files of node.tls cannot be used: {error.strerror or type(error).__name__}.") from error
    return context


def common_name(connection: ssl.SSLSocket) -> str | None:
    """Return the subject's common name of the peer's certificate, None when it has shown none."""
    certificate: dict[str, Any] = dict(connection.getpeercert() or {})
    names = [str(value) for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    return names[0] if names else None
