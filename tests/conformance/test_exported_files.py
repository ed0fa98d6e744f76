"""What the exporter leaves in a file."""

from pathlib import Path

from engines.protocol import Form, Format, ModelArtifact


def test_an_exported_model_names_no_path(
    artifacts: dict[tuple[Format, Form], ModelArtifact],
) -> None:
    """A model file tells nothing of the machine it was exported on: no stack trace, no folder."""
    for artifact in artifacts.values():
        content = artifact.path.read_bytes()
        assert b"stack_trace" not in content
        assert b"site-packages" not in content
        assert str(Path(__file__).parents[2]).encode() not in content
