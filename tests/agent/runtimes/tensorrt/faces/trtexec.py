"""A `trtexec` with the face of 8.5, 10.3 or 11: it refuses switches that its version does not know, and prints alike.

Its times are those of ONNX Runtime on the network in the face's own plan, or those of the latency that it is told in
the file ``trtexec.json`` beside it. Names of switches: NVIDIA/TensorRT samples/common/sampleOptions.cpp of 8.5 and 10,
for 11 the documentation's page on migrating trtexec; words and order of its report: sampleReporting.cpp.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NUMBERS = {"8.5": ("8.5.3.1", "v8503"), "10.3": ("10.3.0", "v100300"), "11": ("11.4.0.106", "v110400")}
LONGEST_S = 0.3  # of a run, whatever is asked for: nobody waits for a fake
MAGIC = b"fake plan\n"
_EVER = {
    *("--loadEngine", "--saveEngine", "--onnx", "--device", "--useDLACore", "--allowGPUFallback", "--noTF32"),
    *("--memPoolSize", "--profilingVerbosity", "--timingCacheFile", "--streams", "--iterations", "--duration"),
    *("--warmUp", "--sleepTime", "--idleTime", "--exposeDMA", "--useManagedMemory", "--threads", "--shapes"),
    *("--loadInputs", "--separateProfileRun", "--timeDeserialize", "--timeRefit", "--avgRuns", "--percentile"),
    *("--verbose", "--dumpOutput", "--dumpProfile", "--dumpLayerInfo", "--exportTimes", "--exportProfile"),
    *("--persistentCacheRatio", "--help", "-h"),
}
_WEAK = {"--fp16", "--int8", "--best", "--calib", "--precisionConstraints", "--layerPrecisions", "--layerOutputTypes"}
_UNTIL_10 = {"--noDataTransfers", "--useSpinWait", "--useCudaGraph"}
SWITCHES = {
    "8.5": _EVER | _WEAK | _UNTIL_10 | {"--buildOnly", "--batch", "--maxBatch", "--workspace", "--plugins"},
    "10.3": _EVER | _WEAK | _UNTIL_10 | {"--infStreams", "--skipInference", "--bf16", "--fp8", "--stronglyTyped"},
    "11": _EVER | {"--infStreams", "--skipInference", "--includeDataTransfers", "--noSpinWait", "--noCudaGraph"},
}


def installed(folder: Path, face: str, **told: Any) -> Path:
    """Write an executable `trtexec` into `folder`; `told` are "latency_ms" of its inferences, and what it "does": hang,
    crash, stop (without a summary), refuse (the plan), or silent (no version in its first line).
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trtexec.json").write_text(json.dumps({"face": face, **told}))
    (folder / "trtexec").write_text(f"#!{sys.executable} -I\n" + Path(__file__).read_text())
    (folder / "trtexec").chmod(0o755)
    return folder / "trtexec"


def say(text: str, severity: str = "I") -> None:
    print(f"[{time.strftime('%m/%d/%Y-%H:%M:%S')}] [{severity}] {text}", flush=True)


def main(words: list[str], told: dict[str, Any]) -> int:
    number = "" if told.get("does") == "silent" else f" [TensorRT {NUMBERS[told['face']][1]}]"
    line = f"TensorRT.trtexec{number} # {' '.join(words)}"
    print(f"&&&& RUNNING {line}", flush=True)
    passed = run(dict(word.partition("=")[::2] for word in words[1:]), told)
    print(f"&&&& {'PASSED' if passed else 'FAILED'} {line}", flush=True)
    return 0 if passed else 1


def run(given: dict[str, str], told: dict[str, Any]) -> bool:
    if unknown := [name for name in given if name not in SWITCHES[told["face"]]]:
        for name in unknown:
            say(f"Unknown option: {name} {given[name]}", "E")
        return False
    if "--help" in given or "-h" in given:
        print("=== Model Options ===\n  --onnx=<file>  ONNX model")
        return True
    if "--loadEngine" not in given:
        say("Model missing or format not recognized", "E")
        return False
    graph = "--useCudaGraph" in given if told["face"] != "11" else "--noCudaGraph" not in given
    if graph and "--useDLACore" in given:
        say("CUDA graphs and DLA offloading are not simultaneously supported.", "W")
    return infer(given, told)


def infer(given: dict[str, str], told: dict[str, Any]) -> bool:
    does, plan = told.get("does", ""), Path(given["--loadEngine"]).read_bytes()
    head, _, model = plan[len(MAGIC) :].partition(b"\n")
    fits = plan.startswith(MAGIC) and json.loads(head)["version"] == NUMBERS[told["face"]][0]
    if does == "refuse" or not fits:
        say("Error[1]: Serialization assertion stdVersionRead == kVERSION failed. Version tag does not match.", "E")
        say("Engine deserialization failed", "E")
        return False
    if does == "hang":
        time.sleep(3600)
    if does == "crash":
        sys.exit(139)
    streams = int(given.get("--infStreams") or given.get("--streams") or 1)
    timed = declared if "latency_ms" in told else computed
    if does != "stop":
        report(*timed(told, model, given, streams))
    return True


def declared(told: dict[str, Any], _: bytes, given: dict[str, str], streams: int) -> tuple[float, list[float]]:
    """By the latency it is told, of which a fifth are copies, hidden behind another batch unless they are exposed."""
    latency_ms = float(told["latency_ms"])
    return streams * 1e3 / (latency_ms * (1 if "--exposeDMA" in given else 0.8)), [latency_ms] * 20


def computed(_: dict[str, Any], model: bytes, given: dict[str, str], streams: int) -> tuple[float, list[float]]:
    """By really running the network, each stream in a thread of its own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    back_to_back(session, min(float(given.get("--warmUp", 200)) / 1e3, LONGEST_S))
    seconds, taken = min(float(given.get("--duration", 3)), LONGEST_S), []
    threads = [threading.Thread(target=lambda: taken.extend(back_to_back(session, seconds))) for _ in range(streams)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(taken) / (time.perf_counter() - begun), [each * 1e3 for each in taken]


def back_to_back(session: Any, seconds: float) -> list[float]:
    """Seconds of each inference, for so long and ten at least."""
    import numpy as np

    kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
    feed = {each.name: np.random.rand(*each.shape).astype(kinds[each.type]) for each in session.get_inputs()}
    end, taken = time.perf_counter() + seconds, []
    while len(taken) < 10 or time.perf_counter() < end:
        begun = time.perf_counter()
        session.run(None, feed)
        taken.append(time.perf_counter() - begun)
    return taken


def report(qps: float, latencies_ms: list[float]) -> None:
    say("=== Performance summary ===")
    say(f"Throughput: {qps:g} qps")
    line("Latency", latencies_ms, lambda ms: ms)
    line("Enqueue Time", latencies_ms, lambda ms: ms * 0.05)
    line("H2D Latency", latencies_ms, lambda ms: ms * 0.1)
    line("GPU Compute Time", latencies_ms, lambda ms: ms * 0.8)
    line("D2H Latency", latencies_ms, lambda ms: ms * 0.1)
    say(f"Total Host Walltime: {len(latencies_ms) / qps:g} s")


def line(name: str, latencies_ms: list[float], part: Callable[[float], float]) -> None:
    ms = sorted(map(part, latencies_ms))
    mean, median = statistics.fmean(ms), statistics.median(ms)
    last = ms[min(int(len(ms) * 0.99), len(ms) - 1)]
    text = f"min = {ms[0]:g} ms, max = {ms[-1]:g} ms, mean = {mean:g} ms, median = {median:g} ms"
    say(f"{name}: {text}, percentile(99%) = {last:g} ms")


if __name__ == "__main__":
    sys.exit(main(sys.argv, json.loads(Path(sys.argv[0]).with_name("trtexec.json").read_text())))
