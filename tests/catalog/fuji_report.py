"""Runs F-UJI in its own environment on one address and prints its report as JSON; see tests/catalog/test_fuji.py.

F-UJI (https://github.com/pangaea-data-publisher/fuji) is not on PyPI and cannot share our environment: install its source into a venv of
Python 3.13 and name that venv's python in FAIRLEAD_FUJI_PYTHON. Nothing but the address is asked; its registers come with its package.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from pathlib import Path
from typing import Any

CHECKS = (
    "check_minimal_metatadata check_data_access_level check_license check_relatedresources check_searchable",
    "check_unique_persistent_metadata_identifier check_data_identifier_included_in_metadata check_metadata_data_retrievable "
    "check_data_content_metadata check_metadata_identifier_included_in_metadata check_data_file_format check_community_metadatastandards "
    "check_data_provenance check_formal_metadata check_semantic_vocabulary check_metadata_preservation check_standardised_protocol_data "
    "check_standardised_protocol_metadata check_standardised_protocol_authentication",
)
"""In F-UJI's own order: the data are harvested between the two."""


def assess(address: str) -> dict[str, Any]:
    """Return points and the state of every metric."""
    import fuji_server  # type: ignore[import-not-found]
    from fuji_server.controllers.fair_check import FAIRCheck  # type: ignore[import-not-found]
    from fuji_server.helper.preprocessor import Preprocessor  # type: ignore[import-not-found]

    socket.setdefaulttimeout(5)
    Preprocessor.set_metric_yaml_path(str(Path(fuji_server.__file__).parent / "yaml"))
    Preprocessor.retrieve_licenses(True)
    Preprocessor.retrieve_datacite_re3repos()
    Preprocessor.retrieve_metadata_standards()
    Preprocessor.set_data_files_limit(5)
    Preprocessor.set_max_content_size(5_000_000)
    check = FAIRCheck(uid=address, test_debug=True, use_datacite=False, use_github=False, metric_version="metrics_v0.8")
    check.harvest_all_metadata()
    check.set_harvested_metadata()
    check.harvest_re3_data()
    results = _run(check, CHECKS[0])
    check.harvest_all_data()
    results += _run(check, CHECKS[1])
    known = {result["metric_identifier"]: result for result in results if isinstance(result, dict) and "metric_identifier" in result}
    metrics = {name: f"{result['score']['earned']}/{result['score']['total']}" for name, result in sorted(known.items())}
    points = [tuple(map(int, score.split("/"))) for score in metrics.values()]
    return {"earned": sum(one for one, _ in points), "total": sum(of for _, of in points), "metrics": metrics}


def _run(check: Any, names: str) -> list[Any]:
    found: list[Any] = []
    for name in names.split():
        result = getattr(check, name)()
        found += list(result) if isinstance(result, tuple | list) else [result]
    return found


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        report = assess(sys.argv[1])
    json.dump(report, sys.stdout)
