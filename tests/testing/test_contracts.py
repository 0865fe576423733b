"""Our own models and datasets keep to the contracts that are shipped for other people's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from explorer.datasets import DATASETS
from explorer.datasets.arrays import ArrayDataset
from explorer.datasets.protocols import Dataset
from explorer.models import MODELS
from explorer.models.build import build
from explorer.testing import DatasetContract, ModelContract

SMALL = {
    "subjects_train": 3,
    "subjects_test": 3,
    "views": (0, 90),
    "sequences_train": 2,
    "frames": 4,
    "frames_train": 5,
}


class TestWalkers(DatasetContract):
    @pytest.fixture(params=["silhouette", "flow", "stacked_flow"])
    def dataset(self, request: pytest.FixtureRequest) -> Any:
        options = SMALL if request.param == "silhouette" else {**SMALL, "frames": 25}
        return DATASETS.load("walkers")(modality=request.param, **options)


class TestArrays(DatasetContract):
    @pytest.fixture
    def dataset(self) -> Dataset:
        rng = np.random.default_rng(0)
        train, test = rng.normal(size=(20, 4)), rng.normal(size=(10, 4))
        return ArrayDataset(train, np.arange(20) % 16, test, np.arange(10) % 16)


@pytest.mark.parametrize("name", [name for name in MODELS if name.endswith("_tiny")])
class TestModels(ModelContract):
    """The full nets share the code of the tiny ones and are exported in the tests of the passes."""

    @pytest.fixture
    def module(self, name: str) -> nn.Module:
        return build(name)

    @pytest.fixture
    def sample_shape(self, name: str) -> tuple[int, ...]:
        shapes = {"gaitset_tiny": (4, 64, 44), "gait2d_cnn_tiny": (50, 60, 60), "gait3d_cnn_tiny": (2, 25, 60, 60)}
        return shapes[name]


def test_a_contract_catches_what_it_is_for(tmp_path: Path, pytester: pytest.Pytester) -> None:
    """A dataset that calibrates on its test data, and a network that normalises across its batch."""
    pytester.makepyfile(
        """
        import numpy as np, pytest
        from torch import nn
        from explorer.datasets.arrays import ArrayDataset
        from explorer.testing import DatasetContract, ModelContract

        class TestLeak(DatasetContract):
            @pytest.fixture
            def dataset(self):
                x = np.random.default_rng(0).normal(size=(10, 4))
                return ArrayDataset(x, np.arange(10), x, np.arange(10))

        class Across(nn.Module):
            def forward(self, x):
                return x - x.mean(dim=0)

        class TestAcross(ModelContract):
            sample_shape = pytest.fixture(lambda self: (4,))
            module = pytest.fixture(lambda self: Across())
        """
    )
    told = pytester.runpytest("-p", "no:cacheprovider", "-W", "ignore")
    failed = {line.split("::")[-1].split(" ")[0] for line in told.outlines if line.startswith("FAILED")}
    assert failed == {
        "test_calibration_is_not_taken_from_what_is_tested_on",
        "test_samples_of_a_batch_do_not_see_each_other",
    }
