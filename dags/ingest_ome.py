"""Index microscopy files (OME-TIFF, OME-XML, OME-Zarr) once they stop growing in the watched folder.

The asset event is only the wake-up; the ledger says what there is to do. The sweep each minute is the safety net.
"""

from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable

from fairlead.airflow.operators import DrainReceivedOperator
from fairlead.airflow.triggers import LedgerTrigger

stable_files = Asset(
    "fairlead-stable-files",
    uri="fairlead://ledger/files",
    watchers=[AssetWatcher("fairlead-ledger-files", trigger=LedgerTrigger(kind="files"))],
)

with DAG(
    "ingest_ome",
    description="Extract and index OME files from the watched folder",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("* * * * *", timezone="UTC"), assets=stable_files),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["fairlead"],
) as dag:
    DrainReceivedOperator(task_id="drain", kind="files", retries=3, retry_delay=timedelta(seconds=5))
