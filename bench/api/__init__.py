"""The Python interface: what `import rtfbench` offers, from the functions that the commands use."""
