"""The answer itself: which configuration is fastest here, found by racing, with proof."""
