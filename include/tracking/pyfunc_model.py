"""The face that MLflow gives a model: windows' events in, one score a window out.

MLflow keeps this file as code beside the model's folder, so that nothing is pickled.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from ml.model import Model
from ml.windows import Windows, windows_from_events


class AnomalyScores(PythonModel):
    """`predict` takes events with the columns `window_id`, `template_id`, `text` (of the template)
    and `severity` (empty for none), in order, and returns one row a window: `window_id`, `score`,
    `is_anomaly`. The numbers in parameters and the habits of users and hosts are not judged here.
    """

    def load_context(self, context: Any) -> None:
        self.model_ = Model.load(Path(context.artifacts["model"]))

    # Without type hints: MLflow would take them for the model's signature.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        events = pl.from_pandas(model_input)
        texts = dict(events.select("template_id", "text").unique().iter_rows())
        windows: Windows = windows_from_events(events, texts)
        scores = self.model_.score(windows)
        return pd.DataFrame(
            {
                "window_id": windows.spans["window_id"].to_list(),
                "score": scores,
                "is_anomaly": scores > self.model_.threshold,
            }
        )


set_model(AnomalyScores())
