"""Every class, method, argument and value of TensorRT that the runtime uses: one list for all versions.

`since` and `until` tell in which versions a name is: in all of them unless said otherwise. Where one is missing on
purpose the runtime asks with hasattr or dir, and the contract asserts that it really is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, ...]


@dataclass(frozen=True)
class Name:
    """A name of the module, dotted; `arguments` in their order where it is called."""

    path: str
    arguments: tuple[str, ...] = ()
    since: Version = ()
    until: Version = (99,)

    def is_in(self, version: Version) -> bool:
        """Whether `version` is meant to have it."""
        return self.since <= version < self.until


METHODS = (
    Name("init_libnvinfer_plugins", ("logger", "namespace")),
    Name("ILogger.log", ("severity", "msg")),
    Name("ILogger.__init__"),
    Name("Logger"),
    Name("Builder.__init__", ("logger",)),
    Name("Builder.create_network", ("flags",)),
    Name("Builder.create_builder_config", ()),
    Name("Builder.build_serialized_network", ("network", "config")),
    Name("Builder.num_DLA_cores"),
    Name("OnnxParser.__init__", ("network", "logger")),
    Name("OnnxParser.parse", ("model",)),
    Name("OnnxParser.num_errors"),
    Name("OnnxParser.get_error", ("index",)),
    Name("ParserError.code", ()),
    Name("ParserError.desc", ()),
    Name("ParserError.node", ()),
    Name("INetworkDefinition.num_inputs"),
    Name("INetworkDefinition.get_input", ("index",)),
    Name("INetworkDefinition.num_layers"),
    Name("INetworkDefinition.get_layer", ("index",)),
    Name("ILayer.name"),
    Name("ILayer.num_outputs"),
    Name("ILayer.get_output", ("index",)),
    Name("ITensor.name"),
    Name("ITensor.dtype"),
    Name("ITensor.set_dynamic_range", ("min", "max"), until=(11,)),
    Name("IBuilderConfig.set_flag", ("flag",)),
    Name("IBuilderConfig.clear_flag", ("flag",)),
    Name("IBuilderConfig.profiling_verbosity"),
    Name("IBuilderConfig.default_device_type"),
    Name("IBuilderConfig.DLA_core"),
    Name("IBuilderConfig.can_run_on_DLA", ("layer",)),
    Name("IBuilderConfig.set_memory_pool_limit", ("pool", "pool_size")),
    Name("IBuilderConfig.create_timing_cache", ("serialized_timing_cache",)),
    Name("IBuilderConfig.set_timing_cache", ("cache", "ignore_mismatch")),
    Name("IBuilderConfig.get_timing_cache", ()),
    Name("ITimingCache.serialize", ()),
    Name("Runtime.__init__", ("logger",)),
    Name("Runtime.DLA_core"),
    Name("Runtime.deserialize_cuda_engine", ("serialized_engine",)),
    Name("ICudaEngine.num_io_tensors"),
    Name("ICudaEngine.get_tensor_name", ("index",)),
    Name("ICudaEngine.get_tensor_mode", ("name",)),
    Name("ICudaEngine.get_tensor_shape", ("name",)),
    Name("ICudaEngine.get_tensor_dtype", ("name",)),
    Name("ICudaEngine.create_execution_context", ()),
    Name("ICudaEngine.create_engine_inspector", ()),
    Name("EngineInspector.get_engine_information", ("format",)),
    Name("IExecutionContext.set_tensor_address", ("name", "memory")),
    Name("IExecutionContext.execute_async_v3", ("stream_handle",)),
)

VALUES = (
    *(Name(f"BuilderFlag.{flag}") for flag in ("TF32", "GPU_FALLBACK")),
    *(Name(f"BuilderFlag.{flag}", until=(11,)) for flag in ("FP16", "INT8")),
    Name("BuilderFlag.FP8", since=(8, 6), until=(11,)),
    Name("BuilderFlag.BF16", since=(10,), until=(11,)),
    Name("Logger.ERROR"),
    Name("NetworkDefinitionCreationFlag.EXPLICIT_BATCH", until=(11,)),
    Name("NetworkDefinitionCreationFlag.STRONGLY_TYPED", since=(10,)),
    Name("DeviceType.DLA"),
    Name("MemoryPoolType.WORKSPACE"),
    Name("ProfilingVerbosity.DETAILED"),
    Name("LayerInformationFormat.JSON"),
    Name("TensorIOMode.INPUT"),
    Name("TensorIOMode.OUTPUT"),
    Name("ErrorCode.UNSUPPORTED_NODE"),
    *(Name(f"DataType.{kind}") for kind in ("FLOAT", "HALF", "INT8", "INT32", "BOOL", "UINT8")),
    *(Name(f"DataType.{kind}", since=(10,)) for kind in ("INT64", "BF16")),
)

USED = (*METHODS, *VALUES)
