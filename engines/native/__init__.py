"""A user's own MNN library, full or minimal, called through a small C shim.

`home` finds headers and library in the user's folder, `build` compiles the shim against them,
`library` loads both into the process, `session` runs a model, `engine` is what the registry's
engines hand over to when their setting `home` names a folder.
"""
