"""Alerts and dashboard: every metric they name is one that the real programs show, every alert has its page in the runbooks."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

import pytest

from charts.conftest import FAIRLEAD, Render, Rendered, one
from charts.test_probes import Pod, container_of, free_port

pytestmark = [pytest.mark.charts, pytest.mark.slow]
GATEWAY = FAIRLEAD / "ci" / "gateway-values.yaml"
CHECKOUT = Path(__file__).parents[2]
RUNBOOKS = CHECKOUT / "docs" / "admin" / "runbooks.md"
ONLY_WHEN_THERE_IS_ONE = {"fairlead_exports_oldest_seconds"}


def named(text: str) -> set[str]:
    """Return the metrics that a text names, without the endings of histograms."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bfairlead_\w+", text)}


@pytest.fixture(scope="module")
def watched(render: Render) -> Rendered:
    return render(FAIRLEAD, GATEWAY)


def rules(objects: Rendered) -> list[dict[str, str]]:
    found: list[dict[str, str]] = one(objects, "PrometheusRule", "x-fairlead")["spec"]["groups"][0]["rules"]
    return found


def shown(address: str) -> set[str]:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return named(answer.read().decode())


def test_every_metric_of_alerts_and_dashboard_is_shown_by_the_programs(render: Render, watched: Rendered, tmp_path: Path) -> None:
    ports = {"node": free_port(), "web": free_port(), "catalog": free_port()}
    values = {"node": {"port": ports["node"], "web": {"enabled": True, "existingSecret": "t", "port": ports["web"]}}}
    objects = render(values={**values, "catalog": {"port": ports["catalog"]}})
    pod = Pod(tmp_path, objects)
    pod.environment |= {"FAIRLEAD_NODE__WEB__TOKEN": "t", "FAIRLEAD_NODE__WEB__HOST": "127.0.0.1"}
    with pod.started(container_of(objects, "StatefulSet", "x-fairlead-node")):
        here = shown(f"http://127.0.0.1:{ports['web']}/metrics")
    with pod.started(container_of(objects, "Deployment", "x-fairlead-catalog")):
        here |= shown(f"http://127.0.0.1:{ports['catalog']}/metrics")
    dashboard = one(watched, "ConfigMap", "x-fairlead-dashboard")["data"]["fairlead.json"]
    asked = named(dashboard) | {name for rule in rules(watched) for name in named(rule["expr"])}
    assert len(asked) > 10
    assert asked - here == ONLY_WHEN_THERE_IS_ONE


def test_every_alert_has_its_runbook_and_every_runbook_its_alert(watched: Rendered) -> None:
    sections = set(re.findall(r"^## (Fairlead\w+)", RUNBOOKS.read_text(), re.MULTILINE))
    assert {rule["alert"] for rule in rules(watched)} == sections
    assert len(sections) >= 10
    for rule in rules(watched):
        assert rule["annotations"]["runbook"] == f"docs/admin/runbooks.md#{rule['alert'].lower()}"  # type: ignore[index]


def test_the_page_lists_the_metrics_that_the_programs_have_and_no_other() -> None:
    sources = "".join(file.read_text() for file in (CHECKOUT / "operators" / "fairlead").rglob("*.py"))
    shown_by_programs = set(re.findall(r"\bfairlead_(?:node|exports|catalog|gateway)(?:_[a-z]+)*", sources)) - {"fairlead_node"}
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
    without_web = {name for rule in rules(render(values=on)) for name in named(rule["expr"])}
    assert {name.split("_")[1] for name in without_web} == {"catalog"}
    web = {"node": {"web": {"enabled": True, "existingSecret": "t"}}, "catalog": {"enabled": False}}
    assert {name.split("_")[1] for rule in rules(render(values=on | web)) for name in named(rule["expr"])} == {"node", "exports"}


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
