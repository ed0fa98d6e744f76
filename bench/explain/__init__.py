"""Why one engine is slower than another: their own profiles, side by side."""
