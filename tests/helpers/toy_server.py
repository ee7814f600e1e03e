"""POSIX only: a server that speaks some of memcached's protocol, and can misbehave.

`toy_server.py MODE ADDRESS`: at a Unix socket's path, or a port of 127.0.0.1.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time

if sys.platform == "win32":
    raise ImportError("POSIX only: it listens on a Unix socket")


def serve(connection: socket.socket) -> None:
    with connection, connection.makefile("rwb") as stream:
        for line in stream:
            if line.strip() == b"version":
                stream.write(b"VERSION 1.0\r\n")
            elif line.strip() == b"die":
                os._exit(3)
            else:
                stream.write(line)
            stream.flush()


def main() -> None:
    mode, address = sys.argv[1:]
    if mode == "broken":
        sys.stderr.write("reading the configuration\n")
        sys.exit("FATAL: the configuration is wrong")
    if mode == "child":  # which leaves the process group, and closes nothing
        subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
        )
    if address.isdigit():
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(address)))
    else:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(address)
        os.chmod(address, 0o777)  # noqa: PTH101, S103 - as servers do
    listener.listen()
    if mode == "silent":
        time.sleep(600)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()
