"""What nobody means: limits of options that everything behind them relies on."""

#: A year, in seconds: no budget and no time limit is longer, infinite ones among them.
LONGEST_S = 365 * 86400.0
#: A petabyte, in 10^6 bytes: no process is larger.
MOST_MB = 1e9
#: A recording that takes longer than an hour to embed is given up, unless somebody allows more.
RECORDING_TIMEOUT_S = 3600.0
