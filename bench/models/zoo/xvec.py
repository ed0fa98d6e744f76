"""The x-vector TDNN.

Snyder et al., "X-Vectors: Robust DNN Embeddings for Speaker Recognition", ICASSP 2018.
"""

from torch import nn

from rtfbench.models.zoo.layers import TSTP, AsChannels, chain

# (output channels, kernel size in frames, dilation)
FRAME_LAYERS = ((512, 5, 1), (512, 3, 2), (512, 3, 3), (512, 1, 1), (1500, 1, 1))


def xvec(*, feat_dim: int, embed_dim: int) -> nn.Sequential:
    """Build the network: `features_BTM` float32 [B, T, M] -> [B, D].

    Nothing is padded, so it sees 14 frames fewer at its end and T must be 16 or more: the
    deviation over time needs two frames. BatchNorm comes behind the ReLU and has no weights.
    """
    frames: dict[str, nn.Module] = {}
    channels = feat_dim
    for index, (width, kernel_size, dilation) in enumerate(FRAME_LAYERS, start=1):
        frames[f"frame_{index}"] = chain(
            conv_1d=nn.Conv1d(channels, width, kernel_size, dilation=dilation),
            relu=nn.ReLU(),
            bn=nn.BatchNorm1d(width, affine=False),
        )
        channels = width
    return chain(
        channels=AsChannels(),
        **frames,
        pool=TSTP(),
        seg_1=nn.Linear(2 * channels, embed_dim),
        relu=nn.ReLU(),
        seg_bn_1=nn.BatchNorm1d(embed_dim, affine=False),
        seg_2=nn.Linear(embed_dim, embed_dim),
    )
