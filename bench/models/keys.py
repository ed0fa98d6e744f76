"""On what each made file depends: the names of cached files change with it, and with nothing else.

Sources are named one by one. An edit of any other module keeps what is in the cache; a test walks
the imports and tells when one that matters is missing here.
"""

from bench.base.cache import fingerprint, sha256_of
from bench.zoo import catalog
from bench.zoo.catalog import Weights

#: From a recording to the features of its chunks.
FEATURES = (
    "bench/embed/batches.py",
    "bench/embed/pipeline.py",
    "frontends/audio.py",
    "frontends/chunking.py",
    "frontends/dft.py",
    "frontends/fbank.py",
    "frontends/mel.py",
)
#: From a name of the catalog to an exported file; the module of the model's family comes to it.
EXPORT = (
    "bench/models/catalog_maker.py",
    "bench/zoo/__init__.py",
    "bench/zoo/counter.py",
    "bench/zoo/export.py",
    "bench/zoo/layers.py",
    "bench/zoo/pooling.py",
    "bench/zoo/repvgg.py",
    "bench/zoo/seeded.py",
)
#: Families whose modules take parts from those of others.
BORROWED = {
    "bench/zoo/res2net.py": ("bench/zoo/resnet.py",),
    "bench/zoo/eres2net.py": ("bench/zoo/res2net.py", "bench/zoo/resnet.py"),
    "bench/zoo/simam.py": ("bench/zoo/resnet.py",),
}
#: Where trained weights are read, of the models that have them.
TRAINED = "bench/zoo/weights.py"
#: From recordings to a file in another precision; the engine that makes it comes to it.
CALIBRATION = ("bench/models/quantization.py", *FEATURES)
EXPORT_PACKAGES = ("numpy", "torch", "onnx", "onnxscript")
#: From an experiment's files to an exported one.
EXPERIMENT = (
    "bench/models/make_export.py",
    "bench/zoo/__init__.py",
    "bench/zoo/checkpoint.py",
    "bench/zoo/experiment.py",
    "bench/zoo/export.py",
    "bench/zoo/layers.py",
    "bench/zoo/pooling.py",
    "bench/zoo/repvgg.py",
)
#: From a user's file to what it says of itself.
DESCRIPTION = (
    "bench/models/model_reading.py",
    "bench/models/onnx_graph.py",
    *(f"frontends/{name}.py" for name in ("chunking", "dft", "fbank", "mel")),
)
DESCRIPTION_PACKAGES = ("onnx", "MNN")
#: From a user's file to one in another form; whoever makes another format has a key of its own.
CONVERSION = (
    "bench/models/file_maker.py",
    "bench/models/onnx_graph.py",
)
CONVERSION_PACKAGES = ("onnx",)
#: From a model to the embeddings that those of the engines are compared with.
REFERENCE = ("bench/models/prepare.py", "bench/zoo/reference_session.py")
FILE_REFERENCE = ("bench/models/prepare.py", "bench/models/file_maker.py", *FEATURES)
FILE_REFERENCE_PACKAGES = ("numpy", "onnxruntime", "MNN")


def catalog_files(model: str, weights: Weights = "seeded") -> str:
    """Return the key of the files that a model of the catalog is exported to.

    The features are in it, since the share of denormals on speech is told of a file.
    """
    card = catalog.get(model)
    family = card.family.partition(":")[0].replace(".", "/") + ".py"
    shape = f"{card.family} {dict(card.kwargs)} {card.feat_dim} {card.embed_dim}"
    path = catalog.trained_weights(model) if weights == "trained" else None
    trained = (TRAINED,) if path else ()
    digests = (sha256_of(path),) if path else ()
    sources = (*EXPORT, *FEATURES, family, *BORROWED.get(family, ()), *trained)
    return fingerprint(sources, EXPORT_PACKAGES, shape, *digests)


def catalog_reference(model: str, weights: Weights = "seeded") -> str:
    """Return the key of what a model of the catalog embeds, the recordings apart."""
    return fingerprint(REFERENCE, (), catalog_files(model, weights))


def experiment(*digests: str) -> str:
    """Return the key of the file that an experiment is exported to.

    Args:
        digests: of its files' content.
    """
    families = sorted({catalog.get(name).family.partition(":")[0] for name in catalog.names()})
    sources = (family.replace(".", "/") + ".py" for family in families)
    return fingerprint((*EXPERIMENT, *sources), EXPORT_PACKAGES, *digests)


def file_description(*names: str) -> str:
    """Return the key of what a user's file says of itself.

    Args:
        names: that change with the file, its place and what is asked of it.
    """
    return fingerprint(DESCRIPTION, DESCRIPTION_PACKAGES, *names)


def file_conversions(*names: str) -> str:
    """Return the key of what is converted from a user's file.

    Args:
        names: that change with the file and with what is made of it.
    """
    return fingerprint(CONVERSION, CONVERSION_PACKAGES, *names)


def file_reference(*names: str) -> str:
    """Return the key of what a user's reference file embeds, the recordings apart.

    Args:
        names: that change with the file and with what is read of it.
    """
    return fingerprint(FILE_REFERENCE, FILE_REFERENCE_PACKAGES, *names)
