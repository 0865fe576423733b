"""A board's word, as a study keeps it."""

RUNTIME = {"available": True, "why_not": "", "version": "1", "placements": ["cpu"], "streams_max": 16}
CAPABILITIES = {
    "fingerprint": "board",
    "cores": 4,
    "power_modes": [],
    "meters": {},
    "runtimes": {"onnxruntime": {**RUNTIME, "precisions": {"fp32": "", "int8": ""}}},
}
