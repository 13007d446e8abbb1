"""Great Expectations: runs a suite over a table of objects and builds its Data Docs."""

from __future__ import annotations

import gc
import logging
import math
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.quality.suites import SUITES, Expectation, Severity, columns_of

if TYPE_CHECKING:
    from great_expectations.checkpoint.checkpoint import CheckpointResult
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )

# The folder of all sites in the bucket of the Data Docs.
DOCS = "quality"
# What stands for the time of the run in the addresses of the pages.
RUN = "run"
# The site comes with seven megabytes of fonts and moving pictures, for each batch anew, that the
# pages do not refer to.
KEPT = {".html", ".ico"}
# Its logo is fetched from the makers of Great Expectations, whom it tells when a page is looked at.
REMOTE_LOGO = re.compile(rb"https://great-expectations-web-assets[^\"']*")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One expectation on one object; `reason` says what was expected and what was found."""

    object_id: str
    layer: str
    expectation: str
    severity: Severity
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The results, and the pages that show them: path below the site's root to content."""

    results: list[CheckResult]
    pages: dict[str, bytes]

    @property
    def refused(self) -> dict[str, str]:
        """The objects that failed a critical expectation, with the reasons."""
        reasons: dict[str, list[str]] = {}
        for result in self.results:
            if not result.passed and result.severity == "critical":
                reasons.setdefault(result.object_id, []).append(result.reason)
        return {object_id: "; ".join(told) for object_id, told in reasons.items()}


def check(layer: str, rows: Sequence[Mapping[str, Any]]) -> QualityReport:
    """Check a table of objects: `object_id` and the columns that the layer's suite names.

    Raises ValueError where a column holds no number. The first call in a process imports Great
    Expectations, which takes eight seconds; the check itself takes half of one.
    """
    _refuse_gaps(layer, rows)
    # Importing Great Expectations logs hundreds of lines, which Airflow would keep.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with _no_garbage_collected():
        import great_expectations as gx
        import pandas as pd
        from great_expectations.checkpoint.actions import UpdateDataDocsAction

    suite = SUITES[layer]
    table = pd.DataFrame(rows, columns=["object_id", *columns_of(layer)])
    with tempfile.TemporaryDirectory() as folder:
        context = gx.get_context(mode="file", project_root_dir=folder)
        context.enable_analytics(enable=False)
        context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        data = context.data_sources.add_pandas("objects").add_dataframe_asset(layer)
        definition = gx.ValidationDefinition(
            name=layer,
            data=data.add_batch_definition_whole_dataframe("batch"),
            suite=context.suites.add(
                gx.ExpectationSuite(name=layer, expectations=[_expectation(e) for e in suite])
            ),
        )
        checkpoint = context.checkpoints.add(
            gx.Checkpoint(
                name=layer,
                validation_definitions=[context.validation_definitions.add(definition)],
                actions=[UpdateDataDocsAction(name="docs")],
                result_format={
                    "result_format": "COMPLETE",
                    "unexpected_index_column_names": ["object_id"],
                },
            )
        )
        outcome = checkpoint.run(batch_parameters={"dataframe": table})
        return QualityReport(_results(layer, table, outcome), _pages(Path(folder)))


def page_of(layer: str) -> str:
    """Which of the pages shows the results."""
    return f"validations/{layer}/__none__/{RUN}/objects-{layer}.html"


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """Importing makes very many objects and hardly any garbage: to look for it, again and again,
    takes a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _refuse_gaps(layer: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Great Expectations passes over missing values, so that a typing error would pass a batch."""
    for row in rows:
        for column in columns_of(layer):
            value = row.get(column)
            if not isinstance(value, Real) or math.isnan(value):
                raise ValueError(
                    f"object {row.get('object_id')}: {column} is {value!r}; the suite {layer!r} "
                    "needs a number there"
                )


def _expectation(expected: Expectation) -> ExpectColumnValuesToBeBetween:
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )
    from great_expectations.expectations.metadata_types import FailureSeverity

    return ExpectColumnValuesToBeBetween(
        column=expected.column,
        min_value=expected.least,
        max_value=expected.most,
        severity=FailureSeverity(expected.severity),
        meta={"name": expected.name},
    )


def _results(layer: str, table: Any, outcome: CheckpointResult) -> list[CheckResult]:
    """One result for each object and expectation, out of the objects that GX calls unexpected."""
    by_name = {expected.name: expected for expected in SUITES[layer]}
    found = {object_id: row for object_id, row in table.set_index("object_id").iterrows()}
    results = []
    for validation in outcome.run_results.values():
        for each in validation.results:
            told = each.expectation_config
            expected = by_name[told.meta["name"]]  # type: ignore[union-attr]  # always there
            failed = {row["object_id"] for row in each.result.get("unexpected_index_list") or []}
            if each.success == bool(failed):
                raise RuntimeError(f"{expected.name} could not be checked: {each.exception_info}")
            for object_id, row in found.items():
                results.append(
                    CheckResult(
                        object_id=str(object_id),
                        layer=layer,
                        expectation=expected.name,
                        severity=expected.severity,
                        passed=object_id not in failed,
                        reason=expected.reason(row[expected.column]),
                    )
                )
    return results


def _pages(folder: Path) -> dict[str, bytes]:
    """The site. Its addresses do not hold the time of the run: a second run replaces the first."""
    site = next(folder.glob("**/data_docs/local_site"))
    run_time = next(site.glob("validations/*/*/*")).name
    pages = {}
    for path in sorted(site.rglob("*")):
        if path.suffix in KEPT:
            content = REMOTE_LOGO.sub(b"data:,", path.read_bytes())
            address = path.relative_to(site).as_posix().replace(run_time, RUN)
            pages[address] = content.replace(run_time.encode(), RUN.encode())
    return pages
