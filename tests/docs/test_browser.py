"""A headless browser opens each page of the site by its links, and looks at the report page as readers do.

Screenshots of some pages and of the report are left in the folder that the variable SCREENSHOTS names.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.properties import JUDGED

pytestmark = [*JUDGED]

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_REPORT, _EXPLORATION = "samples/digits-report.html", "samples/digits-exploration.html"
_PAGES = ("index.html", "concepts.html", "layers.html")
"""Pages that are looked at more closely."""

_FAQ, _SYMPTOMS, _CONCEPTS, _FIT = "faq.html", "troubleshooting.html", "concepts.html", "make-it-fit.html"
_SEARCHES: Mapping[str, tuple[str, ...]] = {
    "does not fit": (_FIT, _SYMPTOMS),
    "too large": (_FIT, _SYMPTOMS),
    "circuit is too large": (_FIT, _SYMPTOMS),
    "initiation interval": (_CONCEPTS, _FAQ),
    "reuse factor": (_CONCEPTS, _FAQ),
    "fixed point": (_CONCEPTS,),
    "streaming": (_CONCEPTS, "streaming.html"),
    "lstm": ("layers.html",),
    "state_dict": (_FAQ, _SYMPTOMS),
    "SavedModel": (_FAQ, _SYMPTOMS),
    "xgboost": (_FAQ, "scikit-learn.html"),
    "decision trees": (_FAQ, "scikit-learn.html"),
    "scikit-learn": ("scikit-learn.html",),
    "huggingface": (_FAQ, "pytorch.html"),
    "subclassed keras model": ("keras-subclassed.html",),
    "waveform": ("simulate-my-data.html",),
    "vivado project": ("vivado-project.html", _FAQ),
    "pynq-z2": ("boards.html",),
    "serial port": ("serial-port.html",),
    "board does not answer": (_SYMPTOMS, _FAQ),
    "accuracy dropped": (_SYMPTOMS,),
    "build is slow": (_SYMPTOMS,),
    "fewer bits": ("choose-bits.html", _FAQ, _FIT),
    "calibration": ("choose-bits.html", _FAQ, _SYMPTOMS),
    "hls4ml": ("comparison.html", "coming-from.html", _FAQ),
    "da4ml": ("comparison.html", "coming-from.html"),
    "license": ("license.html",),
    "windows": (_FAQ, "install.html"),
    "install": ("install.html",),
    "change weights": (_FAQ,),
    "softmax": (_FAQ, "layers.html"),
    "what is II": (_FAQ, _CONCEPTS),
}
"""What newcomers ask, and the pages of which one comes first."""

WIDE, NARROW = 1300, 400
"""Pixels of the screens on which pages are looked at."""

_SCROLLING = """[...document.querySelectorAll('.md-content pre > code')].filter(
    code => code.scrollWidth > code.clientWidth + 1).map(code => code.innerText.slice(0, 200))"""
"""The blocks of code whose lines are longer than the column is wide."""

_Scheme = Literal["dark", "light"]
_OUTLINE = "document.activeElement.matches(':focus-visible')"
_OPEN = "document.activeElement.parentElement.open"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as found:
        own = next(filter(None, map(shutil.which, _NAMES)), None)
        if own is None and not Path(found.chromium.executable_path).exists():
            pytest.skip("needs Chromium on PATH, or that of `playwright install chromium`")
        opened = found.chromium.launch(executable_path=own, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        opened.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.spare
def test_every_page_is_reached_and_none_complains(site: Path, address: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": WIDE, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "requestfailed",
        lambda request: complaints.append(f"{request.url}: {request.failure}") if _is_lost(request) else None,
    )
    page.on("request", lambda request: complaints.append(request.url) if not _is_own(request.url, address) else None)
    waiting, seen = [f"{address}index.html"], set[str]()
    while waiting:
        url = waiting.pop()
        if url in seen:
            continue
        seen.add(url)
        if not url.endswith(".html"):  # such as a notebook, which a browser would save
            assert page.request.get(url).ok, url
            continue
        response = page.goto(url)
        assert response is not None and response.ok, url
        assert page.locator("h1").count() > 0, url
        assert page.evaluate(_SCROLLING) == [], url
        links: list[str] = page.eval_on_selector_all("a[href]", "found => found.map(one => one.href.split('#')[0])")
        waiting += [link for link in links if link.startswith(address) and link not in seen]
        assert complaints == [], url
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")} - {"404.html"}
    assert pages - {url.removeprefix(address) for url in seen} == set()


def _is_lost(request: Request) -> bool:
    """Return True of a request that failed, and was not just given up for the next page."""
    return request.failure != "net::ERR_ABORTED"


def _is_own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*_PAGES, _REPORT, _EXPLORATION])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_pages_fit_the_screen(
    name: str, scheme: _Scheme, width: int, address: str, browser: Browser, screenshots: Path
) -> None:
    page = _opened(browser, address + name, scheme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(part) for part in background.removeprefix("rgb(").rstrip(")").split(","))
    assert (red + green + blue < 3 * 128) == (scheme == "dark")
    page.screenshot(path=screenshots / f"{Path(name).stem}-{scheme}-{width}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("name", [_REPORT, _EXPLORATION])
def test_samples_are_accessible(name: str, scheme: _Scheme, width: int, address: str, browser: Browser) -> None:
    """Names, roles, contrast and order, by the rules of axe."""
    found = Axe().run(_opened(browser, address + name, scheme, width))
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", _PAGES)
def test_pages_are_accessible(name: str, scheme: _Scheme, address: str, browser: Browser) -> None:
    """What is ours of them; the frame around it is the theme's."""
    found = Axe().run(_opened(browser, address + name, scheme, WIDE), context=".md-content")
    assert found.violations_count == 0, found.generate_report()


def test_layers_are_filtered_by_name(address: str, browser: Browser) -> None:
    """What matches is shown and nothing else; without a filter everything is folded."""
    page = _opened(browser, f"{address}layers.html", "light", WIDE)
    lines = page.locator(".layer").filter(visible=True)
    assert lines.count() == 0
    page.get_by_label("Filter layers by name").fill("lstm")
    assert 3 <= lines.count() <= 20
    assert all("lstm" in text.lower() for text in lines.locator("code:first-of-type").all_inner_texts()[:1])
    assert page.get_by_role("status").filter(has_text=f"{lines.count()} found").count() == 1
    page.get_by_label("Filter layers by name").fill("")
    assert lines.count() == 0


def test_searches_of_newcomers_lead_to_pages_for_them(address: str, browser: Browser) -> None:
    page = _opened(browser, f"{address}index.html", "light", WIDE)
    box, items = page.locator(".md-search__input"), page.locator(".md-search-result__item")
    box.click()
    first: dict[str, str] = {}
    for asked in _SEARCHES:
        for text in ("", asked):  # a key, because the theme reads the box after one
            box.fill(text)
            box.press("End")
            items.first.wait_for(state="attached" if text else "detached")
        link = items.first.locator("a.md-search-result__link").first.get_attribute("href") or ""
        first[asked] = re.sub(r"[?#].*", "", link.removeprefix(address).removeprefix("./"))
    assert {asked: page for asked, page in first.items() if page not in _SEARCHES[asked]} == {}


def test_the_report_is_read_by_keyboard(address: str, browser: Browser) -> None:
    """Tab reaches all that can be opened or followed, visibly, and Enter unfolds."""
    page = _opened(browser, address + _REPORT, "light", WIDE)
    wanted = page.locator("a[href], summary, [tabindex]").filter(visible=True).count()
    for _ in range(wanted):
        page.keyboard.press("Tab")
        assert page.evaluate(_OUTLINE), page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    for summary in page.locator("summary").filter(visible=True).all():
        summary.focus()
        before = page.evaluate(_OPEN)
        page.keyboard.press("Enter")
        assert page.evaluate(_OPEN) != before


@pytest.mark.spare
def test_a_circuit_is_chosen_by_keyboard_and_copied(address: str, browser: Browser) -> None:
    page = _opened(browser, address + _EXPLORATION, "light", WIDE)
    shown = page.locator(".detail").filter(visible=True)
    before = shown.inner_text()
    page.locator("input:checked").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(_OUTLINE) and shown.count() == 1 and shown.inner_text() != before
    button = shown.locator("button").first
    button.click()
    assert '"Bits": {' in page.evaluate("getSelection().toString()")


def _opened(browser: Browser, url: str, scheme: _Scheme, width: int) -> Page:
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(url)
    return page
