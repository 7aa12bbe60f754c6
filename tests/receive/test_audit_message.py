"""The audit trail as DICOM audit messages: what PS3.15 A.5 requires, and nobody's name."""

from datetime import UTC, datetime
from xml.etree.ElementTree import fromstring

from lxml import etree

from fairlead.receive.audit import AuditLine, AuditTrail
from fairlead.receive.ledger import OpenAssociation
from receive.builders import STUDY, a_slice, association, quick, running, send, wait_for
from receive.raw import rejection

CODE = """<attribute name="csd-code"/><attribute name="codeSystemName"/><attribute name="originalText"/>"""
SCHEMA = f"""<element name="AuditMessage" xmlns="http://relaxng.org/ns/structure/1.0"
  datatypeLibrary="http://www.w3.org/2001/XMLSchema-datatypes">
<element name="EventIdentification">
  <attribute name="EventActionCode"><data type="string"><param name="pattern">[CRUDE]</param></data></attribute>
  <attribute name="EventDateTime"><data type="dateTime"/></attribute>
  <attribute name="EventOutcomeIndicator"><choice><value>0</value><value>4</value><value>8</value><value>12</value></choice></attribute>
  <element name="EventID">{CODE}</element>
  <zeroOrMore><element name="EventTypeCode">{CODE}</element></zeroOrMore>
  <optional><element name="EventOutcomeDescription"><text/></element></optional>
</element>
<oneOrMore><element name="ActiveParticipant">
  <attribute name="UserID"/><optional><attribute name="AlternativeUserID"/></optional>
  <attribute name="UserIsRequestor"><data type="boolean"/></attribute>
  <optional><attribute name="NetworkAccessPointID"><data type="token"/></attribute></optional>
  <optional><attribute name="NetworkAccessPointTypeCode"><data type="int"><param name="maxInclusive">5</param></data></attribute></optional>
  <zeroOrMore><element name="RoleIDCode">{CODE}</element></zeroOrMore>
</element></oneOrMore>
<element name="AuditSourceIdentification">
  <optional><attribute name="AuditEnterpriseSiteID"/></optional><attribute name="AuditSourceID"/>
  <zeroOrMore><element name="AuditSourceTypeCode"><attribute name="csd-code"/></element></zeroOrMore>
</element>
<zeroOrMore><element name="ParticipantObjectIdentification">
  <attribute name="ParticipantObjectID"/>
  <attribute name="ParticipantObjectTypeCode"><data type="int"><param name="maxInclusive">4</param></data></attribute>
  <attribute name="ParticipantObjectTypeCodeRole"><data type="int"><param name="maxInclusive">26</param></data></attribute>
  <element name="ParticipantObjectIDTypeCode">{CODE}</element>
  <choice><element name="ParticipantObjectName"><text/></element>
    <element name="ParticipantObjectQuery"><data type="base64Binary"/></element></choice>
  <zeroOrMore><element name="ParticipantObjectDetail">
    <attribute name="type"/><attribute name="value"><data type="base64Binary"/></attribute>
  </element></zeroOrMore>
</element></zeroOrMore>
</element>"""
"""PS3.15 A.5.1.1 in the XML syntax of RELAX NG, as far as our messages go: what is mandatory there is mandatory here."""


def messages(folder):
    lines = [line for file in folder.glob("*.dicom-audit.xml") for line in file.read_text().splitlines()]
    schema = etree.RelaxNG(etree.fromstring(SCHEMA))
    for line in lines:
        schema.assertValid(etree.fromstring(line))
    return [fromstring(line) for line in lines]  # noqa: S314  # ours


def test_a_transfer_and_a_refusal_become_messages_and_an_echo_does_not(tmp_path):
    settings = quick(tmp_path / "home", audit_messages=True)
    folder = settings.archive_folder / "audit"
    with running(settings) as (_, port):
        rejection(port, called=b"OTHER")
        with association(port):
            pass
        with association(port) as peer:
            assert send(peer, a_slice()) == 0
        wait_for(lambda: len(messages(folder)) == 2)
    alert, transfer = messages(folder)
    assert [child.tag for child in transfer] == [
        "EventIdentification",
        "ActiveParticipant",
        "ActiveParticipant",
        "AuditSourceIdentification",
        "ParticipantObjectIdentification",
        "ParticipantObjectIdentification",
    ]
    event = transfer.find("EventIdentification")
    assert (event.get("EventActionCode"), event.get("EventOutcomeIndicator")) == ("C", "0")
    assert event.find("EventID").attrib == {"csd-code": "110104", "codeSystemName": "DCM", "originalText": "DICOM Instances Transferred"}
    assert datetime.fromisoformat(event.get("EventDateTime")).tzinfo is not None
    roles = [(one.get("UserID"), one.get("UserIsRequestor"), one.find("RoleIDCode").get("csd-code")) for one in transfer[1:3]]
    assert roles == [("SCANNER", "true", "110153"), ("FAIRLEAD", "false", "110152")]
    assert {one.get("ParticipantObjectID") for one in transfer.findall("ParticipantObjectIdentification")} == {"withheld"}
    assert alert.find("EventIdentification/EventID").get("csd-code") == "110113"
    assert alert.find("EventIdentification/EventTypeCode").get("csd-code") == "110126"
    text = "".join(file.read_text() for file in folder.iterdir())
    assert not any(word in text for word in (STUDY, "Doe", "secret-id"))


def test_titles_that_xml_cannot_hold_and_lost_associations_are_written_all_the_same(tmp_path):
    trail = AuditTrail(tmp_path, lambda: datetime(2026, 1, 2, tzinfo=UTC), messages=True)
    trail.write(AuditLine("k", "10.0.0.1", 'A\x01<&"\u2028', "B", tls_subject="ct\x00", result="released", refused=1))
    trail.lost([OpenAssociation("x", "CT1", "FAIRLEAD", "10.0.0.2", datetime(2026, 1, 1, tzinfo=UTC))])
    refused, lost = messages(tmp_path)
    sender = refused.find("ActiveParticipant")
    assert (sender.get("UserID"), sender.get("AlternativeUserID")) == ('A?<&"?', "ct?")
    assert [one[0].get("EventOutcomeIndicator") for one in (refused, lost)] == ["4", "4"]
    assert (tmp_path / "2026-01-02.dicom-audit.xml").stat().st_mode & 0o777 == 0o640


def test_without_the_setting_there_are_no_messages(tmp_path):
    AuditTrail(tmp_path).write(AuditLine("k", "10.0.0.1", result="rejected"))
    assert [path.suffix for path in tmp_path.iterdir()] == [".jsonl"]
