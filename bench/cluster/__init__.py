"""Work spread over the hosts of a Dask cluster: shards of an extraction, whole comparisons."""
