"""C-STORE as a modality does it: every file in its own transfer syntax."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import batched
from pathlib import Path
from typing import Final

from fairlead.errors import CheckFailed, ServiceUnreachable
from fairlead.progress import Progress, tracked

MAX_CONTEXTS: Final = 128
CALLING_AE: Final = "FAIRLEAD-DEMO"


def send_files(files: Sequence[Path], *, host: str, port: int, called_ae: str, progress: Progress) -> int:
    """Send ``files`` over one association per 128 (SOP class, transfer syntax) pairs, and return how many were accepted.

    Raises
    ------
    ServiceUnreachable : no association.
    CheckFailed : the node refused an instance; the message gives the status.
    """
    from pydicom import dcmread

    contexts: dict[tuple[str, str], list[Path]] = {}
    for path in files:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        contexts.setdefault((str(header.SOPClassUID), str(header.file_meta.TransferSyntaxUID)), []).append(path)
    sent = 0
    for group in batched(contexts.items(), MAX_CONTEXTS):
        pairs = [pair for pair, _ in group]
        paths = [path for _, members in group for path in members]
        sent += _send(pairs, paths, address=(host, port), called_ae=called_ae, progress=progress)
    return sent


def _send(pairs: Sequence[tuple[str, str]], paths: Sequence[Path], *, address: tuple[str, int], called_ae: str, progress: Progress) -> int:
    from pynetdicom import AE
    from pynetdicom.presentation import build_context

    entity = AE(ae_title=CALLING_AE)
    association = entity.associate(*address, contexts=[build_context(*pair) for pair in pairs], ae_title=called_ae)
    if not association.is_established:
        raise ServiceUnreachable("The node refused the association.", remedy="Read the log of the node; the calling AE may not be allowed.")
    sent = 0
    try:
        for path in tracked(paths, "C-STORE", progress, total=len(paths)):
            answer = association.send_c_store(path)
            status = answer.Status if "Status" in answer else None
            if status != 0:
                raise CheckFailed(f"The node answered {f'0x{status:04X}' if status is not None else 'nothing'} to an instance.")
            sent += 1
    finally:
        association.release()
    return sent
