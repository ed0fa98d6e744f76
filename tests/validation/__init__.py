"""The method tested, not trusted: on simulated machines, and on this one."""
