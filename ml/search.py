"""The search for a family's settings: trials of an Optuna study, each judged on the folds.

The study lies where its caller wants it: in a database, for many workers, or in memory for one.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from ml.tuning import ASSUMED, Exam, all_settings, first_settings, search_space

log = logging.getLogger(__name__)
# It tells of every trial that is there already.
optuna.logging.set_verbosity(optuna.logging.WARNING)

TASK = "task"
ASKED_FOR = "asked for"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
# By so much more must be found where all that is learnt is taken for normal: planted faults come
# for the first time, and do not show what that costs where anomalies come back.
PRICE_OF_TRUST = 0.1
# Drawn at random before TPE has something to learn from; the defaults come before them.
STARTUP_TRIALS = 8
# Trials whose first folds say what is worse than usual.
STARTUP_OF_PRUNER = 5


def open_study(
    family_name: str,
    *,
    has_labels: bool,
    name: str | None = None,
    storage: optuna.storages.BaseStorage | None = None,
) -> optuna.Study:
    """New, or where it was left. Its first trial is that of the default parameters; tuning never
    ends below them."""
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", load_if_exists=True
    )
    for settings in first_settings(family_name, has_labels=has_labels):
        study.enqueue_trial(settings, {ASKED_FOR: True}, skip_if_exists=True)
    return study


def trials_worth(family_name: str, asked: int, *, has_labels: bool) -> int:
    """As many trials as asked for, or as the family has settings, where these are fewer."""
    settings = all_settings(search_space(family_name, has_labels=has_labels))
    return asked if settings is None else min(asked, len(settings))


def new_trial(
    study: optuna.Study,
    family_name: str,
    exams: Sequence[Exam],
    *,
    has_labels: bool,
    seed: int,
    number: int,
) -> FrozenTrial:
    """Ask the study for settings, judge them on the folds, and tell it the mean figure.

    number: of the task that the trial belongs to. Each draws by its own: workers side by side do
    not try the same.
    """
    study.sampler = optuna.samplers.TPESampler(seed=seed + number, n_startup_trials=STARTUP_TRIALS)
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP_OF_PRUNER)
    trial = study.ask(search_space(family_name, has_labels=has_labels))
    trial.set_user_attr(TASK, number)
    try:
        values = _values(trial, family_name, exams, seed)
    except optuna.TrialPruned:
        return study.tell(trial, state=TrialState.PRUNED)
    except Exception:
        study.tell(trial, state=TrialState.FAIL)
        raise
    return study.tell(trial, float(np.mean(values)))


def best_settings(
    study: optuna.Study, family_name: str, *, has_labels: bool
) -> tuple[dict[str, Any], float | None]:
    """The settings with the highest figure over the folds, less the price of trust, and the figure;
    the defaults and None where no trial has come to an end."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        return first_settings(family_name, has_labels=has_labels)[0], None

    def worth(trial: FrozenTrial) -> tuple[float, int]:
        trusts = trial.params.get(ASSUMED) == 0
        # Of equal ones the first: the defaults, where nothing is better.
        return (trial.value or 0.0) - PRICE_OF_TRUST * trusts, -trial.number

    best = max(complete, key=worth)
    return dict(best.params), best.value


def values_of(study: optuna.Study) -> list[float | None]:
    """The figures of the finished trials, in their order, None where one was pruned."""
    trials = study.get_trials(deepcopy=False, states=FINISHED)
    return [trial.value if trial.state == TrialState.COMPLETE else None for trial in trials]


def _values(trial: Trial, family_name: str, exams: Sequence[Exam], seed: int) -> list[float]:
    """The figure on each fold. Raises TrialPruned where the first ones are below the median."""
    values = []
    for fold, exam in enumerate(exams):
        detector = exam.fitted(family_name, trial.params, seed)
        values.append(exam.figure(detector.score(exam.trial.test)))
        log.info("fold %d of %d: %.4f with %s", fold + 1, len(exams), values[-1], trial.params)
        trial.report(values[-1], fold)
        if fold + 1 < len(exams) and trial.should_prune():
            raise optuna.TrialPruned
    return values
