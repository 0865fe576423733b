"""Asked of a real TensorRT, in its own Python: which of the names on stdin are there ([[path, [argument, …]], …]).

Run by path with an interpreter that has a TensorRT; needs nothing else. Answers one line of JSON:
{"version", "missing": [path], "arguments": {path: what its signature says instead}}. An argument is looked for in the
first line of pybind11's docstring, which is the signature.
"""

import json
import re
import sys


def resolve(module, path):
    found = module
    for part in path.split("."):
        found = getattr(found, part)
    return found


def signature_lacks(found, arguments):
    """The arguments that no signature in the docstring has, in their order."""
    text = found.__doc__ or ""
    signatures = re.findall(r"\w+\((.*?)\) ->", text) or [text]
    for signature in signatures:
        names = re.findall(r"(?:^|, )(\w+)\s*:", signature)
        names = [name for name in names if name != "self"]
        if names[: len(arguments)] == list(arguments):
            return ""
    return text.strip().split("\n")[0][:300]


def main():
    import tensorrt

    missing, arguments = [], {}
    for path, wanted in json.load(sys.stdin):
        try:
            found = resolve(tensorrt, path)
        except AttributeError:
            missing.append(path)
            continue
        lacks = signature_lacks(found, wanted) if callable(found) and wanted else ""
        if lacks:
            arguments[path] = lacks
    print(json.dumps({"version": tensorrt.__version__, "missing": missing, "arguments": arguments}))


if __name__ == "__main__":
    main()
