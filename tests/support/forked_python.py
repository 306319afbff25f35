"""In place of `python PROGRAM`: a process forked off the server at FORK_SERVER, which has done its imports.

    python forked_python.py [-m] PROGRAM ARGUMENTS

This process waits for the other one's end.
"""

import json
import os
import socket
import struct
import sys
from collections.abc import Mapping, Sequence


def fork(
    server: str, arguments: Sequence[str], cwd: str, environment: Mapping[str, str], descriptors: Sequence[int]
) -> socket.socket:
    """A connection that brings two integers: the process's number at its start, its exit code at its end.

    Args:
        arguments: behind `python`.
        descriptors: standard input, output and error of the process.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(server)
    socket.send_fds(connection, [b"\n"], descriptors)
    connection.sendall(json.dumps([arguments, cwd, dict(environment)]).encode() + b"\n")
    return connection


if __name__ == "__main__":
    with fork(os.environ["FORK_SERVER"], sys.argv[1:], os.getcwd(), os.environ, [0, 1, 2]) as connection:
        _, code = struct.unpack("ii", connection.recv(8, socket.MSG_WAITALL))
    sys.exit(code if code >= 0 else 128 - code)
