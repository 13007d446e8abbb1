"""Templates: messages with their variable parts masked.

Mining is map, reduce, join. The map (`count_shapes`, in parallel, vectorised over millions of
messages) masks and counts; the reduce (`merge_shapes`, `Catalogue.learn`) sees the few distinct
shapes in a fixed order; the join (`Catalogue.match`) gives every message its template and
parameters back. A parallel run therefore equals a serial one.

Where do I go to…
- change what is masked? `masking.py`.
- change how shapes become templates, or how they are stored? `catalogue.py`.
"""

from ml.templates.catalogue import Catalogue
from ml.templates.shapes import count_shapes, merge_shapes

__all__ = ["Catalogue", "count_shapes", "merge_shapes"]
