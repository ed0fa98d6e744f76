"""`report.html` in a real browser, without a network."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rtfbench.report import plots
from rtfbench.report.page import render
from tests.unit.report.results import failed, measured, published_and_steady, row

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="no browser: apt-get install chromium chromium-driver (.ci/run does)",
)

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: A text that would end the page's data if it were not escaped.
HOSTILE = "</script><script>document.title='broken'</script> & <b>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page with every kind of row."""
    result = published_and_steady()
    cells = (
        *result.cells,
        row(threads=2, rtf=0.0213),
        row(model="campplus", title="CAM++", rtf=0.0101),
        failed(model="campplus", title="CAM++", form="static", reason=HOSTILE),
    )
    result = result.model_copy(update={"cells": cells})
    text = render(result, [measured(100, 200)], list(plots.draw(result)))
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start a browser with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    downloads = tmp_path_factory.mktemp("downloads")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.chrome.service.Service(DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    driver.downloads = downloads
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    """Open the page anew on a wide screen."""
    screen = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(page.as_uri())
    return browser


def shown(browser: Any, column: str) -> list[str]:
    """Return what a column of the table shows, from above."""
    found: list[str] = browser.execute_script(
        "return [...document.querySelectorAll('#table tbody tr')].filter(row => !row.hidden)"
        f".map(row => row.querySelector('[data-name={column}]').dataset.value)"
    )
    return found


def heading(browser: Any, column: str) -> Any:
    """Return a column's heading."""
    return browser.find_element("css selector", f"th[data-name={column}]")


def choose(browser: Any, column: str, value: str) -> None:
    """Choose a filter as a user does."""
    box = browser.find_element("css selector", f"[data-filter={column}]")
    next(o for o in box.find_elements("tag name", "option") if o.text == value).click()


def test_the_page_is_alone_and_quiet(opened: Any, page: Path) -> None:
    """Nothing is asked of any server, nothing is wrong on the console, hostile text is text."""
    opened.get_log("performance")  # what the browser's own first page asked for
    opened.get(page.as_uri())
    opened.find_element("id", "theme").click()
    messages = [json.loads(each["message"])["message"] for each in opened.get_log("performance")]
    asked = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    assert page.as_uri() in asked
    assert {url for url in asked if not url.startswith("data:")} == {page.as_uri()}
    assert opened.get_log("browser") == []
    assert opened.title != "broken"
    assert HOSTILE in opened.find_element("css selector", "details").get_attribute("textContent")


def test_a_heading_sorts_with_the_keyboard(opened: Any) -> None:
    """Enter sorts up, then down, by value and not by text; what is missing stays last."""
    button = heading(opened, "rtf").find_element("tag name", "button")
    button.send_keys("\n")
    assert heading(opened, "rtf").get_attribute("aria-sort") == "ascending"
    *values, missing = shown(opened, "rtf")
    assert missing == ""
    assert [float(value) for value in values] == sorted(map(float, values))
    assert float(values[0]) == 0.0101
    button.send_keys(" ")
    assert heading(opened, "rtf").get_attribute("aria-sort") == "descending"
    *values, missing = shown(opened, "rtf")
    assert missing == ""
    assert [float(value) for value in values] == sorted(map(float, values), reverse=True)
    heading(opened, "model").find_element("tag name", "button").click()
    assert heading(opened, "rtf").get_attribute("aria-sort") == "none"
    assert shown(opened, "model") == sorted(shown(opened, "model"))


def test_filters_work_together(opened: Any) -> None:
    """Engine, protocol, threads and model each leave their rows; Clear brings all back."""
    everything = len(shown(opened, "rtf"))
    choose(opened, "engine", "mnn")
    assert set(shown(opened, "engine")) == {"mnn"}
    choose(opened, "protocol", "steady")
    choose(opened, "threads", "2")
    assert shown(opened, "rtf") == ["0.0213"]
    assert opened.find_element("id", "count").text == f"1 of {everything} rows"
    choose(opened, "model", "CAM++")
    assert shown(opened, "rtf") == []
    opened.find_element("css selector", "button[type=reset]").click()
    opened.execute_async_script("setTimeout(arguments[0], 50)")
    assert len(shown(opened, "rtf")) == everything


def test_light_and_dark(opened: Any) -> None:
    """The page follows the system until the button says otherwise; pictures follow the page."""

    def colors() -> list[str]:
        found: list[str] = opened.execute_script(
            "const svg = document.querySelector('figure svg');"
            "const use = [...svg.querySelectorAll('g[style*=\"--ink\"]')][0];"
            "return [getComputedStyle(document.body).backgroundColor, getComputedStyle(use).fill]"
        )
        return found

    light = colors()
    feature = [{"name": "prefers-color-scheme", "value": "dark"}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    dark = colors()
    assert all(before != after for before, after in zip(light, dark, strict=True))
    opened.find_element("id", "theme").click()
    assert colors() == light
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_phone_scrolls_no_page_sideways(opened: Any, width: int) -> None:
    """Tables and pictures scroll within their boxes; the page fits the screen."""
    screen = {"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    box = opened.find_element("css selector", ".scroll")
    assert opened.execute_script("return arguments[0].scrollWidth", box) > width


def test_raw_data_can_be_saved(opened: Any) -> None:
    """Both downloads are whole: the CSV has every measurement, the JSON is the summary."""
    folder: Path = opened.downloads
    for button in opened.find_elements("css selector", "[data-download]"):
        button.click()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and len(list(folder.glob("*.[cj]s*[nv]"))) < 2:
        time.sleep(0.05)
    lines = (folder / "measurements.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 4
    cells = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["cells"]
    assert len(cells) == len(shown(opened, "rtf"))
    assert cells[-1]["reason"] == HOSTILE


def test_every_control_has_a_name_and_a_place_in_the_order(opened: Any) -> None:
    """Tab reaches the filters and headings, and each says what it is."""
    unnamed = opened.execute_script(
        "return [...document.querySelectorAll('button, select, svg[role=img]')].filter(each =>"
        " !(each.textContent.trim() || each.ariaLabel || each.labels?.length) || each.tabIndex < 0"
        " && each.tagName !== 'svg').length"
    )
    assert unnamed == 0
    duplicates = opened.execute_script(
        "const ids = [...document.querySelectorAll('[id]')].map(each => each.id);"
        "return ids.length - new Set(ids).size"
    )
    assert duplicates == 0
