"""Results as text: records and summaries in, markdown and terminal tables out; no side effects."""
