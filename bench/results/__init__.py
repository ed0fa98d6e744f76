"""What was measured: records, the run folder, and every statistic that is derived from them."""
