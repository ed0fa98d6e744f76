"""What a chunk through each model of the catalog costs, as `counter` counts it.

Counts never change, and counting takes torch: `tests/unit/test_counter.py` holds each of them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

#: Frames of the published table's chunk, at which MACs are counted here.
NUM_FRAMES = 198


class CatalogCounts(NamedTuple):
    """Parameters, operations by the published convention, and MACs at `NUM_FRAMES`."""

    params: int
    published_flops: int
    macs: int


COUNTS: Mapping[str, CatalogCounts] = MappingProxyType(
    {
        "resnet18": CatalogCounts(4_105_440, 2_187_806_720, 2_157_419_520),
        "resnet34": CatalogCounts(6_634_336, 4_559_902_720, 4_507_868_160),
        "resnet50": CatalogCounts(11_131_360, 5_179_770_880, 5_049_523_200),
        "resnet101": CatalogCounts(15_892_448, 9_966_970_880, 9_784_499_200),
        "resnet152": CatalogCounts(19_814_880, 14_766_458_880, 14_508_334_080),
        "resnet221": CatalogCounts(23_792_224, 21_295_482_880, 20_883_840_000),
        "resnet293": CatalogCounts(28_626_016, 28_103_034_880, 27_546_229_760),
        "ecapa512": CatalogCounts(6_190_720, 1_041_225_728, 1_026_908_160),
        "ecapa1024": CatalogCounts(14_657_088, 2_656_927_744, 2_622_554_112),
        "repvgg": CatalogCounts(6_264_352, 4_650_782_720, 4_641_152_000),
        "campplus": CatalogCounts(7_176_224, 1_152_397_312, 1_114_950_656),
        "xvec": CatalogCounts(4_610_524, 532_154_288, 525_201_408),
        "res2net": CatalogCounts(4_689_024, 1_770_173_440, 1_703_623_680),
        "gemini": CatalogCounts(6_531_552, 5_419_663_360, 5_182_996_480),
        "eres2net": CatalogCounts(9_887_808, 3_436_378_880, 3_349_888_000),
        "simam_resnet34": CatalogCounts(25_213_760, 18_196_554_240, 18_052_495_360),
        "redimnet_b2": CatalogCounts(4_888_241, 1_378_234_368, 1_344_384_000),
    }
)
