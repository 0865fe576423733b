"""The gait zoo, and any network of the user's own: names, builders, checkpoints, training.

Importing this package is cheap; torch loads with the model.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from explorer.registry import Registry

MODELS = Registry(
    "models",
    {
        "gaitset": ("explorer.models.gaitset:gaitset", "GaitSet for CASIA-B: sets of silhouettes, 2.6 M parameters"),
        "gaitset_tiny": ("explorer.models.gaitset:gaitset_tiny", "GaitSet with a quarter of the channels, for a CPU"),
        "gait2d_cnn": ("explorer.models.gait2d_cnn:gait2d_cnn", "2D-CNN on 25 stacked frames of flow, 7 M parameters"),
        "gait2d_cnn_tiny": ("explorer.models.gait2d_cnn:gait2d_cnn_tiny", "the 2D-CNN with an eighth of the channels"),
        "gait3d_cnn": ("explorer.models.gait3d_cnn:gait3d_cnn", "3D-CNN on 25 frames of optical flow, 10 M parameters"),
        "gait3d_cnn_tiny": ("explorer.models.gait3d_cnn:gait3d_cnn_tiny", "the 3D-CNN with an eighth of the channels"),
    },
)


def weights_path(name: str) -> Path | None:
    """The trained weights shipped for the model `name`, or None where none are shipped."""
    path = Path(str(files("explorer.models") / "weights" / f"{name}.pt"))
    return path if path.is_file() else None
