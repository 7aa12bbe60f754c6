"""De-identification of a folder as mapped tasks: each takes a share of the files and goes on where a killed one stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from fairlead.airflow.hook import FairleadHook
from fairlead.errors import FairleadError, ServiceUnreachable, StorageFull
from fairlead.progress import Logged


def shares(count: int) -> list[str]:
    """Return ``["1/n", …, "n/n"]``, one for each mapped task: ``.expand(share=shares(8))``.

    >>> shares(2)
    ['1/2', '2/2']
    """
    return [f"{number}/{count}" for number in range(1, count + 1)]


class DeidentifyFolderOperator(BaseOperator):
    """De-identify DICOM and OME files of a folder by PS3.15, or a share of them when mapped.

    :param source: folder or file (templated).
    :param out: where the safe files go, named by new identifiers (templated).
    :param profile: a packaged profile or a YAML file (templated); empty: ``export.profile`` of the settings.
    :param share: ``k/n``: the k-th of n shares; a file's name alone decides on its share, so files that arrive meanwhile move no other.
    :param fairlead_conn_id: connection of type ``fairlead``; without it the environment decides.

    Returns ``{"files": n, "written": n, "already": n, "quarantined": n, "residue": n}``. Finished files are remembered by content
    in ``<home>/deidentified``: a retry repeats none of them. Quarantined files are named in the task's log, with the reason.
    """

    template_fields: Sequence[str] = ("source", "out", "profile", "share")
    ui_color = "#e8e0f0"

    def __init__(
        self,
        *,
        source: str,
        out: str,
        profile: str = "",
        share: str = "1/1",
        fairlead_conn_id: str = FairleadHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.out = out
        self.profile = profile
        self.share = share
        self.fairlead_conn_id = fairlead_conn_id

    def execute(self, context: Any) -> dict[str, int]:
        """De-identify the share; bad input fails the run at once, a full disk or an outage is retried."""
        from fairlead.deidentify import Plan, deidentify_folder, load_profile
        from fairlead.keys import load_project_key

        settings = FairleadHook(self.fairlead_conn_id).settings
        plan = Plan(journal=settings.home_folder / "deidentified", chunk=_chunk(self.share))
        try:
            report = deidentify_folder(
                Path(self.source),
                Path(self.out),
                profile=load_profile(self.profile or settings.export.profile),
                key=load_project_key(settings.secrets_folder, settings.project),
                project=settings.project,
                progress=Logged(),
                plan=plan,
            )
        except (ServiceUnreachable, StorageFull):
            raise  # worth a retry: what is finished is remembered
        except FairleadError as error:
            raise AirflowFailException(str(error)) from error
        for refused in report.quarantined:
            self.log.warning("quarantined %s: %s", refused.path, refused.reason)  # parts of the path that could be a name are left out
        counts = {"files": report.files, "written": report.written, "already": report.already}
        return counts | {"quarantined": len(report.quarantined), "residue": len(report.residue)}


def _chunk(share: str) -> tuple[int, int]:
    number, _, count = share.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise AirflowFailException(f"The share {share!r} is not k/n with 1 <= k <= n. Use fairlead.airflow.deidentify.shares(n).")
    return int(number) - 1, int(count)
