"""Data quality: what is expected of the objects of a batch, checked with Great Expectations.

Where do I go to…
- change what is expected, or from which share on? `suites.py`.
- change how Great Expectations is run, or how Data Docs are built? `runner.py`, the only module
  that imports it.
"""

from include.quality.runner import DOCS, QualityReport, check, page_of

__all__ = ["DOCS", "QualityReport", "check", "page_of"]
