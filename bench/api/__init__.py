"""The Python interface: what `import bench` offers, from the functions that the commands use."""
