"""The built documentation in a browser: ``python .ci/check_docs.py BUILD``, or ``--self-test``.

Needs playwright, and Chromium or Chrome, which CHROMIUM may name. Every page of the build is served from this machine
and opened. What fails: a status of 400 or more, a request that fails or leaves this machine, an error of a script or in
the console, an image that is not drawn, math that is not set or is wrong, a link or a fragment that leads nowhere, a
page that nothing leads to, and a search without results. ``--self-test`` plants each of these into a small site and
fails unless all are found.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
import tempfile
import threading
from collections import defaultdict
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from playwright.sync_api import Error, sync_playwright

HOST = "127.0.0.1"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# What the theme says in the console at its first visit, before a mode is chosen.
HARMLESS = ("Got invalid theme mode",)

# Something that the search must find, and where.
SEARCHES = {"sinkhorn": "api/entropic/sinkhorn.html", "quantile": "chapters/wasserstein.html"}

# Milliseconds: a guard against hanging.
PATIENCE = 60_000

# Pages that Sphinx makes and that only the search box or nothing leads to.
UNLINKED = {"search.html", "genindex.html", "py-modindex.html"}

# Waits for images and math, then says what is on the page.
LOOK = """async () => {
  const images = Array.from(document.images);
  images.forEach(image => { image.loading = "eager"; });
  await Promise.all(images.map(image => image.decode().catch(() => null)));
  if (window.MathJax && window.MathJax.startup) await window.MathJax.startup.promise;
  return {
    broken: images.filter(image => image.naturalWidth === 0).map(image => image.src),
    math: document.querySelectorAll(".math").length,
    set: document.querySelectorAll(".math mjx-container").length,
    wrong: Array.from(document.querySelectorAll("mjx-merror")).map(error => error.textContent),
    ids: Array.from(document.querySelectorAll("[id]")).map(element => element.id),
    links: Array.from(document.querySelectorAll("a[href]")).map(link => link.href),
  };
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class Check:
    """What is wrong with a site, by page."""

    def __init__(self, folder: Path, port: int, page: Any) -> None:
        self.folder, self.root, self.page = folder, f"http://{HOST}:{port}/", page
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.ids: dict[str, set[str]] = {}  # of each page that was opened
        self.links: dict[str, set[str]] = {}
        self.now = ""
        page.set_default_timeout(PATIENCE)
        page.on("request", self._requested)
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)
        page.on("pageerror", lambda error: self._found(f"script failed: {error}"))
        page.on("console", self._said)

    def _found(self, fault: str) -> None:
        if fault not in self.faults[self.now]:
            self.faults[self.now].append(fault)

    def _requested(self, request: Any) -> None:
        where = urlsplit(request.url)
        if where.scheme not in ("data", "blob") and where.hostname != HOST:
            self._found(f"asked another machine: {request.url}")

    def _failed(self, request: Any) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):  # given up for the next page, as the icon may be
            self._found(f"request failed: {request.url} ({request.failure})")

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self._found(f"status {response.status}: {response.url}")

    def _said(self, message: Any) -> None:
        if message.type == "error" and not any(text in message.text for text in HARMLESS):
            self._found(f"console: {message.text}")

    def open(self, name: str) -> None:
        self.now = name
        self.page.goto(self.root + name, wait_until="load")
        seen = self.page.evaluate(LOOK)
        for source in seen["broken"]:
            self._found(f"image not drawn: {source}")
        for text in seen["wrong"]:
            self._found(f"math that is wrong: {text}")
        if seen["set"] < seen["math"]:
            self._found(f"{seen['math'] - seen['set']} of {seen['math']} formulas not set")
        self.ids[name] = set(seen["ids"])
        self.links[name] = set(seen["links"])

    def all_pages(self) -> None:
        names = sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.html"))
        names = [name for name in names if not name.startswith("_static/")]
        for name in names:
            self.open(name)
        reached = {"index.html"}
        for name, links in self.links.items():
            self.now = name
            for link in sorted(links):
                url, fragment = urldefrag(link)
                if not url.startswith(self.root):
                    continue  # of the footer, or to another site: followed by readers, not by the page
                target = unquote(urlsplit(urljoin(self.root, url)).path).lstrip("/")
                target += "index.html" if target in ("", "/") or target.endswith("/") else ""
                if target != name:
                    reached.add(target)
                if target in self.ids:
                    if fragment and unquote(fragment) not in self.ids[target]:
                        self._found(f"link to a place that is not there: {link}")
                elif not (self.folder / target).is_file():
                    self._found(f"link to nothing: {link}")
        for name in names:
            if name not in reached | UNLINKED:
                self.now = name
                self._found("no page leads here")

    def search(self, words: str, expected: str, patience: float) -> None:
        self.now = f"search.html?q={words}"
        self.page.goto(self.root + self.now, wait_until="load")
        try:
            self.page.wait_for_selector("#search-results li a", timeout=patience)
            # The summary says when the list is complete.
            self.page.wait_for_function(
                "() => /\\d/.test(document.querySelector('#search-results .search-summary').textContent)",
                timeout=patience,
            )
        except Error:
            self._found("the search found nothing")
            return
        links = self.page.eval_on_selector_all("#search-results li a", "links => links.map(link => link.href)")
        if not any(expected in link for link in links):
            self._found(f"the search did not find {expected}")


def faults_of(
    folder: Path, browser: Any, searches: dict[str, str], patience: float = PATIENCE
) -> tuple[dict[str, list[str]], int]:
    """By page, and how many pages there are."""
    server = ThreadingHTTPServer((HOST, 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    try:
        check = Check(folder, server.server_address[1], page)
        check.all_pages()
        for words, expected in searches.items():
            check.search(words, expected, patience)
        return {name: faults for name, faults in check.faults.items() if faults}, len(check.ids)
    finally:
        page.close()
        server.shutdown()
        server.server_close()


# A page with each fault, and what must be said of it.
PLANTED = {
    "missing.html": ('<img src="nowhere.png"><script src="nowhere.js"></script>', ["status 404", "image not drawn"]),
    "picture.html": ('<img src="text.png">', ["image not drawn"]),
    "script.html": ("<script>undefined_name()</script>", ["script failed"]),
    "console.html": ("<script>console.error('oh')</script>", ["console: oh"]),
    "outside.html": ('<img src="http://127.0.0.2:9/a.png">', ["asked another machine", "request failed"]),
    "math.html": (r'<span class="math">\(x\)</span>', ["1 of 1 formulas not set"]),
    "wrong.html": ("<mjx-merror>Undefined control sequence</mjx-merror>", ["math that is wrong"]),
    "links.html": ('<a href="gone.html">a</a><a href="script.html#gone">b</a>', ["link to nothing", "not there"]),
    "alone.html": ("", ["no page leads here"]),
    "search.html": ("<div id='search-results'></div>", ["the search found nothing"]),
    "good.html": ("<p id='a'><a href='#a'>x</a><script>console.error('Got invalid theme mode')</script>", []),
}  # fmt: skip


def self_test(browser: Any) -> list[str]:
    """What was planted and not found, or found and not planted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text.png").write_text("no picture")
        (folder / "favicon.ico").write_bytes(b"")
        for page, (body, _) in PLANTED.items():
            (folder / page).write_text(f"<!DOCTYPE html><title>{page}</title>{body}")
        links = "".join(f'<a href="{page}">{page}</a>' for page in PLANTED if page != "alone.html")
        (folder / "index.html").write_text(f"<!DOCTYPE html><title>index</title>{links}")
        faults, _ = faults_of(folder, browser, {"word": "good.html"}, patience=300.0)
    wrong = []
    for page, (_, expected) in PLANTED.items():
        found = [fault for name, some in faults.items() if name.split("?")[0] == page for fault in some]
        wrong += [f"{page}: {text!r} was not found" for text in expected if not any(text in fault for fault in found)]
        wrong += [f"{page}: {fault!r} is there" for fault in found if not expected]
    return wrong + [f"index.html: {fault!r} is there" for fault in faults.get("index.html", [])]


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__)
        return 2
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        print("check_docs needs Chromium, apt-get install chromium, or CHROMIUM=/path/to/it.", file=sys.stderr)
        return 2
    with sync_playwright() as playwright:
        # CI runs as root in a container, where Chromium's sandbox and its shared memory are not to be had.
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        try:
            if arguments[0] == "--self-test":
                wrong = self_test(browser)
                print("\n".join(wrong) or f"all faults of {len(PLANTED)} pages are found")
                return 1 if wrong else 0
            folder = Path(arguments[0])
            if not (folder / "index.html").is_file():
                print(f"{folder} should be a built site, with an index.html.", file=sys.stderr)
                return 2
            faults, pages = faults_of(folder, browser, SEARCHES)
        finally:
            browser.close()
    for name, some in sorted(faults.items()):
        for fault in some:
            print(f"{name}: {fault}")
    print(f"{pages} pages, {sum(map(len, faults.values()))} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
