"""A JupyterLab on a copy of the notebooks and a Chromium that looks at it; both end with the tests."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from page import Notebook

ROOT = Path(__file__).parents[2]
BROWSERS = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
SETTINGS = {  # no news from the network; all cells of a notebook are in the page, not only those in view
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
START = 60.0  # seconds for the server to answer
FORGOTTEN = 900  # seconds without activity after which a server whose tests were killed ends by itself


@dataclass(frozen=True)
class Lab:
    """A running server: its address, its token, and the project that it shows."""

    url: str
    token: str
    project: Path


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """The notebooks and what they read, where they may write."""
    folder = tmp_path_factory.mktemp("browser") / "project"
    unwanted = shutil.ignore_patterns("runs", "state", ".*")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=unwanted)
    (folder / "benchmarks").mkdir()
    for measured in (ROOT / "benchmarks").glob("*.json"):
        shutil.copy(measured, folder / "benchmarks")
    (folder / "state").mkdir()
    return folder


@pytest.fixture(scope="session")
def lab(project) -> Iterator[Lab]:
    """JupyterLab on 127.0.0.1, with settings, workspaces and runtime files of its own, under this Python."""
    home, token = project.parent, os.urandom(16).hex()
    for name, values in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    own = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "JUPYTER_RUNTIME_DIR": "runtime"}
    paths = {name: str(home / folder) for name, folder in own.items()} | {"JUPYTER_CONFIG_DIR": str(home / "config")}
    options = {
        "ServerApp.ip": "127.0.0.1", "ServerApp.port": free_port(), "ServerApp.open_browser": False,
        "ServerApp.allow_root": True, "ServerApp.root_dir": project, "IdentityProvider.token": token,
        "LabApp.expose_app_in_browser": True, "ServerApp.terminals_enabled": False,
        "ServerApp.shutdown_no_activity_timeout": FORGOTTEN, "MappingKernelManager.cull_idle_timeout": FORGOTTEN,
        "MappingKernelManager.cull_connected": True,
    }  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    with (home / "server.log").open("w") as log:
        environment = os.environ | paths | {"PYTHONPATH": str(ROOT)}
        server = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield Lab(address(server, home / "runtime", home / "server.log"), token, project)
    finally:
        end(server)


def free_port() -> int:
    """A port that is free now; if another takes it first, the server tries the next ones."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def address(server: subprocess.Popen, runtime: Path, log: Path) -> str:
    """Where the server listens, once it answers."""

    def told() -> str:
        assert server.poll() is None, log.read_text()[-3000:]
        for file in runtime.glob("jpserver-*.json"):
            url = f"http://127.0.0.1:{json.loads(file.read_text())['port']}"
            try:
                urllib.request.urlopen(f"{url}/api", timeout=5).close()
            except OSError:
                continue
            return url
        return ""

    return until(told, START)


def until(ask: Callable[[], str], seconds: float) -> str:
    """What `ask` says once it says something."""
    end_at = time.monotonic() + seconds
    while not (said := ask()):
        assert time.monotonic() < end_at, f"nothing in {seconds:g} s"
        time.sleep(0.1)
    return said


def end(server: subprocess.Popen) -> None:
    """SIGTERM, on which the server ends its kernels; what is left of its group after that is killed."""
    for number, seconds in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(server.pid, number)
            server.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window; without it, or without playwright, the tests are skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[browser]'")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=found, headless=True, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, lab) -> Iterator[Callable[[str], Notebook]]:
    """Opens a notebook by its file's name, with a kernel of its own that ends with the test."""
    there = []

    def open_(name: str) -> Notebook:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        there.append(Notebook(page, f"notebooks/{name}"))
        there[-1].open(lab.url, lab.token)
        return there[-1]

    yield open_
    for notebook in there:
        notebook.close()
