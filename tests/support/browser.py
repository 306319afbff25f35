"""Debian's Chromium, headless: a page as a person would see it, what they can do with it, and what the console says."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=4000"),
)


def chromium() -> str:
    """The browser; skips where there is none, and fails in CI, where there has to be one."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        missing = "no Chromium here to open the page with; on Debian: apt-get install chromium"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return found


def open_page(address: str, profile: Path, *flags: str, width: int = 1200, height: int = 1000) -> tuple[str, list[str]]:
    """The page's DOM after four seconds of its own time, and what its console said."""
    done = subprocess.run(
        [chromium(), *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}", *flags, address],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def probe(page: Path, script: str, profile: Path, width: int = 1200) -> dict[str, Any]:
    """Runs `script`, the body of an async function, in a copy of `page`; returns what it returns.

    No console message may come with it.
    """
    copy = page.with_name(f"probed-{page.name}")
    note = "document.documentElement.dataset.found = JSON.stringify(found)"
    failed = "(error) => { console.error(error); }"
    copy.write_text(
        f"{page.read_text()}<script>(async () => {{{script}}})().then((found) => {{{note}}}, {failed})</script>"
    )
    dom, console = open_page(copy.as_uri(), profile, "--dump-dom", width=width)
    assert console == []
    found = re.search(r'data-found="([^"]*)"', dom)
    assert found, "the script came to no end"
    answer: dict[str, Any] = json.loads(found[1].replace("&quot;", '"').replace("&amp;", "&"))
    return answer


def screenshot(address: str, out: Path, profile: Path, width: int, height: int) -> Path:
    """A picture of the page; also kept in the folder SCREENSHOTS, where that is set."""
    open_page(address, profile, f"--screenshot={out}", width=width, height=height)
    assert out.stat().st_size > 10_000
    keep = os.environ.get("SCREENSHOTS")
    if keep:
        Path(keep).mkdir(parents=True, exist_ok=True)
        shutil.copy(out, Path(keep) / out.name)
    return out
