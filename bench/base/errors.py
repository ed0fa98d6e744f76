"""What a user did wrong, in one line; the command line prints it and exits with status 2."""


class InputError(Exception):
    """Bad input: the message is one line that names the file or option, and the cure."""
