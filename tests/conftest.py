"""What every test may ask for: the sample data, a free port, a component of the machine."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from ports import unused_port
from programs import program

if TYPE_CHECKING:
    from postgres import Server

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Several tests run at a time: the threads of each training would wait for each other, and burn time as they do."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


MISSING = re.compile(r"could not import|MIEN_TEST_DATA")
"""What skips a test for a package or data that is not there; with CI=true it fails instead."""


def _failed_in_ci(report: Report) -> Report:
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if MISSING.search(reason):
            report.outcome, report.longrepr = "failed", f"with CI=true nothing may be skipped for this: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _failed_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _failed_in_ci((yield))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="DIR", help="Keep pictures of the pages, for README and docs.")


@pytest.fixture(scope="session")
def screenshots(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures of the pages go, if anywhere."""
    folder = request.config.getoption("--screenshots")
    return Path(folder) if folder else None


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder that MIEN_TEST_DATA names."""
    folder = os.environ.get("MIEN_TEST_DATA")
    if not folder:
        pytest.skip("MIEN_TEST_DATA names no folder with FER-2013 and the samples")
    path = Path(folder).resolve()
    if not (path / "samples").is_dir():
        pytest.fail(f"MIEN_TEST_DATA names '{folder}', which has no folder samples")
    return path


@pytest.fixture(scope="session")
def samples(data: Path) -> Path:
    return data / "samples"


@pytest.fixture
def free_port() -> int:
    return unused_port()


@pytest.fixture(scope="session")
def mosquitto() -> str:
    return program("mosquitto")


@pytest.fixture(scope="session")
def xvfb() -> str:
    return program("Xvfb")


@pytest.fixture(scope="session")
def chromium() -> str:
    return program("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server that the tests share; each makes a database of its own."""
    programs = Path(program("initdb")).parent
    from postgres import Server

    server = Server(programs)
    yield server
    server.close()


@pytest.fixture(scope="session")
def bigquery() -> Iterator[None]:
    """The BigQuery emulator, which the tests share, named by the environment; each makes a dataset of its own."""
    import emulators

    if failed := emulators.install():
        if os.environ.get("CI") == "true":
            pytest.fail(failed)
        pytest.skip(failed)
    with emulators.running() as variables:
        os.environ.update(variables)
        yield
        for name in variables:
            del os.environ[name]
