"""Writes a program of `torch.export` as LiteRT's flat buffer."""

import sys
from pathlib import Path


def lower(program: Path, made: Path) -> None:
    """Write a `.tflite` file."""
    import litert_torch
    import torch

    exported = torch.export.load(program)
    inputs, _ = exported.example_inputs
    litert_torch.convert(exported.module(), inputs).export(str(made))


if __name__ == "__main__":
    lower(Path(sys.argv[1]), Path(sys.argv[2]))
