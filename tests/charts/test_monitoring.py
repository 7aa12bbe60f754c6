"""Alerts and dashboard: every metric they name is one that the real programs show, every alert has its page in the runbooks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from charts.conftest import FAIRLEAD, Render, Rendered, metrics_named, one

pytestmark = pytest.mark.charts
GATEWAY = FAIRLEAD / "ci" / "gateway-values.yaml"
BACKUP = {"backup": {"enabled": True, "existingClaim": "backups", "keysClaim": "keys"}}
CHECKOUT = Path(__file__).parents[2]
RUNBOOKS = CHECKOUT / "docs" / "admin" / "runbooks.md"


@pytest.fixture(scope="module")
def watched(render: Render) -> Rendered:
    return render(FAIRLEAD, GATEWAY, values=BACKUP)


def rules(objects: Rendered) -> list[dict[str, str]]:
    found: list[dict[str, str]] = one(objects, "PrometheusRule", "x-fairlead")["spec"]["groups"][0]["rules"]
    return found


def test_every_alert_has_its_runbook_and_every_runbook_its_alert(watched: Rendered) -> None:
    sections = set(re.findall(r"^## (Fairlead\w+)", RUNBOOKS.read_text(), re.MULTILINE))
    assert {rule["alert"] for rule in rules(watched)} == sections
    assert len(sections) >= 10
    for rule in rules(watched):
        assert rule["annotations"]["runbook"] == f"docs/admin/runbooks.md#{rule['alert'].lower()}"  # type: ignore[index]


def test_the_page_lists_the_metrics_that_the_programs_have_and_no_other() -> None:
    sources = "".join(file.read_text() for file in (CHECKOUT / "operators" / "fairlead").rglob("*.py"))
    shown_by_programs = set(re.findall(r"\bfairlead_(?:node|exports|backup|catalog|gateway)(?:_[a-z]+)*", sources)) - {"fairlead_node"}
    page = (CHECKOUT / "docs" / "admin" / "observability.md").read_text()
    rows = dict(re.findall(r"^\| `(fairlead_\w+)` \| (counter|gauge|histogram) \|", page, re.MULTILINE))
    assert set(rows) == shown_by_programs
    assert {name for name, kind in rows.items() if kind == "counter"} == {name for name in rows if name.endswith("_total")}


def test_alerts_speak_of_their_own_namespace_and_their_brackets_close(watched: Rendered) -> None:
    for rule in rules(watched):
        assert rule["expr"].count('namespace="imaging"') == len(re.findall(r"fairlead_\w+\{", rule["expr"])) > 0
        for opening, closing in ("()", "{}", "[]"):
            assert rule["expr"].count(opening) == rule["expr"].count(closing)


def test_no_alert_waits_for_what_nobody_shows(render: Render) -> None:
    """absent() of a metric that is never shown is an alarm that never ends."""
    on = {"prometheusRule": {"enabled": True}}
    without_web = {name for rule in rules(render(values=on)) for name in metrics_named(rule["expr"])}
    assert {name.split("_")[1] for name in without_web} == {"catalog"}
    web = {"node": {"web": {"enabled": True, "existingSecret": "t"}}, "catalog": {"enabled": False}}
    assert {name.split("_")[1] for rule in rules(render(values=on | web)) for name in metrics_named(rule["expr"])} == {"node", "exports"}


def test_an_overdue_backup_is_alerted_where_backups_are_taken_and_the_node_shows_them(render: Render) -> None:
    given = {"prometheusRule": {"enabled": True, "backupAgeSeconds": 7}, "node": {"web": {"enabled": True, "existingSecret": "t"}}}
    overdue = {rule["alert"]: rule["expr"] for rule in rules(render(values=given | BACKUP))}["FairleadBackupOverdue"]
    assert overdue == 'time() - fairlead_backup_last_success_timestamp_seconds{namespace="imaging"} > 7'
    assert "FairleadBackupOverdue" not in {rule["alert"] for rule in rules(render(values=given))}


def test_the_gateway_is_scraped_unless_only_hubs_with_certificates_may_ask(render: Render) -> None:
    def monitors(**tls: object) -> list[str]:
        given = {"gateway": {"tls": tls}}
        return [each["metadata"]["name"] for each in render(FAIRLEAD, GATEWAY, values=given) if each["kind"] == "ServiceMonitor"]

    assert "x-fairlead-gateway" in monitors(mutual=False)
    assert "x-fairlead-gateway" not in monitors(mutual=True)


def test_thresholds_are_values(render: Render) -> None:
    given = {"prometheusRule": {"enabled": True, "queueAgeSeconds": 60, "diskFreeBytes": 1, "quarantine": 7, "catalogErrorShare": 0.5}}
    web = {"node": {"web": {"enabled": True, "existingSecret": "t"}}}
    found = {rule["alert"]: rule["expr"] for rule in rules(render(values=given | web))}
    assert found["FairleadQueueOld"].endswith("> 60")
    assert found["FairleadDiskLow"].endswith("< 1")
    assert "> 7 or" in found["FairleadQuarantineGrows"]
    assert found["FairleadCatalogErrors"].endswith("> 0.5")


def test_the_dashboard_is_a_dashboard(watched: Rendered) -> None:
    document = json.loads(one(watched, "ConfigMap", "x-fairlead-dashboard")["data"]["fairlead.json"])
    panels = document["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 10
    assert all(target["expr"] for panel in panels for target in panel["targets"])
    assert {variable["name"] for variable in document["templating"]["list"]} == {"source", "namespace"}


def test_nothing_of_it_is_made_unless_asked_for(render: Render) -> None:
    kinds = {document["kind"] for document in render()}
    assert not kinds & {"PrometheusRule", "ServiceMonitor"}
    assert not [document for document in render() if document["metadata"]["name"].endswith("dashboard")]
