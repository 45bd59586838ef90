"""A headless Chromium, and what tests ask of a page in it."""

import contextlib
import json
import os
import shutil
import time

import pytest

FLAGS = (
    ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run")
    + ("disable-background-networking", "disable-component-update", "disable-sync")
    + ("disable-dev-shm-usage", "force-color-profile=srgb", "window-size=1280,800")
)
LONGEST = 120  # seconds, of waiting for a busy computer
IS_QUIET = (
    "return Boolean(window.explorer && explorer.face.drawn && !explorer.face.isBusy"
    " && [explorer.live, explorer.patient].every(e => !e.asked && !e.waiting.length))"
)


@contextlib.contextmanager
def open_browser(folder, *more):
    """Starts a Chromium whose downloads go to `folder`; skips where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"user-data-dir={folder / 'profile'}", *more):
        options.add_argument(f"--{flag}")
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    service = webdriver.ChromeService(driver, log_output=os.devnull)
    browser = webdriver.Chrome(options, service)
    try:
        browser.set_script_timeout(LONGEST)
        downloads = {"behavior": "allow", "downloadPath": str(folder)}
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
        yield Page(browser, folder)
    finally:
        browser.quit()


class Page:
    """A page in a browser."""

    def __init__(self, browser, folder):
        self.browser, self.folder = browser, folder

    def open(self, path, hash=""):
        """Opens a file, and waits until all its pictures are there."""
        self.browser.get("about:blank")
        self.browser.get(f"{path.as_uri()}{hash}")
        self.settle()

    def settle(self):
        """Waits until nothing is computed any more."""
        self.wait(lambda: self.browser.execute_script(IS_QUIET))

    def wait(self, is_done):
        """Waits for a condition, and returns it."""
        end = time.monotonic() + LONGEST
        while not (found := is_done()):
            assert time.monotonic() < end, "the page did not get there"
        return found

    def run(self, script, *arguments):
        """Returns what a script in the page returns, awaited."""
        body = f"const done = arguments[arguments.length - 1];\
            (async (...given) => {{ {script} }})(...arguments).then(done)"
        return self.browser.execute_async_script(body, *arguments)

    def click(self, label):
        """Clicks the button of a label, or of a text."""
        path = f'//button[@aria-label="{label}" or normalize-space()="{label}"]'
        self.run("given[0].click()", self.browser.find_element("xpath", path))

    def download(self, name):
        """Waits for a file, and returns its path; it is there first, but empty."""
        path = self.folder / name
        self.wait(lambda: path.exists() and path.stat().st_size)
        return path

    def complaints(self):
        """What the page told the console since the last call."""
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def addresses(self):
        """The addresses that were asked for since the last call."""
        events = [
            json.loads(entry["message"])["message"]
            for entry in self.browser.get_log("performance")
        ]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
