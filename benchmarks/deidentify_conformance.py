"""Conformance with PS3.15 Table E.1-1 (2024b): each of the 613 attributes at the top and nested, for basic and for each option.

python benchmarks/deidentify_conformance.py [--json]

One data set carries every attribute with a value that can be recognised, at the top level and inside an item of Shared Functional
Groups Sequence (5200,9229), which no row names. Counted are attributes that the table's action was done to, and leaks: the original
value is still there where no option keeps it. Peers that are installed run through the same data set; for the others the figures are
those measured in 2026 with their default settings (docs/performance.md), marked as such.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import warnings
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset

sys.path[0] = str(Path(__file__).parents[1] / "tests")  # instead of this folder, where a benchmark has the name of the room
from deidentify.ct_builders import KEY, SHARED_GROUPS, encode, harness, reread, table_rows  # noqa: E402 - the tests own the harness
from deidentify.scoring import OPTIONS, expected, is_scored, state  # noqa: E402
from fairlead.deidentify import Deidentifier, Profile, load_profile, profile_names  # noqa: E402

SYNTAX: Final = "1.2.840.10008.1.2.1"
PEERS: Final = {
    # name: (conforming at the top, leaks at the top, leaks nested), of 613; default settings, measured or stated
    "dicognito 0.19.0": (148, 346, 346),
    "dicom-anonymizer 2.1.0 (default, 2023)": (568, 11, 613),
    "dicom-anonymizer 2.1.0 (2024b)": (579, 0, 613),
    "pydicom/deid 0.4.13": (180, 318, 318),
    "Orthanc 1.10.1 (2021b)": (407, 161, 162),
    "RSNA anonymizer 19.0.10": (422, 22, None),
}


def score(output: Dataset, profile: Profile) -> dict[str, int]:
    """Count conforming attributes and leaks at both levels."""
    places = {"top": output, "nested": output[SHARED_GROUPS].value[0] if output.get(SHARED_GROUPS) else Dataset()}
    rows = table_rows()
    found = {"attributes": len(rows)}
    for level, (name, place) in enumerate(places.items()):
        states = {row.tag: (state(row, level, place), expected(row, profile)) for row in rows}
        found[f"{name}_ok"] = sum(states[row.tag][0] in states[row.tag][1] or not is_scored(row, profile) for row in rows)
        leaks = [row for row in rows if states[row.tag][0] == "kept" and "kept" not in states[row.tag][1] and is_scored(row, profile)]
        found[f"{name}_leaks"] = len(leaks)
    return found


def ours() -> dict[str, dict[str, int]]:
    """Score every packaged profile and every single option."""
    profiles = {name: load_profile(name) for name in profile_names()}
    profiles |= {f"option {one.value}": Profile(name="one", title="t", options=frozenset({one})) for one in OPTIONS}
    source = reread(harness())
    return {name: score(_written(Deidentifier(profile, KEY).apply(source)), profile) for name, profile in profiles.items()}


def _written(dataset: Dataset) -> FileDataset:
    return dcmread(BytesIO(encode(dataset, syntax=SYNTAX)))


def installed_peers() -> dict[str, dict[str, int]]:
    """Score what is installed here; nothing is downloaded."""
    basic, found = load_profile("basic"), {}
    if find_spec("dicognito"):
        from dicognito.anonymizer import Anonymizer

        copy = reread(harness())
        Anonymizer().anonymize(copy)
        found["dicognito (installed)"] = score(copy, basic)
    if find_spec("dicomanonymizer"):
        from dicomanonymizer import anonymize_dataset

        copy = reread(harness())
        anonymize_dataset(copy)
        found["dicom-anonymizer (installed)"] = score(copy, basic)
    return found


def main() -> int:
    """Print the table; exit status 1 when anything of ours leaks or deviates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr) if arguments.json else contextlib.nullcontext():
        result: dict[str, Any] = {"ours": ours(), "installed_peers": installed_peers(), "peers_as_measured": PEERS}
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        print(f"{'':46}{'top ok':>8}{'leaks':>7}{'nested ok':>11}{'leaks':>7}   of 613")
        for name, one in (result["ours"] | result["installed_peers"]).items():
            print(f"{name:46}{one['top_ok']:>8}{one['top_leaks']:>7}{one['nested_ok']:>11}{one['nested_leaks']:>7}")
        for name, (ok, top, nested) in PEERS.items():
            print(f"{name + ' *':46}{ok:>8}{top:>7}{'':>11}{'removed' if nested is None else nested:>7}")
        print("* not installed here: measured in 2026 with default settings, basic profile; see docs/performance.md")
    full = {"attributes": 613, "top_ok": 613, "top_leaks": 0, "nested_ok": 613, "nested_leaks": 0}
    bad = [name for name, one in result["ours"].items() if one != full]
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
