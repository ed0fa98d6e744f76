"""A user's own MNN library, full or minimal, called through a small C shim.

`compiler` finds headers and library in the user's folder and compiles the shim against them,
`library` loads both into the process, `engine` is what the registry's engines hand over to when
their setting `home` names a folder.
"""
