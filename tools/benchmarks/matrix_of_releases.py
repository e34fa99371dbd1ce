"""``vmstate matrix`` over all releases and machine types, its page, and how long Chromium takes for it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Row

TITLE = "Matrix: all releases, machine types, three processors, three interrupt modes, on two cores"

WHOLE = ("--cpu", "power8,power9,power10", "--ic-mode", "xics,xive,dual", "--jobs", "2")
SMALL = ("--machine", "pseries-9.*", "--releases", "9.0..9.2", "--cpu", "power9", "--jobs", "1")
MATRIX_S, PAGE_S = 120.0, 2.0


def rows(*, smoke: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "matrix.html"
        words = SMALL if smoke else WHOLE
        command = [sys.executable, "-m", "vmstate", "matrix", "--json", *words]
        before = os.times()
        done = subprocess.run([*command, "--html", str(page)], capture_output=True, text=True, check=False)
        after = os.times()
        pairs = sum(json.loads(done.stdout)["result"]["counts"].values())
        yield Row(f"{pairs:,} pairs, and their page", after.elapsed - before.elapsed, MATRIX_S)
        yield Row("… processor time", after.children_user - before.children_user)
        yield Row("the page", page.stat().st_size / 1e6, unit="MB")
        opened = seconds_to_open(page)
        if opened is not None:
            yield Row("Chromium opens it", opened, PAGE_S)


def seconds_to_open(page: Path) -> float | None:
    """Return the seconds until the page can be used; None without selenium, chromium or chromedriver."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        return None
    if chromium is None or driver is None:
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        start = time.monotonic()
        browser.get(page.as_uri())
        while not browser.execute_script("return document.documentElement.dataset.ready === 'true'"):
            time.sleep(0.01)
        return time.monotonic() - start
    finally:
        browser.quit()
