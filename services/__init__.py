"""The faces of LogAnalyzer.

Where do I go to…
- change a command? `cli/`.
- change what programs can ask for? `api/`. What people see in a browser? `dashboard/`.
- change what runs on a machine without Docker? `local/`.
- change the sample logs? `simulator/`.
- talk to Airflow from outside? `airflow_api.py`.
"""
