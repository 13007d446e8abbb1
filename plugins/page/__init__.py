"""The pages that Airflow's API server shows of ours.

Where do I go to…
- see the routes, and who may use them? `app.py`.
- change what a page tells? `templates/`; how it looks? `style.css`.
- know what a run has scored? `runs.py`.
"""
