"""Front end: audio files and waveforms in, chunks of fbank features out; a leaf."""
