"""Values that must be refused, each with a message that names the value."""

from __future__ import annotations

from typing import Any

import pytest

from charts.conftest import FAIRLEAD, Refusal

pytestmark = pytest.mark.charts
RULE = {"name": "CT", "project": "p", "center": "north", "calling_ae": ["CT"], "from_networks": ["10.0.0.1/32"]}
PEER = {"ae_title": "PACS", "host": "10.0.0.1", "port": 104}

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("a misspelt block", {"nodes": {}}, "nodes"),
    ("a misspelt value", {"node": {"prot": 104}}, "prot is not allowed"),
    ("a title of 17 characters", {"node": {"aeTitle": "A" * 17}}, "node.aeTitle: String length must be less than or equal to 16"),
    ("an empty title", {"node": {"aeTitle": ""}}, "node.aeTitle"),
    ("a title with a backslash", {"node": {"aeTitle": "A\\B"}}, "no backslash, no space at its ends"),
    ("a title of spaces", {"node": {"aeTitle": "   "}}, "node.aeTitle: Does not match pattern"),
    ("a privileged port", {"node": {"port": 104}}, "node.port: Must be greater than or equal to 1024"),
    ("a port above the range", {"catalog": {"port": 70000}}, "catalog.port"),
    ("a port as text", {"catalog": {"service": {"port": "http"}}}, "catalog.service.port: Invalid type"),
    ("an unknown service type", {"node": {"service": {"type": "ExternalName"}}}, "node.service.type"),
    ("a node port without its type", {"node": {"service": {"nodePort": 31112}}}, "node.service.type is not NodePort"),
    ("a node port outside its range", {"node": {"service": {"type": "NodePort", "nodePort": 104}}}, "node.service.nodePort"),
    ("a floating tag", {"image": {"tag": "latest"}}, "image.tag=latest: two pods of one release could run different code"),
    ("a digest without its algorithm", {"image": {"digest": "0" * 64}}, "image.digest"),
    ("a peer that is no network", {"networkPolicy": {"dicomPeers": ["10.0.0.5"]}}, "networkPolicy.dicomPeers.0"),
    ("an octet above 255", {"networkPolicy": {"dicomPeers": ["10.0.0.256/32"]}}, "networkPolicy.dicomPeers.0"),
    ("a prefix above 32", {"networkPolicy": {"dicomPeers": ["10.0.0.0/33"]}}, "networkPolicy.dicomPeers.0"),
    ("an egress without ports", {"networkPolicy": {"egress": [{"cidr": "10.0.0.0/8"}]}}, "ports is required"),
    ("a route without networks", {"routes": [{"name": "CT", "project": "p", "center": "north"}]}, "from_networks is required"),
    ("a route without a centre", {"routes": [{name: RULE[name] for name in ("name", "project", "from_networks")}]}, "center is required"),
    ("a route with an unknown word", {"routes": [RULE | {"allow": True}]}, "allow is not allowed"),
    ("a route with a bad project", {"routes": [RULE | {"project": "Big Project"}]}, "routes.0.project"),
    ("a base address with a slash at its end", {"catalog": {"baseUrl": "https://x.org/"}}, "catalog.baseUrl"),
    ("a base address without a scheme", {"catalog": {"baseUrl": "x.org"}}, "catalog.baseUrl"),
    ("no replica", {"catalog": {"replicas": 0}}, "catalog.replicas"),
    ("several pods on SQLite", {"catalog": {"replicas": 2}}, "several pods need PostgreSQL"),
    ("autoscaling on SQLite", {"catalog": {"autoscaling": {"enabled": True}}}, "several pods need PostgreSQL"),
    ("SQLite on a network volume", {"storage": {"accessMode": "ReadWriteMany"}}, "SQLite is not safe on a network file system"),
    ("an access mode for one pod", {"storage": {"accessMode": "ReadWriteOncePod"}}, "storage.accessMode"),
    ("a size that is no quantity", {"storage": {"size": "lots"}}, "storage.size"),
    ("ingress and route together", {"catalog": {"ingress": {"enabled": True}, "httpRoute": {"enabled": True}}}, "exclude each other"),
    ("an ingress without a host", {"catalog": {"ingress": {"enabled": True}}}, "catalog.ingress.host is empty"),
    (
        "an ingress for another host",
        {"catalog": {"baseUrl": "https://a.example.org", "ingress": {"enabled": True, "host": "b.example.org"}}},
        "catalog.ingress.host is b.example.org, but catalog.baseUrl leads to a.example.org",
    ),
    (
        "a route for another host",
        {
            "catalog": {
                "baseUrl": "https://a.example.org",
                "httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}], "hostnames": ["b.example.org"]},
            }
        },
        "catalog.httpRoute.hostnames lack a.example.org",
    ),
    (
        "a budget that blocks every drain",
        {
            "database": {"existingSecret": "db"},
            "storage": {"accessMode": "ReadWriteMany"},
            "catalog": {"replicas": 2, "podDisruptionBudget": {"minAvailable": 2}},
        },
        "no cluster node could be drained",
    ),
    ("an egress inside and outside", {"networkPolicy": {"egress": [{"cidr": "10.0.0.0/8", "namespace": "db", "ports": [1]}]}}, "egress.0"),
    ("an egress to nowhere", {"networkPolicy": {"egress": [{"ports": [1]}]}}, "networkPolicy.egress.0"),
    ("a peer without a port", {"peers": [{"ae_title": "PACS", "host": "10.0.0.1"}]}, "port is required"),
    ("a route without a gateway", {"catalog": {"httpRoute": {"enabled": True}}}, "parentRefs is empty"),
    ("a password in the values", {"database": {"password": "x"}}, "password is not allowed"),
    ("OpenSearch without its secret", {"index": {"backend": "opensearch"}}, "needs index.existingSecret"),
    ("a web door without its token", {"node": {"web": {"enabled": True}}}, "node.web.existingSecret is empty"),
    (
        "two doors on one port",
        {"node": {"web": {"enabled": True, "existingSecret": "t", "port": 11112}}},
        "node.web.port and node.port are the same",
    ),
    ("a web token in the values", {"settings": {"node": {"web": {"token": "x"}}}}, "token is not allowed"),
    ("a host port beside a node port", {"node": {"hostPort": 104, "service": {"type": "NodePort"}}}, "exclude each other"),
    ("an index name with a capital", {"index": {"name": "North"}}, "index.name"),
    ("a scratch size of nothing", {"scratch": {"size": "0"}}, "scratch.size"),
    ("a gateway without a policy", {"gateway": {"enabled": True}}, "gateway.policy is empty"),
    ("a gateway without its address", {"gateway": {"enabled": True, "policy": {"version": "1"}}}, "gateway.url is empty"),
    (
        "a gateway beside the images",
        {"gateway": {"enabled": True, "policy": {"version": "1"}, "url": "https://x.org"}},
        "gateway: set index.backend=opensearch",
    ),
    (
        "a gateway in clear outside the cluster",
        {
            "index": {"backend": "opensearch", "existingSecret": "o"},
            "gateway": {"enabled": True, "policy": {"version": "1"}, "url": "https://x.org", "service": {"type": "LoadBalancer"}},
        },
        "gateway.tls.existingSecret is empty",
    ),
    ("a share above one", {"prometheusRule": {"catalogErrorShare": 5}}, "prometheusRule.catalogErrorShare"),
    ("an unknown index", {"index": {"backend": "solr"}}, "index.backend"),
    ("root", {"security": {"runAsUser": 0}}, "security.runAsUser"),
    ("a service account without a name", {"serviceAccount": {"create": False}}, "serviceAccount.name is empty"),
    ("a setting that the chart decides", {"settings": {"home": "/data"}}, "home is not allowed"),
    ("a misspelt setting", {"settings": {"node": {"settle_s": 5}}}, "settle_s is not allowed"),
    ("a project with a space", {"settings": {"project": "Big Project"}}, "at most 63, beginning with a letter or digit"),
    ("a setting outside its range", {"settings": {"node": {"settle_after_s": 0}}}, "settle_after_s"),
    ("fewest above most", {"catalog": {"autoscaling": {"minReplicas": 9}}}, "minReplicas is above maxReplicas"),
    ("a name that begins with a digit", {"fullnameOverride": "1st"}, "beginning with a letter: Services are named by it"),
    ("a name that leaves no room for what follows it", {"fullnameOverride": "f" * 46}, "less than or equal to 45"),
    (
        "a request above its limit",
        {"catalog": {"resources": {"requests": {"memory": "2Gi"}}}},
        "catalog.resources: the request of memory is 2Gi, above its limit of 1Gi",
    ),
    (
        "a request in other units above its limit",
        {"node": {"resources": {"requests": {"cpu": "1500m"}, "limits": {"cpu": 1}}}},
        "node.resources: the request of cpu is 1500m, above its limit of 1,",
    ),
    ("a scratch above what a pod may use", {"scratch": {"size": "20Gi"}}, "Raise the limit"),
    ("an address of version 6 that is none", {"networkPolicy": {"webClients": [":/64"]}}, "fd00:20::/64"),
    ("an address of version 6 with two gaps", {"networkPolicy": {"webClients": ["1::2::3/64"]}}, "networkPolicy.webClients.0"),
    ("everything off", {"node": {"enabled": False}, "catalog": {"enabled": False}}, "nothing would run. Turn one on"),
    ("two rules of one name", {"routes": [RULE, RULE | {"project": "q"}]}, 'two rules named "CT"'),
    ("the name of the probe's rule", {"routes": [RULE | {"name": "liveness probe"}]}, "give each its own name"),
    ("a peer twice", {"peers": [PEER, PEER | {"port": 105}]}, "peers: PACS is listed twice"),
    ("a peer's address that is none", {"peers": [PEER | {"host": "10.0.0.256"}]}, "an address or a host name, without port"),
    ("a peer's host with its port", {"peers": [PEER | {"host": "pacs:104"}]}, "an address or a host name, without port"),
    ("a backup without a place", {"backup": {"enabled": True, "keysClaim": "k"}}, "backup.existingClaim is empty"),
    ("a backup that nobody could restore", {"backup": {"enabled": True, "existingClaim": "b"}}, "without them nothing can be restored"),
    ("keys beside the backup", {"backup": {"enabled": True, "existingClaim": "b", "keysClaim": "b"}}, "Name another claim"),
    ("a restore under a running node", {"backup": {"existingClaim": "b", "restore": {"enabled": True}}}, "nothing else may use the volume"),
    ("an S3 server with a bucket in its address", {"s3": {"endpoint": "https://s3.example.org/bucket"}}, "without a path"),
    ("an S3 password in the values", {"s3": {"secretKey": "x"}}, "secretKey is not allowed"),
    ("a schedule that Kubernetes does not know", {"backup": {"schedule": "0 0 L * *"}}, "five fields of cron"),
    ("an hour that no day has", {"backup": {"schedule": "30 25 * * *"}}, "five fields of cron"),
    ("a schedule that is none", {"backup": {"schedule": "daily at two"}}, "five fields of cron"),
    ("a snapshot that is none", {"backup": {"restore": {"snapshot": "../x"}}}, "the name of a folder below snapshots"),
    ("a resource that does not exist", {"node": {"resources": {"limits": {"gpu": 1}}}}, "gpu is not allowed"),
]


@pytest.mark.parametrize(("values", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_helm_refuses(refusal: Refusal, values: dict[str, Any], message: str) -> None:
    assert message in refusal(FAIRLEAD, values=values)
