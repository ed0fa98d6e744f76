"""Makes `python -m bench.cli` the same as `rtfbench`."""

from bench.cli import main

main()
