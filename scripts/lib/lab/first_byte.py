"""How long a program takes to say something."""
import os
import shlex
import subprocess
import time

from .containerd import Failure


def first_byte(command, wanted):
    """Milliseconds until `wanted` comes out of a program, and of its whole run."""
    start = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as program:
        seen, got = None, b""
        while chunk := os.read(program.stdout.fileno(), 4096):
            got += chunk
            if seen is None and wanted in got:
                seen = time.monotonic()
        error = program.stderr.read().decode()
    if seen is None:
        raise Failure(f"{shlex.join(map(str, command))[:500]}: no output: {error}")
    return (seen - start) * 1000, (time.monotonic() - start) * 1000
