"""Embeddings of many recordings: workers that keep their session, results in the list's order."""
