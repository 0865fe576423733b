"""What every network must keep to, as tests; `explorer.models.protocols` says what it may offer besides."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn


class ModelContract:
    """Inherit, and define the fixtures ``module`` (in eval mode) and ``sample_shape``."""

    @pytest.fixture
    def inputs(self, sample_shape: tuple[int, ...]) -> Tensor:
        """Three samples in 0…1."""
        return torch.rand((3, *sample_shape), generator=torch.Generator().manual_seed(0))

    def test_a_row_for_every_sample(self, module: nn.Module, inputs: Tensor) -> None:
        with torch.inference_mode():
            outputs = module(inputs)
        assert isinstance(outputs, Tensor)
        assert len(outputs) == len(inputs)
        assert torch.isfinite(outputs).all()

    def test_samples_of_a_batch_do_not_see_each_other(self, module: nn.Module, inputs: Tensor) -> None:
        """Otherwise accuracy would depend on the batch size, and padding the last batch would change results."""
        with torch.inference_mode():
            together = module(inputs)
            alone = torch.cat([module(sample[None]) for sample in inputs])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)

    def test_inference_is_deterministic(self, module: nn.Module, inputs: Tensor) -> None:
        with torch.inference_mode():
            torch.testing.assert_close(module(inputs), module(inputs), rtol=0, atol=0)

    def test_onnx_says_the_same_for_any_batch(
        self, module: nn.Module, sample_shape: tuple[int, ...], tmp_path: Path
    ) -> None:
        import onnx

        from explorer.passes.export import check, export

        onnx.save(export(module, sample_shape), tmp_path / "model.onnx")
        assert check(tmp_path / "model.onnx", module, sample_shape) < 1e-3
