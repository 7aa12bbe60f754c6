"""An audit line as a DICOM audit message (PS3.15 section A.5, after RFC 3881), for repositories that understand nothing else.

A transfer is *DICOM Instances Transferred* (A.5.3.7), a refused association a *Security Alert* about node authentication
(A.5.3.11). Both tables want to know whose data it was; our audit trail holds no patient, so those identifiers say WITHHELD.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, tostring

WITHHELD: Final = "withheld"
TRANSFERRED: Final = ("110104", "DICOM Instances Transferred")
ALERT: Final = ("110113", "Security Alert")
NODE_AUTHENTICATION: Final = ("110126", "Node Authentication")
SOURCE: Final = ("110153", "Source Role ID")
DESTINATION: Final = ("110152", "Destination Role ID")
STUDY_UID: Final = ("110180", "Study Instance UID")
PATIENT_NUMBER: Final = ("2", "Patient Number")
SUCCESS, MINOR_FAILURE = "0", "4"
ADDRESS: Final = "2"
"""Network access point type: an IP address (PS3.15 Table A.5.2-1)."""


def audit_message(line: Mapping[str, Any]) -> str | None:
    """Return one line of the audit trail as XML without line breaks, None when it is no event of the standard (nothing was sent)."""
    if line["result"] == "rejected":
        return _text(_alert(line))
    if line["stored"] is None or line["stored"] or line["refused"]:
        return _text(_transfer(line))
    return None


def _text(message: Element) -> str:
    return tostring(message, encoding="unicode")


def _transfer(line: Mapping[str, Any]) -> Element:
    well = line["result"] == "released" and not line["refused"]
    message = _message(line, TRANSFERRED, action="C", outcome=SUCCESS if well else MINOR_FAILURE)
    _sender(message, line)
    _receiver(message, line)
    _source(message, line)
    study = _object(message, kind="2", role="3", meaning=STUDY_UID)
    for name in ("association", "result", "stored", "refused", "bytes", "project"):
        if line[name] is not None:
            SubElement(study, "ParticipantObjectDetail", {"type": name, "value": _base64(str(line[name]))})
    _object(message, kind="1", role="1", meaning=PATIENT_NUMBER)
    return message


def _alert(line: Mapping[str, Any]) -> Element:
    message = _message(line, ALERT, action="E", outcome=MINOR_FAILURE)
    _code(message[0], "EventTypeCode", NODE_AUTHENTICATION)
    SubElement(message[0], "EventOutcomeDescription").text = _clean(line["reason"])
    _receiver(message, line)
    _sender(message, line)
    _source(message, line)
    return message


def _message(line: Mapping[str, Any], event: tuple[str, str], *, action: str, outcome: str) -> Element:
    message = Element("AuditMessage")
    about = {"EventActionCode": action, "EventDateTime": line["at"], "EventOutcomeIndicator": outcome}
    _code(SubElement(message, "EventIdentification", about), "EventID", event)
    return message


def _sender(message: Element, line: Mapping[str, Any]) -> None:
    about = {"UserID": _clean(line["calling_ae"]) or line["peer"], "UserIsRequestor": "true"}
    if line["tls_subject"]:
        about["AlternativeUserID"] = _clean(line["tls_subject"])
    about |= {"NetworkAccessPointID": line["peer"], "NetworkAccessPointTypeCode": ADDRESS}
    _code(SubElement(message, "ActiveParticipant", about), "RoleIDCode", SOURCE)


def _receiver(message: Element, line: Mapping[str, Any]) -> None:
    about = {"UserID": _clean(line["called_ae"]) or "FAIRLEAD", "UserIsRequestor": "false"}
    _code(SubElement(message, "ActiveParticipant", about), "RoleIDCode", DESTINATION)


def _source(message: Element, line: Mapping[str, Any]) -> None:
    about = {"AuditSourceID": "fairlead-node"} | ({"AuditEnterpriseSiteID": line["center"]} if line["center"] else {})
    source = SubElement(message, "AuditSourceIdentification", about)
    SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})  # an application server process


def _object(message: Element, *, kind: str, role: str, meaning: tuple[str, str]) -> Element:
    about = {"ParticipantObjectID": WITHHELD, "ParticipantObjectTypeCode": kind, "ParticipantObjectTypeCodeRole": role}
    found = SubElement(message, "ParticipantObjectIdentification", about)
    _code(found, "ParticipantObjectIDTypeCode", meaning, system="RFC-3881" if meaning is PATIENT_NUMBER else "DCM")
    SubElement(found, "ParticipantObjectName").text = WITHHELD  # the schema of A.5.1 wants a name or a query
    return found


def _code(parent: Element, name: str, code: tuple[str, str], *, system: str = "DCM") -> None:
    SubElement(parent, name, {"csd-code": code[0], "codeSystemName": system, "originalText": code[1]})


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _clean(text: str) -> str:
    """Replace what XML 1.0 cannot hold: a peer chooses its titles."""
    return "".join(c if c.isprintable() else "?" for c in text)
