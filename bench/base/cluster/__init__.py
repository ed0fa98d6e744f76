"""The hosts of a Dask cluster: tasks handed out, answers, and tasks that come back."""
