"""Operator that converts a folder to OME-Zarr, to be mapped over shares of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from fairlead.airflow.hook import FairleadHook
from fairlead.errors import FairleadError, ServiceUnreachable, StorageFull
from fairlead.progress import Logged


class ConvertFolderOperator(BaseOperator):
    """Convert one share of a folder of de-identified DICOM and OME files to verified OME-Zarr stores.

    Map it: ``ConvertFolderOperator.partial(task_id="convert", folder=…, out=…, parts=8).expand(part=list(range(8)))``.
    A DICOM study is never divided, so a segmentation meets its image. A retry, or a run after a kill, recognises finished
    stores by the digests of their sources and repeats only the rest.

    :param folder: where the images are (templated).
    :param out: where the stores go (templated).
    :param part: which share, counted from 0.
    :param parts: how many shares.
    :param geometry: ``strict``, ``split`` or ``annotate``; empty: the installation's setting.
    :param ngff: ``0.5`` or ``0.6``; empty: the installation's setting.
    :param fairlead_conn_id: connection of type ``fairlead``; without it the environment decides.

    Returns ``{"stores": n, "refused": n, "bytes": n}``. Refused sources are logged with their reason and never stop the
    others; the task fails when every source of its share was refused.
    """

    template_fields: Sequence[str] = ("folder", "out", "geometry", "ngff")
    ui_color = "#efe6d2"

    def __init__(
        self,
        *,
        folder: str,
        out: str,
        part: int = 0,
        parts: int = 1,
        geometry: str = "",
        ngff: str = "",
        fairlead_conn_id: str = FairleadHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.folder, self.out = folder, out
        self.part, self.parts = part, parts
        self.geometry, self.ngff = geometry, ngff
        self.fairlead_conn_id = fairlead_conn_id

    def execute(self, context: Any) -> dict[str, int]:
        """Convert the share; bad input fails the task at once, a full disk or an outage is worth a retry."""
        from fairlead.convert import ConvertOptions, convert

        settings = FairleadHook(self.fairlead_conn_id).settings
        try:
            report = convert(
                Path(self.folder),
                Path(self.out),
                options=ConvertOptions(
                    ngff=self.ngff or settings.export.ngff,
                    geometry=self.geometry or settings.export.geometry,
                    part=(self.part, self.parts),
                    resume=True,
                    whole_plates=True,
                    described=True,
                ),
                progress=Logged(),
            )
        except (ServiceUnreachable, StorageFull):
            raise
        except FairleadError as error:
            raise AirflowFailException(str(error)) from error
        for number, refusal in enumerate(report.refused, start=1):
            self.log.warning("refused source %d: %s", number, refusal.reason)  # a file name may name a patient
        if report.refused and not report.stores:
            raise AirflowFailException(f"Nothing could be converted: {len(report.refused)} sources were refused, see the log.")
        return {"stores": len(report.stores), "refused": len(report.refused), "bytes": sum(store.size_bytes for store in report.stores)}
