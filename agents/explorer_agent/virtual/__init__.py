"""A Jetson that nobody needs to own: numbers by ONNX Runtime, time and watts by a roofline. All it yields is simulated,
and says so.

    layers      what each layer of a network has to compute and to move
    boards      what the units of a board do a second in each power mode, each figure with its source
    roofline    layers × a unit → seconds;  units that run at once share the memory
    schedule    which unit serves which stream of a deployment;  placement  what a build tells of it
    power       busy units → watts on the rails that the board's sensors tell apart
    thermal     watts → temperature → clocks held back
    faults      what goes wrong, on purpose and when it is asked for
    numerics    the network as ONNX that computes in the precision asked for
    course      the board's own time, on which an hour passes at once, and what it went through
    wiring, tree, panel               the files of /sys and /proc that the agent's own readers find all that in
    world, runtime, meter, bench      all of that as the agent knows it
    command, plugin                   ``serve --simulate BOARD``

Pure functions below, the agent's protocols on top. The same seed gives the same numbers, bit for bit. Not modelled:
governors (a GPU that is let free runs at the top of its mode when it works), CPUs, the memory's own latency, and what
TensorRT's choice of kernels changes from build to build.
"""

from __future__ import annotations

MODEL = "roofline/1"  # changes whenever the same question gets another answer
