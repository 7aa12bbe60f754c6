"""Index DICOM series as they complete.

The asset event is only the wake-up; the ledger says what there is to do. The sweep each minute is the safety net.
"""

from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable

from fairlead.airflow.operators import DrainReceivedOperator
from fairlead.airflow.triggers import LedgerTrigger

received_series = Asset(
    "fairlead-received-series",
    uri="fairlead://ledger/series",
    watchers=[AssetWatcher("fairlead-ledger-series", trigger=LedgerTrigger(kind="series"))],
)

with DAG(
    "receive_dicom",
    description="Extract and index completed DICOM series",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("* * * * *", timezone="UTC"), assets=received_series),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["fairlead"],
) as dag:
    DrainReceivedOperator(task_id="drain", kind="series", retries=3, retry_delay=timedelta(seconds=5))
