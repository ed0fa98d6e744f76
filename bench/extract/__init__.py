"""Embeddings of many recordings: workers that keep their session, results in the list's order."""

#: The module of the processes that embed.
WORKER = "rtfbench.extract.worker"
