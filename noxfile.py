"""Every chore of the project: `nox -l` lists them, CI calls the same ones. Each installs what it needs."""

from pathlib import Path

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True

PYPROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *what: str, group: str | None = None) -> None:
    """Install under the tested versions; `group` is a dependency group of pyproject.toml."""
    packages = nox.project.dependency_groups(PYPROJECT, group) if group else ()
    session.install("--constraint", "constraints.txt", *what, *packages)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, one process for each core. Arguments go to pytest: `nox -s tests -- -m "not long"` is quick."""
    install(session, ".[demo]", group="test")
    shared = ("--numprocesses", "logical", "--dist", "worksteal")
    session.run("pytest", *shared, *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    install(session, group="lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly, of the package."""
    install(session, ".", group="types")
    session.run("mypy")


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel, install the wheel elsewhere, and run it outside the source tree."""
    install(session, "build")
    folder = session.create_tmp()
    session.run("python", "-m", "build", "--outdir", folder, env={"PIP_CONSTRAINT": "constraints.txt"})
    wheel = next(str(path) for path in Path(folder).glob("*.whl"))
    install(session, wheel)
    session.chdir(folder)
    session.run("ragcun", "presets")


@nox.session
def docs(session: nox.Session) -> None:
    """Write the CLI reference anew and build the pages."""
    install(session, ".", group="docs")
    reference = ("utils", "docs", "--name", "ragcun", "--title", "CLI reference", "--output", "docs/cli.md")
    session.run("typer", "src/ragcun/cli/main.py", *reference)
    session.run("mkdocs", "build", "--strict")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside what one would use instead, and write docs/benchmarks.md: everything, or the benchmarks named."""
    install(session, ".[demo,openvino]", "mteb")
    if not session.posargs:
        session.run("python", "bench/growth.py")
    session.run("python", "bench/page.py", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Run the whole chain on the embedded data. Arguments go to `ragcun run --preset demo`."""
    install(session, ".[demo]")
    session.run("ragcun", "run", "--preset", "demo", *session.posargs)
