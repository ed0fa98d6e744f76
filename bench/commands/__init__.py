"""The bodies of the commands: each turns parsed arguments into calls, output and an exit status."""
