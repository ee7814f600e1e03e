"""A child process of an app, for libraries that need their own: `python children.py gevent`.

It calls `child(report_port)` of the library's module in `libraries/`, which reports its port when it
listens. The child inherits the environment of its parent, which starts the tracer in it too, and
ends when its standard input ends, so that it does not outlive its parent.
"""

from __future__ import print_function

import importlib
import os
import subprocess
import sys
import threading

import lifecycle

# Keeps the standard input of the children open.
RUNNING = []


def start(slug):
    """Start a child for this library; return its port of 127.0.0.1."""
    command = [sys.executable, "-B", os.path.abspath(__file__).replace(".pyc", ".py"), slug]
    pipe = subprocess.PIPE
    # Before 3.7, Windows does not support close_fds with pipes; it inherits only these anyway.
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, close_fds=os.name != "nt")
    RUNNING.append(process)
    line = process.stdout.readline().decode("ascii", "replace")
    if not line.startswith("listening "):
        raise RuntimeError("the child for %s did not start, see its output above" % slug)
    return int(line.split()[1])


def report_port(port):
    """Send the port of this child to the parent."""
    print("listening %d" % port)
    sys.stdout.flush()


def end_with_parent(stdin):
    """End this process when its standard input ends."""
    while os.read(stdin, 4096):
        pass
    os._exit(0)


def main(slug):
    """Run the child for a library."""
    lifecycle.forbid_tracer()
    import carrier

    watcher = threading.Thread(target=end_with_parent, args=(lifecycle.take_over_input(),))
    watcher.daemon = True
    watcher.start()
    module = importlib.import_module("libraries." + slug.replace("-", "_"))
    if os.environ.get(carrier.EXPLICIT):
        carrier.enable_tracing(module)
    module.child(report_port)


if __name__ == "__main__":
    main(sys.argv[1])
