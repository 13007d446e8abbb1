"""The dashboard: what people on call and team leads see, in a browser, by way of the API alone.

Where do I go to…
- add a page? A module of `views/` with a function `show`, and its line in `app.py`.
- see how the API is asked, and how its errors are told? `client.py`, `parts.py`.
- see who is logged in? `session.py`.
- show text of a log? Only through `text.py`: it may hold anything.
- change a chart, its colours or shapes? `charts.py`.
- change how it looks? `style.css`, and `.streamlit/config.toml` for the two themes.
"""
