"""The steps of the demo, in order, each timed and shown; the first that fails names itself and its log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from fairlead.demo.airflow_client import AirflowClient, wait_until
from fairlead.demo.environment import DemoEnvironment
from fairlead.demo.processes import Server, Servers
from fairlead.errors import CheckFailed, FairleadError, ServiceUnreachable
from fairlead.progress import Progress, Silent
from fairlead.records import CohortVersion

EXPORT_DAG: Final = "export_cohort"
TITLE: Final = "CT, MR and microscopy of the demonstration"


class StepFailed(CheckFailed):
    """A step of the demo failed; the message names the step, the remedy its logs."""

    code = "demo-step-failed"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line gives."""

    workdir: Path
    data: Path | None = None
    timeout_s: float = 300.0
    keep: Callable[[DemoResult], None] | None = None


@dataclass(slots=True)
class DemoResult:
    """The contract's JSON document, filled as the steps go."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    series: int = 0
    ome_images: int = 0
    cohort: dict[str, Any] = field(default_factory=dict)
    dataset: dict[str, Any] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    ok: bool = False

    def document(self) -> dict[str, Any]:
        """Return the document in the contract's order."""
        return {name: getattr(self, name) for name in ("ok", "steps", "series", "ome_images", "cohort", "dataset", "urls")}


@dataclass(slots=True)
class Demo:
    """One run: its folders and ports, its servers, and what has been found so far."""

    options: DemoOptions
    environment: DemoEnvironment
    servers: Servers
    tell: Callable[[str], None]
    progress: Progress
    result: DemoResult = field(default_factory=DemoResult)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time one step; yield the function that says what came of it."""
        details: list[str] = []
        begun = time.monotonic()
        self.tell(f"… {name}")
        try:
            yield details.append
        except FairleadError as error:
            raise StepFailed(f"Step “{name}”: {error.message}", remedy=f"{error.remedy} Logs: {self.servers.logs}") from error
        except Exception as error:
            # Whatever a server answered or a library thought of it, the reader needs the step and the logs.
            raise StepFailed(f"Step “{name}”: {type(error).__name__}: {error}", remedy=f"Logs: {self.servers.logs}") from error
        seconds = round(time.monotonic() - begun, 2)
        detail = "; ".join(details)
        self.result.steps.append({"name": name, "seconds": seconds, "detail": detail})
        self.tell(f"✔ {name} ({seconds:.1f} s): {detail}")

    def client(self, user: str) -> AirflowClient:
        """Return Airflow's API as one of the demo's people."""
        return AirflowClient(self.environment.airflow_url, user=user, password=self.environment.passwords[user])

    def check_servers(self) -> None:
        """Fail at once when a server ended by itself."""
        if (ended := self.servers.ended()) is not None:
            raise ServiceUnreachable(f"{ended.name} ended with status {ended.process.returncode}.", remedy=f"Read {ended.log}.")

    def wait[T](self, condition: Callable[[], T | None], what: str) -> T:
        """Wait for a condition while the servers live."""
        return wait_until(condition, what=what, timeout_s=self.options.timeout_s, alive=self.check_servers)


def run_demo(
    options: DemoOptions, *, tell: Callable[[str], None], progress: Progress | None = None, result: DemoResult | None = None
) -> DemoResult:
    """Run every step and return the result; whatever happens, no process and no port is left behind.

    ``result`` is filled as the steps go, so that a caller keeps what was done when a step fails.

    Raises
    ------
    StepFailed : a step failed.
    """
    with DemoEnvironment.create(options.workdir) as environment, Servers(environment.logs, environment.variables()) as servers:
        demo = Demo(options, environment, servers, tell, progress or Silent(), result or DemoResult())
        _run_steps(demo)
        demo.result.ok = all(demo.result.dataset["checks"].values())
        if options.keep is not None:
            options.keep(demo.result)
    return demo.result


def _run_steps(demo: Demo) -> None:
    from fairlead.demo.verify import verify_dataset

    samples = collect_samples(demo)
    start_servers(demo)
    with demo.client("clinician") as clinician, demo.client("steward") as steward:
        send_samples(demo, samples)
        wait_for_index(demo, clinician)
        version = freeze_cohort(demo)
        export_id = export_cohort(demo, version, clinician=clinician, steward=steward)
    verify_dataset(demo, export_id, samples, version)


def collect_samples(demo: Demo) -> Any:
    """Find the sample images."""
    from fairlead.demo.samples import own_samples, packaged_samples

    with demo.step("collect samples") as say:
        folder = demo.options.data
        samples = own_samples(folder) if folder else packaged_samples(demo.environment.workdir / "samples")
        say(f"{len(samples.dicom)} DICOM and {len(samples.ome)} OME files from {folder or 'installed packages'}")
    return samples


def start_servers(demo: Demo) -> None:
    """Start the node, the catalog and Airflow, and wait until all of them are ready."""
    environment = demo.environment
    with demo.step("start servers") as say:
        node = demo.servers.start("node", environment.command("node"))
        catalog = demo.servers.start("catalog", environment.command("catalog"))
        airflow = demo.servers.start("airflow", environment.airflow_command(), environment.airflow_variables())
        for server in (node, catalog):
            say(server.wait_for_line("listening"))
        _wait_for_airflow(demo, airflow)
        with demo.client("admin") as admin:
            demo.wait(lambda: _dags_ready(admin), "the four DAGs")
        say(f"airflow {environment.airflow_url}")
    demo.result.urls = environment.urls()


def _wait_for_airflow(demo: Demo, airflow: Server) -> None:
    import httpx

    base = demo.environment.airflow_url

    def healthy() -> bool:
        """Return whether all four parts of Airflow say that they are healthy."""
        try:
            answer = httpx.get(f"{base}/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all((answer.get(part) or {}).get("status") == "healthy" for part in parts)

    demo.wait(healthy, f"{airflow.name} to be healthy")
    # The first Execution API call freezes the server for seconds while it builds its versions: let it be ours.
    demo.wait(lambda: httpx.get(f"{base}/execution/health", timeout=60).is_success, "Airflow's Execution API")


def _dags_ready(client: AirflowClient) -> bool:
    dags = client.call("GET", "/api/v2/dags", params={"tags": "fairlead", "limit": 10})["dags"]
    return {"receive_dicom", "ingest_ome", EXPORT_DAG, "harvest_catalogs"} <= {dag["dag_id"] for dag in dags}


def send_samples(demo: Demo, samples: Any) -> None:
    """Send DICOM by C-STORE and drop OME files in the watched folder."""
    import shutil

    from fairlead.demo.send import send_files

    environment = demo.environment
    with demo.step("send to the node") as say:
        node = environment.settings.node
        sent = send_files(samples.dicom, host=node.host, port=environment.node_port, called_ae=node.ae_title, progress=demo.progress)
        say(f"{sent} instances stored")
    with demo.step("drop OME files") as say:
        watch = environment.settings.watch_folder
        watch.mkdir(parents=True, exist_ok=True)
        for path in samples.ome:
            shutil.copyfile(path, watch / path.name)
        say(f"{len(samples.ome)} files in {watch}")


def wait_for_index(demo: Demo, client: AirflowClient) -> None:
    """Wait until the DAGs have indexed everything, and show what was extracted."""
    with demo.step("index in Airflow") as say:
        demo.wait(lambda: demo.environment.indexed() or None, "receive_dicom and ingest_ome to index everything")
        for dag_id in ("receive_dicom", "ingest_ome"):
            demo.wait(partial(client.successful_runs, dag_id), f"a successful run of {dag_id}")
        records = demo.environment.records()
        demo.result.series = sum(record.core.kind == "dicom-series" for record in records)
        demo.result.ome_images = sum(record.core.kind == "ome-image" for record in records)
        say(f"{demo.result.series} series, {demo.result.ome_images} OME images")
    for record in records:
        demo.tell("    " + _described(record))


def _described(record: Any) -> str:
    geometry = record.core.geometry
    sizes = " × ".join(str(size) for size in (geometry.size_x, geometry.size_y, geometry.size_z) if size)
    modality = record.core.modality.raw if record.core.modality else "microscopy"
    body_part = record.core.body_part.raw if record.core.body_part else "–"
    return f"{modality:<11} {body_part:<10} {sizes:<16} {record.core.instances:>4} objects  {geometry.verdict}"


def freeze_cohort(demo: Demo) -> CohortVersion:
    """Define a cohort over both kinds of data, count it and freeze it."""
    from fairlead.cohort import CohortStore, count_definition, parse_definition

    environment = demo.environment
    with demo.step("freeze a cohort") as say:
        index, catalogue = environment.index, environment.catalogue
        definition = parse_definition(environment.definition(TITLE), catalogue)
        count = count_definition(definition, index=index, catalogue=catalogue)
        for row in count.attrition:
            demo.tell(f"    {row.rule:<28} {row.patients:>4} patients {row.series:>5} series")
        version = CohortStore(environment.engine).freeze(definition, index=index, catalogue=catalogue, author="clinician", title=TITLE)
        demo.result.cohort = {
            "id": version.id,
            "version": version.version,
            "sha256": version.members_sha256,
            "definition_sha256": version.definition_sha256,
            "patients": version.counts.patients,
            "series": version.counts.series,
            "sentence": version.sentence,
        }
        say(f"{version.counts.patients} patients, {version.counts.series} series: {version.sentence}")
    return version


def export_cohort(demo: Demo, version: CohortVersion, *, clinician: AirflowClient, steward: AirflowClient) -> str:
    """Start the export as the clinician, approve it as the steward, wait until it is published; return the export id."""
    run_id = f"demo__{version.id}__{version.version}__{demo.environment.run}"
    with demo.step("start the export (clinician)") as say:
        clinician.trigger(EXPORT_DAG, conf={"cohort": version.ref, "title": TITLE, "geometry": "split"}, run_id=run_id)
        demo.wait(lambda: _waits_for_approval(clinician, run_id) or None, "the approval step")
        say(f"run {run_id} waits for approval")
    with demo.step("approve (steward)") as say:
        for line in steward.evidence(EXPORT_DAG, run_id, "approve").splitlines():
            demo.tell(f"    {line}")
        demo.wait(lambda: _approved(steward, run_id) or None, "the decision to be recorded")
        say("approved by steward, started by clinician")
    with demo.step("de-identify, convert, describe, publish") as say:
        export_id = demo.wait(lambda: demo.environment.export_of(run_id), "the export's row")
        state = demo.wait(lambda: _finished(clinician, run_id), "export_cohort to finish")
        if state != "success":
            raise CheckFailed(
                f"The run ended as {state}: {clinician.task_states(EXPORT_DAG, run_id)}.", remedy=demo.environment.export_reason(run_id)
            )
        say(f"run ended as {state}")
    return export_id


def _waits_for_approval(client: AirflowClient, run_id: str) -> bool:
    states = client.task_states(EXPORT_DAG, run_id)
    if "failed" in states.values() or "upstream_failed" in states.values():
        raise CheckFailed(f"The export failed before the approval: {states}.")
    return states.get("approve") == "awaiting_input"


def _approved(steward: AirflowClient, run_id: str) -> bool:
    if _waits_for_approval(steward, run_id):
        steward.answer_approval(EXPORT_DAG, run_id, "approve", option="Approve", reason="Demonstration data, public.")
    return steward.task_states(EXPORT_DAG, run_id).get("decide") == "success"


def _finished(client: AirflowClient, run_id: str) -> str | None:
    state = client.run_state(EXPORT_DAG, run_id)
    return state if state in {"success", "failed"} else None
