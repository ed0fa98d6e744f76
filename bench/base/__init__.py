"""Under everything: errors, values, files and hashes, child processes, TOML."""
