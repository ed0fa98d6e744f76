"""One extraction on many hosts: its shards, and the workers that embed them."""
