"""Run a command and keep its output as a picture: python docs/picture.py docs/NAME.svg COLUMNS ragcun ...

Tables are in colour, as standard output is a terminal; progress comes in lines, as standard error is a pipe. Lines that
match a regular expression in the variable HIDE are left out.
"""

import os
import pty
import re
import selectors
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text


def output_of(command: list[str], columns: int) -> str:
    """Return what the command printed, both streams in the order in which they came."""
    terminal, inside = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    process = subprocess.Popen(command, stdout=inside, stderr=subprocess.PIPE, env=environment)
    os.close(inside)
    assert process.stderr is not None  # noqa: S101
    found = b""
    with selectors.DefaultSelector() as waiting:
        for stream in (terminal, process.stderr.fileno()):
            waiting.register(stream, selectors.EVENT_READ)
        while waiting.get_map():
            for key, _ in waiting.select():
                try:
                    piece = os.read(key.fd, 65536)
                except OSError:  # the other side of a terminal was closed
                    piece = b""
                if not piece:
                    waiting.unregister(key.fd)
                found += piece
    if process.wait():
        sys.exit(f"the command ended with {process.returncode}:\n{found.decode()}")
    return found.decode().replace("\r\n", "\n")


def main() -> None:
    target, columns, *command = sys.argv[1:]
    hidden = os.environ.get("HIDE")
    lines = [line for line in output_of(command, int(columns)).splitlines() if not (hidden and re.search(hidden, line))]
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=int(columns), file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text(f"$ {shlex.join(command)}", style="bold"))
        console.print(Text.from_ansi("\n".join(lines)))
        svg = console.export_svg(title="ragcun", unique_id="ragcun")
    svg = re.sub(r"@font-face \{[^}]*\}", "", svg)  # nothing is fetched from elsewhere
    Path(target).write_text("".join(f"{line.rstrip()}\n" for line in svg.splitlines()), encoding="utf-8")


if __name__ == "__main__":
    main()
