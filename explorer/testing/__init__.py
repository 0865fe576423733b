"""Contract tests for what users bring: inherit the class, give the fixture, and pytest runs them all.

    from explorer.testing import DatasetContract

    class TestMine(DatasetContract):
        @pytest.fixture
        def dataset(self):
            return MyDataset(root="data")

Our own models and datasets pass the same tests.
"""

from __future__ import annotations

from explorer.testing.datasets import DatasetContract
from explorer.testing.models import ModelContract

__all__ = ["DatasetContract", "ModelContract"]
