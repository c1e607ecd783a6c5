"""Find Chromium for the tests of the site: `python scripts/browser.py --install` gets one when there is none.

Looked for, in this order: the environment variable CHROMIUM, the PATH, the one that Playwright installed.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # any machine draws in space
MISSING = (
    "No Chromium was found, and the site is tested in one. Install Chromium or Google Chrome, "
    "or name its program: make test CHROMIUM=/path/to/chromium"
)


def runs(program):
    """Tell whether the program starts (a distribution's stub of that name may not)."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def find():
    """Return the path of a Chromium that starts, or None.

    A CHROMIUM that does not start raises FileNotFoundError: whoever set it wants to know.
    """
    named = os.environ.get("CHROMIUM")
    if named:
        if not runs(named):
            raise FileNotFoundError(f"CHROMIUM is set to {named!r}, which does not start")
        return named
    for name in NAMES:
        program = shutil.which(name)
        if program and runs(program):
            return program
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = playwright.chromium.executable_path
    return program if Path(program).exists() and runs(program) else None


def install():
    """Install Chromium with the first of apt-get (as root) and Playwright that works."""
    commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        commands.insert(0, ["sh", "-c", "apt-get update -qq && apt-get install -y -qq chromium"])
    for command in commands:
        subprocess.run(command, env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
        if find():
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="install one when none is found")
    options = parser.parse_args()
    try:
        if options.install and not find():
            install()
        print(f"Chromium: {find() or sys.exit(MISSING)}")
    except FileNotFoundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
