"""Publish one frozen cohort version as a FAIR dataset, after a steward has approved it.

Choose the cohort on the Cohorts page, which starts this DAG as you; or give its reference (`ID@N`) below.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param, chain

from fairlead.airflow.export import (
    ConvertExportOperator,
    DeidentifyExportOperator,
    DescribeExportOperator,
    ExportApprovalOperator,
    PublishExportOperator,
    RecordDecisionOperator,
    RequestExportOperator,
)

EXPORT = "{{ ti.xcom_pull(task_ids='request') }}"
BEFORE = "Empty: as in the version before, else the setting's"
RETRY = {"retries": 4, "retry_delay": timedelta(seconds=20)}  # longer than a lease: a worker that was killed holds one

with DAG(
    "export_cohort",
    description="Approve, de-identify, convert, describe and publish a cohort version",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=4,
    is_paused_upon_creation=False,
    tags=["fairlead"],
    params={
        "cohort": Param(type="string", title="Cohort version", description="Reference ID@N", pattern=r"^[0-9a-f-]{36}@[1-9][0-9]*$"),
        "title": Param(
            None,
            type=["null", "string"],
            title="Title",
            description="Empty: as in the version before, else the cohort's own",
            maxLength=200,
        ),
        "profile": Param(
            None,
            type=["null", "string"],
            title="De-identification profile",
            description=BEFORE,
            examples=["basic", "research-longitudinal"],
        ),
        "access_rights": Param(
            None,
            type=["null", "string"],
            title="Access rights",
            description="Empty: as in the version before, else public",
            enum=[None, "public", "restricted", "non-public"],
        ),
        "license": Param(
            None,
            type=["null", "string"],
            title="Licence",
            description="IRI. Empty: as in the version before, else the catalogue's",
            pattern=r"^(https?://\S+)?$",
        ),
        "geometry": Param(
            None, type=["null", "string"], title="Irregular geometry", description=BEFORE, enum=[None, "strict", "split", "annotate"]
        ),
        "ngff": Param(None, type=["null", "string"], title="OME-Zarr version", description=BEFORE, enum=[None, "0.5", "0.6"]),
    },
) as dag:
    chain(
        RequestExportOperator(task_id="request", **RETRY),
        # An answer within milliseconds of the question can meet Airflow's executor half-way and fail the task: ask again.
        ExportApprovalOperator(task_id="approve", request_task_id="request", retries=3, retry_delay=timedelta(seconds=1)),
        RecordDecisionOperator(task_id="decide", export_id=EXPORT, approve_task_id="approve", **RETRY),
        DeidentifyExportOperator(task_id="deidentify", export_id=EXPORT, **RETRY),
        ConvertExportOperator(task_id="convert", export_id=EXPORT, **RETRY),
        DescribeExportOperator(task_id="describe", export_id=EXPORT, **RETRY),
        PublishExportOperator(task_id="publish", export_id=EXPORT, **RETRY),
    )
