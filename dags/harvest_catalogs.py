"""Read other FAIR Data Points into this catalog's view, record by record, with conditional requests."""

from airflow.sdk import DAG, Param

from fairlead.airflow.operators import HarvestCatalogsOperator

with DAG(
    "harvest_catalogs",
    description="Harvest other FAIR Data Points",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    tags=["fairlead"],
    render_template_as_native_obj=True,  # the operator takes a list
    params={"urls": Param([], type="array", items={"type": "string"}, title="FAIR Data Points", description="One root address a line")},
) as dag:
    HarvestCatalogsOperator(task_id="harvest", urls="{{ params.urls }}", retries=1)
