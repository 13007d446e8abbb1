"""The API: what the dashboard, scripts and other programs see of LogAnalyzer.

Where do I go to…
- add a route? A module of `routes/`, and its router into `ROUTERS` of `app.py`.
- say who may use a route? `access.py`: each names what it needs, and the app does not start where
  one has forgotten to.
- change what an error looks like? `problems.py`. How lists are paged? `paging.py`.
- change how people log in? `routes/login_pages.py`, its pages in `pages/`; with an identity
  provider, `oidc.py`. How often somebody may try? `limits.py`.
- change what is logged and measured of a request? `observing.py`.
"""
