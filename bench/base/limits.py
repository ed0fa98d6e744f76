"""Limits of options: what lies beyond them is a slip of the keyboard, and is refused."""

#: A year, in seconds: no budget and no time limit is longer, infinite ones among them.
LONGEST_S = 365 * 86400.0
#: A petabyte, in 10^6 bytes: no process is larger.
MOST_MB = 1e9
#: A recording that takes longer than an hour to embed is given up, unless somebody allows more.
RECORDING_TIMEOUT_S = 3600.0
#: More chunks at once are no faster, and take more memory than machines have.
MOST_TOGETHER = 4096
#: More workers for each core only take memory, and a mistyped number would take the machine.
MOST_JOBS_A_CORE = 16
