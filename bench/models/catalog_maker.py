"""Files of a model of the catalog: seeded, exported, counted; loads torch."""

from functools import cached_property
from pathlib import Path
from typing import Any

from rtfbench.base.cache import intact, seal, sha256_of
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.pipeline import Pipeline
from rtfbench.engines.base import SessionBase
from rtfbench.engines.protocol import FLOAT32, ONNX, PUBLISHED_NUM_FRAMES, Format, ModelArtifact
from rtfbench.frontends.audio import read_audio
from rtfbench.frontends.chunking import natural_chunk_samples
from rtfbench.frontends.front_end import WESPEAKER, FrontEnd
from rtfbench.models import artifacts, conversion
from rtfbench.models.artifacts import ArtifactRequest
from rtfbench.models.conversion import convert, is_from_onnx, quantize
from rtfbench.models.front_ends import metadata_of
from rtfbench.models.zoo import catalog, counter, export
from rtfbench.models.zoo.catalog import DEFAULT_WEIGHTS, Weights
from rtfbench.models.zoo.export import TorchSession
from rtfbench.models.zoo.seeded import denormal_share, seeded_model
from rtfbench.models.zoo.weights import trained_model

SPEECH = DEFAULT_SPEECH / "workshop_en_gb_f.flac"


class CatalogMaker:
    """Makes the files of one model of the catalog."""

    def __init__(self, name: str, weights: Weights = DEFAULT_WEIGHTS) -> None:
        self._name = name
        self._weights: Weights = weights
        self._card = catalog.get(name)

    @cached_property
    def _model(self) -> Any:
        trained = catalog.weights_of(self._name, self._weights) == "trained"
        return trained_model(self._name) if trained else seeded_model(self._name)

    @property
    def folder(self) -> Path:
        """Where its files are kept."""
        return artifacts.folder_of(self._name, artifacts.catalog_files(self._name, self._weights))

    @property
    def key(self) -> str:
        """A name that changes with all that its embeddings depend on, the recordings apart."""
        return artifacts.catalog_files(self._name, self._weights)

    @property
    def front_end(self) -> FrontEnd:
        """What the model is fed."""
        return WESPEAKER.with_bins(self._card.feat_dim)

    def make_artifact(self, request: ArtifactRequest) -> ModelArtifact:
        """Export the model, convert it where another format is asked for, and count it.

        Raises:
            ConversionError: it cannot be converted.
        """
        frames = request.chunk_frames if request.form == "static" else None
        path = self.folder / request.file_name
        recipe = ""
        if request.precision != FLOAT32:
            recipe = quantize(self._onnx(frames), path, request, self.front_end)
        elif not intact(path):
            self._write(path, request.format, frames)
            seal(path)
        counted_frames = request.chunk_frames or PUBLISHED_NUM_FRAMES
        counts = counter.count(self._model, counted_frames, self._card.feat_dim)
        return ModelArtifact(
            name=self._name,
            path=path,
            format=request.format,
            form=request.form,
            num_frames=frames,
            feat_dim=self._card.feat_dim,
            embedding_dim=self._card.embed_dim,
            sha256=sha256_of(path),
            params=counts.params,
            flops=counts.published_flops,
            macs=counts.macs if request.chunk_frames else None,
            denormal_share=self.denormals_on_speech(counted_frames),
            precision=request.precision,
            recipe=recipe,
        )

    def _write(self, path: Path, format: Format, frames: int | None) -> None:
        """Write a file, through one in ONNX where its format is made from that."""
        if not is_from_onnx(format):
            conversion.export(
                self._model, path, format, feat_dim=self._card.feat_dim, num_frames=frames
            )
            return
        onnx_path = self._onnx(frames)
        if format != ONNX:
            said = metadata_of(self.front_end, self._card.embed_dim)
            convert(onnx_path, path, format, static=frames is not None, said=said)

    def _onnx(self, frames: int | None) -> Path:
        """Return the model as ONNX, exported when it is not there."""
        path = self.folder / f"{frames or 'dynamic'}.onnx"
        if not intact(path):
            export.to_onnx(self._model, path, feat_dim=self._card.feat_dim, num_frames=frames)
            seal(path)
        return path

    def open_reference(self) -> SessionBase:
        """Open the model in torch."""
        return TorchSession(self._model)

    def denormals_on_speech(self, num_frames: int) -> float:
        """Return the share of denormal activations on one chunk of recorded speech."""
        pipeline = Pipeline(natural_chunk_samples(num_frames), self.front_end)
        return denormal_share(self._model, pipeline.first_chunk(read_audio(SPEECH)))
