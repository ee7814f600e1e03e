"""A child of an app for libraries that want a process of their own: `python children.py gevent`.

It runs `child(say)` of the library's module in `libraries/`, which calls `say` with its port as soon
as it listens there. The child inherits its parent's environment, and so the tracer's own start. It
ends when its standard input does: its parent went away.
"""

from __future__ import print_function

import importlib
import os
import subprocess
import sys
import threading

import lifecycle


def start(slug):
    """Return the port of 127.0.0.1 that a child for this library listens on."""
    command = [sys.executable, "-B", os.path.abspath(__file__).replace(".pyc", ".py"), slug]
    pipe = subprocess.PIPE
    # Windows had not both before 3.7, and hands on what it is told only.
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, close_fds=os.name != "nt")
    RUNNING.append(process)
    said = process.stdout.readline().decode("ascii", "replace")
    if not said.startswith("listening "):
        raise RuntimeError("the child for %s does not start, see its words above" % slug)
    return int(said.split()[1])


# Their standard input is open as long as they are kept.
RUNNING = []


def say(port):
    """Tell the parent which port this child listens on."""
    print("listening %d" % port)
    sys.stdout.flush()


def end_with_parent(ours):
    """End this process, and whichever it started, when its standard input ends."""
    while os.read(ours, 4096):
        pass
    os._exit(0)


def main(slug):
    """Be the child for a library."""
    import carrier

    watch = threading.Thread(target=end_with_parent, args=(lifecycle.own_input(),))
    watch.daemon = True
    watch.start()
    module = importlib.import_module("libraries." + slug.replace("-", "_"))
    if os.environ.get(carrier.EXPLICIT):
        carrier.asked(module)
    module.child(say)


if __name__ == "__main__":
    main(sys.argv[1])
