"""
### Ingest: new objects in the bucket `logs` become events in the lake

Every hour, at ten past. Objects are known by key and ETag, so a run takes only what is new, and
running it again changes nothing.

1. **discover** lists new objects and cuts them into batches.
2. **stage** reads a batch: decodes, splits into records, parses. Lines that do not parse go to the
   quarantine with the reason.
3. **validate** checks each batch; what fails is set aside and stays visible in `validations`.
4. **learn_templates** extends each source's template catalogue by the new message shapes.
5. **publish** writes the events with their template ids and commits them to the ledger at once.

*If it fails:* nothing of the failed batch is visible in the lake. Read the log of the red task,
mend the cause and clear the task, or wait for the next hour: its objects are still new.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from include.assets import LAKE_EVENTS
from include.dag_defaults import DEFAULTS, SOURCE_PARAM

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

    @task(map_index_template=NAME_OF_BATCH)
    def validate(staged: dict) -> dict:
        from include.ingest.pipeline import validate_batch
        from include.workspace import open_workspace

        return validate_batch(open_workspace(), **staged)

    @task
    def learn_templates(validated: list[dict]) -> list[dict]:
        from include.ingest.pipeline import learn_templates
        from include.workspace import open_workspace

        return learn_templates(open_workspace(), list(validated))

    @task(
        outlets=[LAKE_EVENTS],
        map_index_template=NAME_OF_BATCH,
    )
    def publish(learnt: dict) -> dict:
        from include.ingest.pipeline import publish_batch
        from include.workspace import open_workspace

        return publish_batch(open_workspace(), **learnt)

    @task
    def clean_up(published: list[dict]) -> None:
        from include.ingest.pipeline import clear_staging
        from include.workspace import open_workspace

        clear_staging(open_workspace())

    staged = stage.expand(batch=discover())
    learnt = learn_templates(validate.expand(staged=staged))
    clean_up(publish.expand(learnt=learnt))


ingest_logs()
