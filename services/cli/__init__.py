"""The command `loganalyzer`.

Where do I go to…
- start and stop the embedded stack? `stack.py`.
- run the DAGs? `pipeline.py`. Run everything on sample or own logs? `demo.py`.
- read anomalies? `anomalies.py`. List and resolve incidents? `incidents.py`.
- see what a night rests on? `coverage.py`.
- see what monitoring measured? `monitor.py`.
- see what the gate said, or roll back? `promotions.py`.
- see what a challenger judges otherwise? `disagreements.py`.
- manage log sources and labels? `sources.py`, `labels.py`.
- say what is real and what a false alarm? `feedback.py`. Accept what lasts? `proposals.py`.
- see and try message templates? `templates.py`; correct them? `template_edits.py`.
- measure detectors on files? `evaluate.py`.
- say who may log in? `users.py`.
- see what commands share: exit codes, errors, printing? `common.py`.

Heavy libraries are imported inside the commands: `--help` answers at once.
"""

import typer

from services.cli import (
    anomalies,
    coverage,
    demo,
    disagreements,
    evaluate,
    feedback,
    incidents,
    labels,
    monitor,
    pipeline,
    promotions,
    proposals,
    sources,
    stack,
    templates,
    users,
)
from services.cli.common import EXIT_CODES

app = typer.Typer(
    name="loganalyzer",
    help="Finds anomalies in logs, every night.",
    epilog=f"Exit codes: {EXIT_CODES}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    stack,
    demo,
    pipeline,
    promotions,
    anomalies,
    coverage,
    disagreements,
    monitor,
    evaluate,
):
    module.register(app)
app.add_typer(sources.app)
app.add_typer(templates.app)
app.add_typer(labels.app)
app.add_typer(feedback.app)
app.add_typer(incidents.app)
app.add_typer(proposals.app)
app.add_typer(users.app)
