"""A toy server in a container of a real engine, whose image has an interpreter but no shell."""

from __future__ import annotations

from helpers.toy_services import toy
from matrix.model.environment import Image
from matrix.services import container, recipes
from matrix.services.recipes import ServiceRecipe

__all__ = ["image_recipe", "overrides"]

# Answers as memcached does, and reports whether it can reach anything itself.
_SERVER = """
import socket
def out():
    try:
        socket.create_connection(("192.0.2.1", 53), 0.5)
    except OSError:
        return b"alone"
    return b"not alone"
listener = socket.create_server(("0.0.0.0", 11211))
while True:
    near = listener.accept()[0]
    with near, near.makefile("rwb") as stream:
        for line in stream:
            stream.write(b"VERSION 1.0\\r\\n" if line.strip() == b"version" else out() + b"\\n")
            stream.flush()
"""
# The shell's part of `INIT_COMMAND`, in Python.
_INIT = """
import subprocess, sys, threading
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
threading.Thread(target=lambda: (sys.stdin.read(), server.kill()), daemon=True).start()
sys.exit(server.wait())
"""


def image_recipe(image: Image) -> ServiceRecipe:
    command = (image.executable, "-c", _SERVER)
    return toy(source="container", image="toy:1", inside=(11211,), commands=(command,), ports=1)


def overrides(image: Image) -> list[tuple[object, str, object]]:
    """Return modules, names and values that make `toy:1` this image, by its id."""
    return [
        (recipes, "read_images", lambda: {("toy:1", image.platform): ("x", "")}),
        (recipes, "image_reference", lambda *_: image.id),
        (container, "INIT_COMMAND", (image.executable, "-c", _INIT)),
    ]
