"""What the runtime uses of TensorRT, and the modules that must have it."""
