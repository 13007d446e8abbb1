"""Training: the windows of a period in, a verdict on a challenger out.

The steps of the DAG `train_detectors`, each safe to run again:

    data        the windows of a period, written down once for all that follows
    studies     trials of a family's parameters, shared by all workers
    candidates  the best parameters of a family, trained and measured
    gate        the best candidate against the champion; promotion, and the way back

What tasks hand on is in `jobs`.
"""
