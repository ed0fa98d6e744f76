"""Who takes turns when: runs, comparisons, sessions, and the processes that measure."""
