"""The brain of LogAnalyzer: pure functions and small estimators, without servers or files of ours.

Where do I go to…
- change how messages become templates? `templates/`.
- change how events become windows? `windows.py`; what else is done with them: `altered.py`.
- add or change a detector family? `detectors/`.
- change where scores become decisions? `thresholds.py`; what a model is: `model.py`.
- change how models are measured, split or chosen? `evaluation.py`, `splits.py`, `promotion.py`.
- change what is tuned, or how it is searched for? `tuning.py`, `search.py`.
- change how it is noticed that logs have moved away from a model? `drift.py`.
- change what is said about an anomaly? `explanation.py`; what it would be without one of the things
  that are odd: `mending.py`; which past ones it is like: `memory.py`.

Nothing here imports anything else of the project.
"""
