"""Every figure that the docs quote, as a program.

Where do I go to…
- see what the pipeline finds on real logs? `end_to_end.py`.
- see how well each family detects, and what networks cost? `detection.py`, `detection_cost.py`.
- see how silence, bursts and new levels of volume are told? `rates.py`.
- see how fast and how right template mining is? `templates.py`, `template_accuracy.py`.
- change how figures are printed? `report.py`. Run all of them? `__main__.py`.
"""
