"""
### Ingest: new objects in the bucket `logs` become events in the lake

Every hour, at ten past. Objects are known by key and ETag, so a run takes only what is new, and
running it again changes nothing.

1. **discover** lists new objects and cuts them into batches.
2. **stage** reads a batch: decodes, splits into records, parses, counts. Lines that do not parse go
   to the quarantine with the reason.
3. **validate** checks all objects; what fails is set aside and stays visible in `validations`.
   Meanwhile **learn_templates** extends each source's template catalogue by the new message shapes,
   and **write** reads each batch again and writes its events with their template ids.
4. **publish** checks what was written, and commits to the ledger all that was not set aside. Until
   then nobody sees any of it.

*If it fails:* nothing of the failed batch is visible in the lake. Read the log of the red task,
mend the cause and clear the task, or wait for the next hour: its objects are still new.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from include.assets import LAKE_EVENTS
from include.dag_defaults import DEFAULTS, SOURCE_PARAM
from plugins.links import DataDocsLink, offer, tell_docs

# What the UI shows for each mapped task; every one of them takes a single argument.
NAME_OF_BATCH = "{% set b = task.op_kwargs.values() | first %}{{ b.source }} {{ b.batch_id }}"


@dag(
    schedule=CronTriggerTimetable("10 * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    dagrun_timeout=timedelta(hours=6),
    params={"source": Param(**SOURCE_PARAM)},
    tags=["loganalyzer", "ingest"],
    doc_md=__doc__,
)
def ingest_logs():
    @task
    def discover(params: dict) -> list[dict]:
        from include.ingest.pipeline import discover_batches
        from include.workspace import open_workspace

        return discover_batches(open_workspace(), params["source"])

    @task(map_index_template=NAME_OF_BATCH)
    def stage(batch: dict) -> dict:
        from include.ingest.pipeline import stage_batch
        from include.workspace import open_workspace

        return stage_batch(open_workspace(), **batch)

    @task
    def validate(staged: list[dict], **context) -> list[str]:
        from include.ingest.pipeline import report_of, validate_batches
        from include.workspace import open_workspace

        tell_docs(context["ti"], report_of("parsed", staged))
        return validate_batches(open_workspace(), list(staged))

    @task
    def learn_templates(staged: list[dict]) -> list[dict]:
        from include.ingest.pipeline import learn_templates
        from include.workspace import open_workspace

        return learn_templates(open_workspace(), list(staged))

    @task(map_index_template=NAME_OF_BATCH)
    def write(batch: dict) -> dict:
        from include.ingest.pipeline import write_batch
        from include.workspace import open_workspace

        return write_batch(open_workspace(), **batch)

    # A batch that cannot be written does not hold up the others.
    @task(outlets=[LAKE_EVENTS], trigger_rule="all_done_min_one_success")
    def publish(written: list[dict], set_aside: list[str], **context) -> int:
        from include.ingest.pipeline import publish_batches, report_of
        from include.workspace import open_workspace

        tell_docs(context["ti"], report_of("events", written))
        return publish_batches(open_workspace(), list(written), set_aside)

    @task
    def clean_up() -> None:
        from include.ingest.pipeline import clear_staging
        from include.workspace import open_workspace

        clear_staging(open_workspace())

    staged = stage.expand(batch=discover())
    written = write.expand(batch=learn_templates(staged))
    validated = validate(staged)
    published = publish(written, validated)
    [written, published] >> clean_up()
    offer(DataDocsLink, validated, published)


ingest_logs()
