"""The browser of the tests and the pictures: how it starts, how somebody signs in, how a page is kept as a picture."""

import os
from pathlib import Path

from playwright.sync_api import Page

CHROMIUM = "/usr/bin/chromium"
ARGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
KINDS = {"light": ("light", 1360), "dark": ("dark", 1360), "phone": ("light", 390)}
"""The three pictures of a page: the colour scheme and the width of each."""
TALLEST = 2_400
"""Pixels of a page that are shown at most: a list goes on below."""


def sign_in(page: Page, name: str, password: str) -> None:
    """From a fresh context to the desk."""
    page.goto("/login/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.click("main button")
    page.wait_for_selector("#fills")


def take_picture(page: Page, file: Path) -> None:
    """One picture of the page, whole, down to TALLEST."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
    page.screenshot(path=file, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height})
    print(file)


def leave_picture(page: Page, name: str) -> None:
    """Keep a page a test has come to, where HEDGEROW_PICTURES says; nothing without it."""
    if folder := os.environ.get("HEDGEROW_PICTURES"):
        take_picture(page, Path(folder) / f"{name}.png")
