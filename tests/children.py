"""Commands in processes of their own, forked from one that has torch imported: each would need seconds for that alone.

They are real processes, with their own environment, folder, standard output and exit code, and can be killed.
`subprocess` still starts what must not have the libraries: commands whose imports are tested, and commands that find
another hub in their environment, which huggingface_hub reads when it is imported.
"""

import atexit
import multiprocessing
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["sentence_transformers", "accelerate", "bm25s", "ir_measures", "matplotlib.figure", "pydantic_settings", "typer"]
)


class Child:
    """A process that does what `python ARGUMENTS` does, where they are `-m MODULE ...`, `-c CODE ...` or a script."""

    def __init__(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: str | Path | None = None
    ) -> None:
        self.args = list(map(str, arguments))
        self._told = Path(tempfile.mkdtemp())
        for name in ("1", "2"):
            (self._told / name).touch()  # it may be killed before it opens them
        environment = dict(os.environ if env is None else env)
        given = (self.args, environment, str(cwd or Path.cwd()), str(self._told))
        self._process = _SERVER.Process(target=_python, args=given)
        self._process.start()
        atexit.register(self.kill)  # where a test fails before it ends: pytest would wait for it

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid or 0

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it still runs."""
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the process, if it still runs."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """What the process left when it ended: its exit code (negative: the signal), standard output and error.

        Raises:
            TimeoutError: it did not end in `timeout` seconds; it is killed.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            self.kill()
            raise TimeoutError(f"{self.args}: still runs after {timeout} s")
        output, errors = ((self._told / name).read_text(encoding="utf-8") for name in ("1", "2"))
        shutil.rmtree(self._told)
        return subprocess.CompletedProcess(self.args, self._process.exitcode, output, errors)


def python(
    *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: str | Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` to its end."""
    return Child(*arguments, env=env, cwd=cwd).wait()


def ragcun(
    *arguments: str | Path, cwd: str | Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `ragcun ARGUMENTS` to its end, with these variables in its environment."""
    return python("-m", "ragcun", *arguments, env={**os.environ, "COLUMNS": "160", **environment}, cwd=cwd)


def in_two_processes(*arguments: str | Path, **environment: str) -> list[subprocess.CompletedProcess[str]]:
    """Run `python ARGUMENTS` in two processes that are told of each other as `accelerate launch` and `torchrun` do."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    variables = {**os.environ, **environment, **address}
    workers = [Child(*arguments, env={**variables, "RANK": rank, "LOCAL_RANK": rank}) for rank in ("0", "1")]
    try:
        return [worker.wait() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()


def _python(arguments: list[str], environment: dict[str, str], folder: str, told: str) -> None:
    for number in (1, 2):
        opened = os.open(Path(told) / str(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    try:
        _run(arguments)
    finally:
        atexit._run_exitfuncs()


def _run(arguments: list[str]) -> None:
    match arguments:
        case "-m", module, *rest:
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case "-c", code, *rest:
            sys.argv = ["-c", *rest]
            exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102
        case script, *rest:
            sys.argv = [script, *rest]
            sys.path.insert(0, str(Path(script).parent))
            runpy.run_path(script, run_name="__main__")
