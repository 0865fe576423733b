"""TensorRT without TensorRT: faces that behave as it does, and contracts that keep them honest."""
