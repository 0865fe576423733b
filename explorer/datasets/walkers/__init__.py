"""A procedural crowd of articulated walkers, for trying things out without anybody's data.

    body         who somebody is: proportions, manner of walking; how a day's walk differs from it; bag and coat
    gait         where the limbs are at each moment: capsules in space
    camera       capsules in space to capsules in an image
    silhouettes  an image of the segmented person, with a segmenter's flaws
    flow         the optical flow of the same image, from the limbs' own motion
    film         one sequence of one person, from the seed
    options      what the user may say
    dataset      subjects, walks and views; training and test split; the protocol

Everything follows from a seed: the same options give the same pixels, with the same releases of NumPy and Pillow.
"""

from __future__ import annotations

from explorer.datasets.walkers.dataset import Walkers

__all__ = ["Walkers"]
