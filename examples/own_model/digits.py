"""A network and its data of one's own, in one short file: handwritten digits, 8 x 8, from scikit-learn.

Nothing of explorer has to be inherited from: a model is anything that returns a torch module, a dataset anything that
offers what `explorer.datasets.protocols` lists; for data that fit in four arrays, `ArrayDataset` offers all of it.
"""

from __future__ import annotations

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from explorer.datasets.arrays import ArrayDataset


def build(classes: int = 10, width: int = 16) -> nn.Module:
    """Digits [n, 1, 8, 8] in 0…1 to class scores [n, classes]. `classes` is filled in from the dataset."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, classes),
    )


def digits(test_share: float = 0.3) -> ArrayDataset:
    """1,797 digits, split into digits to learn from and digits to be tested on."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 1, 8, 8) / 16.0
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=test_share, random_state=0, stratify=labels
    )
    return ArrayDataset(train_x, train_y, test_x, test_y)
