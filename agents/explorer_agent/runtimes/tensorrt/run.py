"""Running a plan: inputs and outputs by name, a context, a stream and buffers for each inference in flight.

    host, pinned ──copy──► device ──execute_async_v3──► device ──copy──► host, pinned ──mark──► wait for the mark
                 └──────────────────── one CUDA graph, where that can be captured ───┘

Copies are always made and always counted, on a Jetson too, where they could be left out: figures of boards with and
without memory of their own then mean the same. Whoever waits sleeps until the mark has passed.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence, TypeVar

from explorer_agent.messages import FAILED, INFEASIBLE, AgentError
from explorer_agent.runtimes import arrays
from explorer_agent.runtimes.tensorrt import failures
from explorer_agent.runtimes.tensorrt.cuda import Cuda, CudaError, Device, Event, Pinned, Stream
from explorer_agent.runtimes.tensorrt.units import DLA, Unit, require_a_stream_each

T = TypeVar("T")
_TYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}


class Plan:
    """A plan on its unit."""

    def __init__(self, trt: Any, plan: bytes, unit: Unit) -> None:
        """Load it.

        Raises:
            AgentError: TensorRT will not, with its reason.
        """
        self.unit = unit
        self._trt = trt
        self.log: failures.Log = []
        self._logger = failures.logger(trt, self.log)
        trt.init_libnvinfer_plugins(self._logger, "")
        self._runtime = failures.made(trt.Runtime, self._logger, self.log)
        if unit.kind == DLA:
            self._runtime.DLA_core = unit.core  # before the plan is read: afterwards it stays on core 0
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise failures.classified(self.log, f"TensorRT cannot load the engine on {unit}")
        names = [self._engine.get_tensor_name(number) for number in range(self._engine.num_io_tensors)]
        modes = {name: self._engine.get_tensor_mode(name) for name in names}
        self.inputs = [self._port(name) for name in names if modes[name] == trt.TensorIOMode.INPUT]
        self.outputs = [self._port(name) for name in names if modes[name] == trt.TensorIOMode.OUTPUT]

    def _port(self, name: str) -> arrays.Port:
        shape = tuple(self._engine.get_tensor_shape(name))
        kind = str(self._engine.get_tensor_dtype(name)).rpartition(".")[2]
        if kind not in _TYPES:
            raise AgentError(INFEASIBLE, f"{name} is of type {kind}, which is not carried to or from the board")
        if any(size < 0 for size in shape):
            raise AgentError(INFEASIBLE, f"{name} has the shape {shape}, which only the outcome tells")
        return arrays.Port(name, shape, _TYPES[kind])

    def context(self) -> Any:
        context = self._engine.create_execution_context()
        if context is None:
            raise failures.classified(self.log, f"no room on {self.unit} for another inference")
        return context


def _bytes(port: arrays.Port) -> int:
    import numpy as np

    return int(np.prod(port.shape, dtype=np.int64)) * np.dtype(port.dtype).itemsize


class Lane:
    """One inference in flight."""

    def __init__(self, cuda: Cuda, plan: Plan) -> None:
        self._cuda, self._plan = cuda, plan
        self._context = plan.context()
        self.stream = Stream(cuda)
        self._device = {port.name: Device(cuda, _bytes(port)) for port in (*plan.inputs, *plan.outputs)}
        self._results = {port.name: Pinned(cuda, _bytes(port)) for port in plan.outputs}
        for name, buffer in self._device.items():
            if not self._context.set_tensor_address(name, buffer.handle.value):
                raise failures.classified(plan.log, f"TensorRT will not take a buffer for {name}")
        self._begun, self._done = Event(cuda), Event(cuda)

    def pinned(self, feed: Mapping[str, Any]) -> dict[str, Pinned]:
        """One batch where the device can fetch it."""
        held = {}
        for port in self._plan.inputs:
            held[port.name] = Pinned(self._cuda, _bytes(port))
            held[port.name].view[:] = feed[port.name].reshape(-1).view("uint8").data
        return held

    def enqueue(self, feed: Mapping[str, Pinned]) -> None:
        """Put one batch into the stream."""
        for name, held in feed.items():
            self.stream.to_device(self._device[name], held)
        if not self._context.execute_async_v3(self.stream.handle.value):
            raise failures.classified(self._plan.log, f"the inference on {self._plan.unit} was not begun")
        for name, held in self._results.items():
            self.stream.to_host(held, self._device[name])

    def runner(self, work: Callable[[], None]) -> Callable[[], None]:
        """`work`, and then sleeping until it is done."""
        done, stream = self._done, self.stream

        def run() -> None:
            work()
            done.record(stream)
            done.wait()

        return run

    def device_ms(self, work: Callable[[], None]) -> float:
        """How long `work` takes by the device's own clock, from its first copy to its last."""
        self._begun.record(self.stream)
        self.runner(work)()
        return self._done.ms_since(self._begun)

    def results(self) -> list[Any]:
        """The outputs of the last batch; overwritten by the next."""
        import numpy as np

        found: list[Any] = [np.frombuffer(self._results[port.name].view, port.dtype) for port in self._plan.outputs]
        return [array.reshape(port.shape) for array, port in zip(found, self._plan.outputs)]

    def works(self, feeds: Sequence[Mapping[str, Any]]) -> tuple[list[Callable[[], None]], str]:
        """What puts each batch into the stream: a graph of its own, or, with the reason, call by call."""
        held = [self.pinned(feed) for feed in feeds]
        plain = [_bound(self.enqueue, each) for each in held]
        self.runner(plain[0])()  # TensorRT sets itself up in the first inference, which no graph could hold
        try:
            graphs = [self.stream.captured(work) for work in plain]
            launches = [_bound(graph.launch, self.stream) for graph in graphs]
            self.runner(launches[0])()
        except (CudaError, AgentError) as error:
            self.runner(plain[0])()  # still sound? else it is told now
            return plain, str(error)
        return [_keeping(launch, held) for launch in launches], ""


def _bound(function: Callable[[Any], T], argument: Any) -> Callable[[], T]:
    return lambda: function(argument)


def _keeping(launch: Callable[[], None], held: Any) -> Callable[[], None]:
    """`launch`, with what it reads and writes on the device kept for as long: a graph holds nothing but addresses."""

    def run(_held: Any = held) -> None:
        launch()

    return run


class Engine:
    """A loaded engine: its plans on their units, which take the streams in turn."""

    def __init__(self, cuda: Cuda, plans: Sequence[Plan], streams: int) -> None:
        self._cuda, self._plans, self._streams = cuda, plans, streams
        self._next = itertools.cycle(plans)
        self._notes: list[dict[str, str]] = []

    def step(self, inputs: Path | None) -> Callable[[], Any]:
        require_a_stream_each([plan.unit for plan in self._plans], self._streams)
        plan = next(self._next)
        lane = self._told(lambda: self._lane(plan), plan)
        works, why_no_graph = self._told(lambda: lane.works(arrays.feeds(inputs, plan.inputs)), plan)
        if why_no_graph:
            sys.stderr.write(f"no CUDA graph on {plan.unit}: {why_no_graph}\n")
        self._notes.append({"unit": str(plan.unit), "no_graph": why_no_graph})
        runs = itertools.cycle([lane.runner(work) for work in works])
        return _keeping(lambda: next(runs)(), lane)

    def outputs(self, inputs: Path) -> bytes:
        """Every sample, the batches dealt out to the units in turn: what a deployment answers is what they all do."""
        lanes = [self._told(_bound(self._lane, plan), plan) for plan in self._plans]
        turns = itertools.cycle(lanes)

        def run(feed: arrays.Arrays) -> list[Any]:
            lane = next(turns)
            held = lane.pinned(feed)
            lane.runner(lambda: lane.enqueue(held))()
            return lane.results()

        ports, names = self._plans[0].inputs, [port.name for port in self._plans[0].outputs]
        return self._told(lambda: arrays.run_all(run, inputs, ports, names), self._plans[0])

    def facts(self) -> dict[str, Any]:
        """How it runs: what may not be mixed with figures of another way."""
        return {"transfers": "included", "waits": "asleep", "streams": self._notes}

    def _lane(self, plan: Plan) -> Lane:
        return Lane(self._cuda, plan)

    def _told(self, act: Callable[[], T], plan: Plan) -> T:
        """`act`, an error of CUDA's in its course told as the device's."""
        try:
            return act()
        except CudaError as error:
            kind = failures.classified([*plan.log, (failures.ERROR, str(error))], f"running on {plan.unit}")
            raise AgentError(FAILED, kind.text, hint=kind.hint, trace=kind.trace) from error
