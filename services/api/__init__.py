"""The API: what the dashboard, scripts and other programs see of LogAnalyzer.

Where do I go to…
- add a route? A module of `routes/`, and its router into `ROUTERS` of `app.py`.
- say who may use a route? `access.py`: each names what it needs, and the app does not start where
  one has forgotten to.
- change what an error looks like? `problems.py`. How lists are paged? `paging.py`.
- change what is logged and measured of a request? `observing.py`.
"""
