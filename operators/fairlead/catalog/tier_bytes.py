"""Criteria of the access-labour rubric that open bytes: images that exist, stores that are valid, checksums that match."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Final, Literal

from rdflib import DCTERMS

from fairlead.catalog.fetching import Answer
from fairlead.catalog.tier_case import Case
from fairlead.publish.vocabulary import DCAT, SPDX

SEED: Final = 20_261_105
SAMPLE: Final = 20
STANDARDS: Final = ("ngff.openmicroscopy.org", "dicom", "zarr")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found for one criterion."""

    result: Literal["pass", "fail", "unknown"]
    evidence: str


def verdict(holds: bool, good: str, bad: str) -> Finding:
    """Return pass or fail with its evidence."""
    return Finding("pass", good) if holds else Finding("fail", bad)


def stores(case: Case) -> list[str]:
    """Return the addresses of a reproducible sample of the OME-Zarr stores."""
    found = [url.rstrip("/") for url in case.downloads() if url.rstrip("/").endswith(".zarr")]
    return found if len(found) <= SAMPLE else sorted(random.Random(SEED).sample(found, SAMPLE))  # noqa: S311  (a sample, no secret)


def _ok(case: Case, url: str) -> Answer | None:
    answer = case.get(url)
    return answer if answer is not None and answer.status == 200 and answer.body else None


def per_image(case: Case) -> Finding:
    """Look for a metadata record beside each sampled image."""
    found = stores(case)
    described = [url for url in found if _ok(case, f"{url}/ro-crate-metadata.json")]
    return verdict(
        bool(found) and described == found, f"{len(described)} of {len(found)}", f"{len(described)} of {len(found)} images have one"
    )


def standard(case: Case) -> Finding:
    """Open sampled stores of a declared open standard."""
    declared = [str(value) for item in case.distributions() for value in case.graph.objects(item, DCTERMS.conformsTo)]
    found = stores(case)
    if not found or not any(word in text.lower() for text in declared for word in STANDARDS):
        return Finding("fail", "no open standard declared, or no store of it")
    good = [url for url in found if is_valid_store(case, url)]
    return verdict(
        good == found, f"{len(good)} of {len(found)} stores valid, seed {SEED}", f"{len(good)} of {len(found)} stores valid, seed {SEED}"
    )


def is_valid_store(case: Case, url: str) -> bool:
    """Return whether a store says what it is and its first level has an array with chunks that exist."""
    try:
        root = json.loads(body.body) if (body := _ok(case, f"{url}/zarr.json")) else {}
        path = root["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"]
        array = json.loads(body.body) if (body := _ok(case, f"{url}/{path}/zarr.json")) else {}
        first = "/".join(["c", *["0"] * len(array["shape"])])
    except (ValueError, KeyError, IndexError, TypeError):
        return False
    return array.get("node_type") == "array" and _ok(case, f"{url}/{path}/{first}") is not None


def checksum(case: Case) -> Finding:
    """Compare files with the manifest beside the stores, or single-file distributions with their own checksum."""
    checked = 0
    for item in case.distributions():
        wanted = {str(v).lower() for s in case.graph.objects(item, SPDX.checksum) for v in case.graph.objects(s, SPDX.checksumValue)}
        for url in case.graph.objects(item, DCAT.downloadURL):
            if ".zarr" in str(url) or not wanted:
                continue
            answer = _ok(case, str(url))
            if answer is None or hashlib.sha256(answer.body).hexdigest() not in wanted:
                return Finding("fail", f"{url} differs from its checksum")
            checked += 1
    for address, digest in _manifest_sample(case):
        answer = _ok(case, address)
        if answer is None or hashlib.sha256(answer.body).hexdigest() != digest:
            return Finding("fail", f"{address} differs from the manifest")
        checked += 1
    return Finding("pass", f"{checked} files, seed {SEED}") if checked else Finding("unknown", "nothing to compare")


def _manifest_sample(case: Case) -> list[tuple[str, str]]:
    found = stores(case)
    root = found[0].partition("/images/")[0] if found else ""
    answer = _ok(case, f"{root}/manifest-sha256.txt") if root else None
    if answer is None or answer.media_type != "text/plain":
        return []
    lines = [line.split("  ", 1) for line in answer.body.decode("utf-8", "replace").splitlines() if "  " in line]
    chosen = random.Random(SEED).sample(lines, min(SAMPLE, len(lines)))  # noqa: S311  (a sample, no secret)
    return [(f"{root}/{name}", digest) for digest, name in chosen]
