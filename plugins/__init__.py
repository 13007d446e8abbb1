"""What Airflow loads: hooks, operators, links, pages and listeners, one a file."""
