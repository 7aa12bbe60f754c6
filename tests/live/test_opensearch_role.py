"""The published role is enough for every operation and for nothing else, on a server with the security plugin, over verified TLS.

Its plugin is a download of 49 MB and a second server, so this runs where FAIRLEAD_TEST_SECURITY=1 is set.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException
from pydantic import SecretStr

from conformance.index_contract import CATALOGUE
from fairlead.errors import NotPermitted, ServiceUnreachable
from fairlead.index.criteria import All, Has, Term
from fairlead.index.opensearch import OpenSearchIndex
from fairlead.resources import configs_folder
from fairlead.settings import IndexSettings
from index.builders import a_series
from live.servers import TOOLS, free_port

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        os.environ.get("FAIRLEAD_TEST_SECURITY") != "1", reason="needs the security plugin: set FAIRLEAD_TEST_SECURITY=1 to download it"
    ),
]
API = "/_plugins/_security/api/"
PASSWORD = "Uncommon-Words-42-lead"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexSettings]:
    """Return the settings of a user with the role, on a server that also holds an index of somebody else."""
    folder, port = tmp_path_factory.mktemp("opensearch"), free_port()
    with (folder / "up.log").open("w") as told:
        command = [TOOLS / "opensearch-up.sh", folder, str(port), "--security"]
        subprocess.run(command, stdout=told, stderr=told, timeout=600, check=True, env={"OPENSEARCH_TIMEOUT": "300", **os.environ})
    ca, url = folder / "config" / "root-ca.pem", f"https://127.0.0.1:{port}"
    try:
        admin = OpenSearch(hosts=[url], http_auth=("admin", (folder / "admin.password").read_text().strip()), ca_certs=str(ca), timeout=60)
        role = json.loads((configs_folder() / "opensearch" / "role.json").read_text())
        for name, body in (("roles", role), ("rolesmapping", {"users": ["indexer"]})):
            admin.transport.perform_request("PUT", f"{API}{name}/fairlead", body=body)
        admin.transport.perform_request("PUT", f"{API}internalusers/indexer", body={"password": PASSWORD})
        admin.index(index="others", id="1", body={"a": 1}, params={"refresh": "true"})
        yield IndexSettings(backend="opensearch", url=url, name="fairlead", user="indexer", password=SecretStr(PASSWORD), ca_file=ca)
    finally:
        subprocess.run([TOOLS / "opensearch-down.sh", folder], capture_output=True, timeout=90, check=False)


def test_the_role_is_enough_for_everything_the_index_does(here: IndexSettings) -> None:
    former = replace(CATALOGUE, fields={name: one for name, one in CATALOGUE.fields.items() if name != "patient.sex"}, sha256="0" * 64)
    OpenSearchIndex(here, former).put([a_series("1"), a_series("2", patient="b")])
    index = OpenSearchIndex(here, CATALOGUE)
    report = index.put([a_series("1"), a_series("2", patient="c"), a_series("3")])
    assert (report.added, report.changed, report.unchanged) == (1, 1, 1)
    assert index.count(Has("series", Term("modality", "CT"))) == index.count(All())
    assert len(index.facets(All(), ["modality"])["modality"]) == 1
    assert len(index.described(All(), ["modality"])[0].ids) == index.status().records == len(index.sample(All(), 9)) == 3
    assert len(index.patients(All())) == 2
    assert index.remove([index.get("local:default:1.2.1").id]) == 1
    index.clear()
    assert index.status().records == 0


def test_the_role_reaches_nothing_else(here: IndexSettings) -> None:
    client = OpenSearchIndex(here, CATALOGUE).client
    onto = {"actions": [{"add": {"index": "others", "alias": "fairlead-x"}}]}
    for forbidden in (
        lambda: client.search(index="others", body={}),
        lambda: client.index(index="others", body={"a": 2}),
        lambda: client.indices.delete(index="others"),
        lambda: client.indices.update_aliases(body=onto),
        lambda: client.cat.indices(),
        lambda: client.transport.perform_request("GET", f"{API}internalusers"),
    ):
        with pytest.raises(AuthorizationException):
            forbidden()


def test_a_wrong_password_and_an_unknown_authority_are_refused_by_name(here: IndexSettings) -> None:
    with pytest.raises(NotPermitted, match="does not let this user in"):
        OpenSearchIndex(here.model_copy(update={"password": SecretStr("wrong")}), CATALOGUE)
    with pytest.raises(ServiceUnreachable, match="certificate of OpenSearch cannot be verified"):
        OpenSearchIndex(here.model_copy(update={"ca_file": None}), CATALOGUE)
