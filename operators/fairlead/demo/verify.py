"""What an outsider does with the finished record: fetch it, check it, follow it to the pixels, compare them with the source.

Everything here goes through HTTP and third-party libraries (rdflib, pyshacl, zarr, ome-zarr-models); only the comparison
with the source needs the demo's own secret, because identities in the dataset are pseudonyms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from fairlead.errors import CheckFailed
from fairlead.files import write_text
from fairlead.records import CohortVersion, DatasetRecord

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rdflib import Graph

    from fairlead.demo.run import Demo

DCAT: Final = "http://www.w3.org/ns/dcat#"
MANIFEST: Final = "manifest-sha256.txt"
RGB: Final = 3


def verify_dataset(demo: Demo, export_id: str, samples: Any, version: CohortVersion) -> None:
    """Run the outsider's walk and fill ``result.dataset``."""
    from fairlead.publish import Exports

    export = Exports(demo.environment.settings, demo.environment.engine).get(export_id)
    iri = f"{demo.environment.catalog_url}/dataset/{export.dataset_id}"
    checks: dict[str, bool] = {}
    with httpx.Client(timeout=60, follow_redirects=True) as http:
        with demo.step("fetch the record") as say:
            graph = fetch_graph(http, iri)
            checks["json-ld equals turtle"] = same_graph(graph, fetch_graph(http, iri, media_type="application/ld+json"))
            say(f"{iri}: {len(graph)} triples in Turtle and JSON-LD")
        with demo.step("check the record with SHACL") as say:
            checks["shacl"] = conforms(http, graph, iri)
            say("conforms to the profile it names" if checks["shacl"] else "does NOT conform")
        distributions = [fetch_graph(http, str(node)) for node in objects(graph, iri, "distribution")]
        stores = sorted({url for child in distributions for url in download_urls(child) if url.rstrip("/").endswith(".zarr")})
        with demo.step("read pixels from the download URLs") as say:
            arrays = {url: read_store(url) for url in stores}
            say(f"{len(arrays)} stores opened with zarr over HTTP")
        with demo.step("compare voxels with the source") as say:
            matched, complete = compare_voxels(arrays, samples, demo)
            behind = len(export_record(demo, export.dataset_id).refused)
            checks["voxels"] = 0 < len(arrays) == matched and incomplete_members(version, complete, demo) <= behind
            say(f"{matched} of {len(arrays)} stores equal their source voxel by voxel, {behind} notes on members that stayed behind")
        with demo.step("check the manifest") as say:
            files = check_manifest(http, stores)
            checks["manifest"] = True
            say(f"{files} files have the sha256 that the manifest says")
        with demo.step("validate with ome-zarr-models") as say:
            checks["ome-zarr-models"] = all(is_valid_store(url) for url in stores)
            say(f"{len(stores)} stores are valid OME-Zarr")
        picture = save_picture(demo, http, preview_urls([graph, *distributions]), arrays)
        write_text(demo.environment.workdir / "record.ttl", graph.serialize(format="turtle"))
    demo.result.dataset = {
        "iri": iri,
        "stores": [str(path) for path in local_stores(demo, export.dataset_id, stores)],
        "store_urls": stores,
        "record": str(demo.environment.workdir / "record.ttl"),
        "picture": picture,
        "checks": checks,
    }


def fetch_graph(http: httpx.Client, iri: str, *, media_type: str = "text/turtle") -> Graph:
    """Return the record that ``iri`` answers with."""
    from rdflib import Graph

    response = http.get(iri, headers={"Accept": media_type})
    if response.is_error or not response.headers["content-type"].startswith(media_type):
        raise CheckFailed(f"{iri} answered {response.status_code} {response.headers.get('content-type')} to Accept: {media_type}.")
    return Graph().parse(data=response.text, format={"text/turtle": "turtle", "application/ld+json": "json-ld"}[media_type], publicID=iri)


def same_graph(one: Graph, other: Graph) -> bool:
    """Return whether two graphs say the same, blank nodes apart."""
    from rdflib.compare import isomorphic

    return bool(isomorphic(one, other))


def objects(graph: Graph, subject: str, name: str) -> list[Any]:
    """Return the values of one DCAT property."""
    from rdflib import URIRef

    return list(graph.objects(URIRef(subject), URIRef(DCAT + name)))


def download_urls(graph: Graph) -> Iterable[str]:
    """Return every ``dcat:downloadURL`` and ``dcat:accessURL`` of a record."""
    from rdflib import URIRef

    for name in ("downloadURL", "accessURL"):
        yield from map(str, graph.objects(None, URIRef(DCAT + name)))


def preview_urls(graphs: Iterable[Graph]) -> list[str]:
    """Return every picture that the records show."""
    from rdflib import FOAF, SDO

    return [str(url) for graph in graphs for predicate in (FOAF.depiction, SDO.thumbnailUrl) for url in graph.objects(None, predicate)]


def conforms(http: httpx.Client, graph: Graph, iri: str) -> bool:
    """Check the record against the shapes of the profile that it names with ``dct:conformsTo``."""
    from pyshacl import validate
    from rdflib import DCTERMS, Graph, URIRef

    profiles = [str(profile) for profile in graph.objects(URIRef(iri), DCTERMS.conformsTo)]
    shapes = Graph()
    for profile in profiles:
        response = http.get(profile, headers={"Accept": "text/turtle"})
        if response.is_success:
            shapes.parse(data=response.text, format="turtle", publicID=profile)
    if len(shapes) == 0:
        raise CheckFailed(f"{iri} names no profile whose shapes can be fetched.")
    valid, _, _ = validate(graph, shacl_graph=shapes, inference="none", advanced=True)
    return bool(valid)


def read_store(url: str) -> NDArray[Any]:
    """Return level 0 of an OME-Zarr store over HTTP."""
    import numpy as np
    import zarr

    array = zarr.open_array(http_store(url), path="0", mode="r")
    return np.asarray(array[...])


def http_store(url: str) -> Any:
    """Return a read-only zarr store on an HTTP address."""
    from obstore.store import HTTPStore
    from zarr.storage import ObjectStore

    return ObjectStore(HTTPStore.from_url(url.rstrip("/"), client_options={"allow_http": True}), read_only=True)


def is_valid_store(url: str) -> bool:
    """Return what ome-zarr-models says of the store; its own error is repeated when it says no."""
    import zarr
    from ome_zarr_models import open_ome_zarr

    try:
        open_ome_zarr(zarr.open_group(http_store(url), mode="r"))
    except (RuntimeError, ValueError) as error:
        raise CheckFailed(f"ome-zarr-models does not accept {url}: {error}") from error
    return True


def compare_voxels(arrays: Mapping[str, NDArray[Any]], samples: Any, demo: Demo) -> tuple[int, frozenset[str]]:
    """Compare every store with the sources, which pydicom and tifffile decode.

    Returns how many stores hold nothing but planes of one source, in its order, and the sources of which every plane
    is in a store.
    """
    from fairlead.demo.sources import plane_digests, source_stacks

    sources = source_stacks(samples.dicom, samples.ome, progress=demo.progress)
    found: dict[str, set[str]] = {source.name: set() for source in sources}
    matched = 0
    for array in arrays.values():
        stacks = [plane_digests(stack) for stack in (array.reshape(-1, *array.shape[-3:]) if array.ndim > 2 else [array])]
        origin = next((source for source in sources if all(is_selection(stack, source.planes) for stack in stacks)), None)
        if origin is not None:
            matched += 1
            found[origin.name].update(*stacks)
    whole: dict[str, set[str]] = {name: set() for name in found}
    for source in sources:
        whole[source.name].update(source.planes)
    return matched, frozenset(name for name in whole if whole[name] <= found[name])


def incomplete_members(version: CohortVersion, complete: frozenset[str], demo: Demo) -> int:
    """Return how many members of the cohort are not in the stores plane by plane."""
    records = [record for record in map(demo.environment.index.get, version.members) if record is not None]
    names = [record.core.series_uid if record.core.kind == "dicom-series" else Path(record.core.source.paths[0]).name for record in records]
    return sum(name not in complete for name in names)


def is_selection(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Return whether ``part`` stands in ``whole`` in the same order, other planes (another echo, another run) between them or not.

    >>> is_selection("ac", "abcd"), is_selection("ca", "abcd")
    (True, False)
    """
    rest = iter(whole)
    return all(plane in rest for plane in part)


def check_manifest(http: httpx.Client, stores: Sequence[str]) -> int:
    """Fetch the dataset's manifest and every file it names, compare each sha256, and return the number of files.

    Raises
    ------
    CheckFailed : a file is missing or differs.
    """
    folder = stores[0].split("/images/")[0]
    manifest = http.get(f"{folder}/{MANIFEST}").raise_for_status().text.splitlines()
    for line in manifest:
        digest, name = line.split("  ", 1)
        response = http.get(f"{folder}/{name}")
        if response.is_error or hashlib.sha256(response.content).hexdigest() != digest:
            raise CheckFailed(f"{name} differs from the manifest (status {response.status_code}).")
    return len(manifest)


def export_record(demo: Demo, dataset_id: str) -> DatasetRecord:
    """Return the record as it is kept in the house, with what stayed behind."""
    from fairlead.publish import DatasetStore

    return DatasetStore(demo.environment.settings, demo.environment.engine).get(dataset_id)


def local_stores(demo: Demo, dataset_id: str, urls: Sequence[str]) -> list[Path]:
    """Return where the published stores lie on this machine; they stay when the servers stop."""
    from fairlead.publish import DatasetStore

    folder = DatasetStore(demo.environment.settings, demo.environment.engine).folder(dataset_id)
    return [folder / "images" / url.rstrip("/").rsplit("/", 1)[1] for url in urls]


def save_picture(demo: Demo, http: httpx.Client, previews: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Save the published preview of the largest volume as ``picture.png`` and return its path.

    Raises
    ------
    CheckFailed : the record shows no preview of it.
    """
    largest = max(arrays, key=lambda url: (arrays[url].ndim > 2 and arrays[url].shape[-3] > RGB, arrays[url].size, url))
    stem = largest.rstrip("/").rsplit("/", 1)[1].split(".", 1)[0]
    address = next((url for url in previews if url.rsplit("/", 1)[1].startswith(f"{stem}.")), None)
    response = http.get(address) if address else None
    if response is None or response.is_error:
        raise CheckFailed(f"The record shows no preview of {largest}.")
    target: Path = demo.environment.workdir / "picture.png"
    target.write_bytes(response.content)
    demo.tell(f"    picture: {target}")
    return str(target)
