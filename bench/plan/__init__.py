"""What to measure: TOML or flags become a plan, a plan becomes cells."""
