"""Templates: messages with their variable parts masked.

Mining is map, reduce, join. The map (`count_shapes`, in parallel, vectorised over millions of
messages) masks and counts; the reduce (`merge_shapes`, `Catalogue.learn`) sees the few distinct
shapes in a fixed order; the join (`Catalogue.match`) gives every message its template and
parameters back. A parallel run therefore equals a serial one.

A message becomes a template in four steps, each on far fewer texts than the one before:

    message     Took 12.5 s for user bob at 10.0.0.1:80
    collapsed   Took 0.0 s for user bob at 0.0.0.0:0       digits.py: bytes, every line
    shape       Took <*> s for user bob at <*>             masking.py: expressions, distinct texts
    template    Took <*> s for user <*> at <*>             mining.py: all distinct shapes at once

Where do I go to…
- use the same messages twice, to count and to match? `batch.py`.
- change what counts as a number, or make the first pass faster? `digits.py`.
- change what is masked by its look alone? `masking.py`.
- change what the map and the reduce hand on? `shapes.py`.
- change how shapes are cut into words? `patterns.py`; what reads like a word? `wording.py`.
- change when a word is variable? `mining.py`.
- change ids, widening, redirects, or how templates are stored? `catalogue.py`.
- change what counts as a new, gone or changed template? `changes.py`.
- change how parameters are cut out of messages? `parameters.py`; their types? `types.py`; the
  numbers in them? `quantities.py`.
"""

from ml.templates.batch import Batch
from ml.templates.catalogue import Catalogue, Template
from ml.templates.quantities import numbers_of
from ml.templates.shapes import count_shapes, merge_shapes

__all__ = ["Batch", "Catalogue", "Template", "count_shapes", "merge_shapes", "numbers_of"]
