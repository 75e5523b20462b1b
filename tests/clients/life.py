"""Walks the whole life of a token with a client that shares no code with the server.

usage: life.py path/to/tokenward
"""

import importlib
import pathlib
import sys
import tempfile
import traceback

from program import generate


def walk(binary, scratch):
    for folder in ["stubs", "data"]:
        (scratch / folder).mkdir()
    generate(scratch / "stubs")
    steps = importlib.import_module("steps")  # needs the stubs
    for last in ["stored", "checkpoint"]:
        importlib.import_module(last)
    passed = 0
    world = steps.World(binary, scratch / "data")
    try:
        for name, function in steps.STEPS:
            function(world)
            passed += 1
            print(f"ok      {name}", flush=True)
    except Exception:
        # Later steps stand on this one: what they would say is noise.
        traceback.print_exc(file=sys.stdout)
        print(f"FAILED  {name}")
    finally:
        world.server.kill()
    failed = 0 if passed == len(steps.STEPS) else 1
    print(f"{passed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(walk(sys.argv[1], pathlib.Path(folder)))
