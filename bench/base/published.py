"""What WeSpeaker's published MNN table was measured with; light enough for the command line."""

#: Two seconds at 16 kHz: what is measured where nothing else is asked for, and told first.
PUBLISHED_CHUNK_SAMPLES = 32000
