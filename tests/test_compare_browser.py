"""The page of `resample --compare` in a real browser: what is seen is what was computed."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor
from resample_cli import main
from resample_cli.variants import variants

import resample

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver import ActionChains, Keys  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402

SIZE, OLD_SIZE = (24, 18), (8, 6)
WAYS = variants(OLD_SIZE, SIZE)
NEAREST, BILINEAR, ALIGNED, LANCZOS = 0, 2, 3, 7


def program(*names: str) -> str:
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(f"there is no {names[0]}")
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Pages by name, and the results that they show."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, channels in (("opaque", 3), ("clear", 4)):
        pixels = np.random.default_rng(channels).integers(0, 256, (*OLD_SIZE[::-1], channels), np.uint8)
        pixels[:2, :, 3:] = 255
        path, page = folder / f"{name}.png", folder / f"{name}.html"
        Image.fromarray(pixels).save(path)
        assert main.main([str(path), "--scale", "3", "--compare", str(page)]) == 0
        picture = Image.fromarray(pixels)
        results = [np.asarray(resample.resize(picture, scale=3, **way._asdict())).astype(int) for way in WAYS]
        found[name] = (page.as_uri(), results)
    return found


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome", "chrome")
    service = webdriver.ChromeService(program("chromedriver"))
    for argument in (
        *("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"),
        *("disable-component-update", "disable-sync", "disable-dev-shm-usage", "force-color-profile=srgb"),
        f"user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """A page in the browser, with what a user sees and does."""

    def __init__(self, driver: Any, address: str, width: int = 1100, height: int = 800, scheme: str = "light") -> None:
        self.driver = driver
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        driver.get(address)
        self.settle()

    def __getitem__(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def settle(self) -> None:
        """Wait until pictures are decoded and drawn."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => done())), 50)"
        )

    def choose(self, side: str, number: int) -> None:
        Select(self[side]).select_by_index(number)
        self.settle()

    def keys(self, name: str, *keys: str) -> None:
        self[name].send_keys(*keys)
        self.settle()

    def drag(self, name: str, x: int, y: int = 0) -> None:
        ActionChains(self.driver).click_and_hold(self[name]).move_by_offset(x, y).release().perform()
        self.settle()

    def view(self, name: str) -> None:
        self.driver.find_element("css selector", f"label:has([value={name}])").click()
        self.settle()

    def box(self, selector: str) -> dict[str, float]:
        """Return x, y, width, height."""
        box: dict[str, float] = self.driver.execute_script(
            "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector
        )
        return box

    def screen(self) -> np.ndarray:
        with Image.open(io.BytesIO(self.driver.get_screenshot_as_png())) as image:
            return np.asarray(image.convert("RGB")).astype(int)

    def seen(self, selector: str = "#pane-left img") -> np.ndarray:
        """Return the colours on the screen in each pixel of the pictures, beside its centre; -1 off the stage."""
        screen, box, stage = self.screen(), self.box(selector), self.box("#stage")
        found = np.full((*SIZE[::-1], 3), -1)
        for row, column in np.ndindex(SIZE[::-1]):
            x = box["x"] + (column + 0.25) * box["width"] / SIZE[0]
            y = box["y"] + (row + 0.25) * box["height"] / SIZE[1]
            if stage["x"] < x < stage["right"] and stage["y"] < y < stage["bottom"]:
                found[row, column] = screen[int(y), int(x)]
        return found

    def canvas(self) -> np.ndarray:
        levels = self.driver.execute_script(
            "const canvas = document.getElementById('difference'), copy = canvas.cloneNode();"
            "const pen = copy.getContext('2d', { willReadFrequently: true });"
            "pen.drawImage(canvas, 0, 0);"
            "return [...pen.getImageData(0, 0, copy.width, copy.height).data]"
        )
        return np.array(levels).reshape(*SIZE[::-1], 4)[..., :3]


@pytest.fixture
def page(driver: Any, pictures: dict[str, Any]) -> Iterator[Page]:
    """The opaque pictures, with a console that stays empty."""
    driver.get_log("browser")
    yield Page(driver, pictures["opaque"][0])
    assert driver.get_log("browser") == []


# the labels lie over the first rows, the grip of the divider over the columns at its sides
ROWS = slice(3, None)


def check_halves(page: Page, left: np.ndarray, right: np.ndarray, divider: int) -> None:
    """The columns before `divider` are those of `left`, those after it of `right`."""
    seen = page.seen()[ROWS]
    for pixels, columns in ((left, slice(None, divider - 1)), (right, slice(divider + 1, None))):
        there = seen[:, columns]
        visible = there[..., 0] >= 0
        assert visible.any()
        assert np.array_equal(there[visible], pixels[ROWS, columns][visible])


def test_modes_at_both_sides(page: Page, pictures: dict[str, Any]) -> None:
    results = pictures["opaque"][1]
    assert (page["name"].text, page["sizes"].text) == ("opaque.png", "8x6 -> 24x18")
    assert page.driver.title == "opaque.png - resample"
    assert [option.text for option in Select(page["left"]).options] == [
        *("nearest", "nearest-exact", "bilinear, align_corners=False (reference)", "bilinear, align_corners=True"),
        *("bicubic, align_corners=False", "bicubic, align_corners=True", "area", "lanczos"),
    ]
    check_halves(page, results[NEAREST], results[BILINEAR], 12)
    page.choose("left", LANCZOS)
    page.choose("right", ALIGNED)
    check_halves(page, results[LANCZOS], results[ALIGNED], 12)
    assert page["tag-left"].text == "lanczos"
    assert page["name-right"].text == "bilinear align_corners=True, 24x18"
    assert page["command-right"].text.startswith("resample /")
    assert page["command-right"].text.endswith("/opaque.png --scale 3 --mode bilinear --align-corners")
    page["swap"].click()
    page.settle()
    check_halves(page, results[ALIGNED], results[LANCZOS], 12)
    page.keys("stage", "s")
    check_halves(page, results[LANCZOS], results[ALIGNED], 12)


def test_divider(page: Page, pictures: dict[str, Any]) -> None:
    nearest, bilinear = (pictures["opaque"][1][number] for number in (NEAREST, BILINEAR))
    pixel = page.box("#pane-left img")["width"] / SIZE[0]
    page.drag("divider", round(6 * pixel))
    check_halves(page, nearest, bilinear, 18)
    page.drag("divider", -round(12 * pixel))
    check_halves(page, nearest, bilinear, 6)
    page.keys("divider", Keys.HOME)
    assert page["divider"].get_attribute("aria-valuenow") == "0"
    assert np.array_equal(page.seen()[ROWS, 2:], bilinear[ROWS, 2:])
    page.keys("divider", Keys.END)
    assert np.array_equal(page.seen()[ROWS, :-2], nearest[ROWS, :-2])
    page.keys("divider", Keys.ARROW_LEFT)
    page.keys("stage", "[")
    assert page["divider"].get_attribute("aria-valuenow") == "96"


def test_zoom_and_pan(page: Page, pictures: dict[str, Any]) -> None:
    nearest, bilinear = (pictures["opaque"][1][number] for number in (NEAREST, BILINEAR))
    fitting = page.box("#pane-left img")["width"] // SIZE[0]
    assert page["zoomed"].text == f"{fitting:g}x"
    page.keys("zoom", Keys.END)
    assert page["zoomed"].text == "48x"
    large = page.box("#pane-left img")
    assert (large["width"], large["height"]) == (48 * SIZE[0], 48 * SIZE[1])
    check_halves(page, nearest, bilinear, 12)
    page.drag("tag-left", 500, 500)
    stage, moved = page.box("#stage"), page.box("#pane-left img")
    assert (moved["x"], moved["y"]) == (stage["x"], stage["y"])
    assert moved["x"] > large["x"]
    assert page.box("#pane-right img") == moved
    page.keys("stage", Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert page.box("#pane-left img")["x"] == moved["x"] - 48
    assert page.box("#pane-left img")["y"] == moved["y"] - 48
    page.keys("stage", "0")
    assert page.box("#pane-left img")["width"] == fitting * SIZE[0]
    page.keys("stage", "-", "-")
    assert page.box("#pane-left img")["width"] < fitting * SIZE[0]
    check_halves(page, nearest, bilinear, 12)


def test_wheel_zooms_at_the_pointer(page: Page) -> None:
    page.keys("zoom", Keys.END)
    origin = webdriver.common.actions.wheel_input.ScrollOrigin.from_element(page["stage"], 100, -20)
    stage, before = page.box("#stage"), page.box("#pane-left img")
    y = stage["y"] + stage["height"] / 2 - 20
    ActionChains(page.driver).scroll_from_origin(origin, 0, 100).perform()
    page.settle()
    after = page.box("#pane-left img")
    assert after["height"] == before["height"] * 32 / 48
    assert (y - after["y"]) / after["height"] == pytest.approx((y - before["y"]) / before["height"], abs=0.002)
    assert after["x"] - stage["x"] == pytest.approx((stage["width"] - after["width"]) / 2, abs=1)


def test_difference(page: Page, pictures: dict[str, Any]) -> None:
    results = pictures["opaque"][1]
    page.choose("left", LANCZOS)
    assert not page["amplification"].is_enabled()
    page.view("difference")
    levels = np.abs(results[LANCZOS] - results[BILINEAR])
    assert np.array_equal(page.canvas(), np.minimum(8 * levels, 255))
    assert np.array_equal(page.seen("#difference")[ROWS], np.minimum(8 * levels, 255)[ROWS])
    assert page["tag-left"].text == f"difference x8: largest {levels.max()}, mean {levels.mean():.2f} levels"
    page.keys("amplification", Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert page["amplified"].text == "2x"
    assert np.array_equal(page.canvas(), np.minimum(2 * levels, 255))
    page.choose("right", ALIGNED)
    levels = np.abs(results[LANCZOS] - results[ALIGNED])
    assert np.array_equal(page.canvas(), np.minimum(2 * levels, 255))
    page.choose("left", ALIGNED)
    assert not page.canvas().any()
    assert page["tag-left"].text == "difference x2: none"
    page.keys("stage", "d")
    assert np.array_equal(page.seen()[ROWS, :8], results[ALIGNED][ROWS, :8])


def test_reading_of_a_pixel(page: Page, pictures: dict[str, Any]) -> None:
    nearest, bilinear = (pictures["opaque"][1][number][13, 5] for number in (NEAREST, BILINEAR))
    box = page.box("#pane-left img")
    pixel = box["width"] / SIZE[0]
    stage = page.box("#stage")
    x = box["x"] + 5.5 * pixel - stage["x"] - stage["width"] / 2
    y = box["y"] + 13.5 * pixel - stage["y"] - stage["height"] / 2
    ActionChains(page.driver).move_to_element_with_offset(page["stage"], round(x), round(y)).perform()
    words = [" ".join(map(str, values)) for values in (nearest, bilinear, abs(nearest - bilinear))]
    assert page["reading"].text == f"pixel 5,13: left {words[0]}, right {words[1]}, difference {words[2]}"


def test_transparent_pictures(driver: Any, pictures: dict[str, Any]) -> None:
    address, results = pictures["clear"]
    page = Page(driver, address)
    page.choose("left", LANCZOS)
    page.view("difference")
    one, other = (results[number] for number in (LANCZOS, BILINEAR))
    black, white = (
        [rgba[..., :3] * rgba[..., 3:] + level * (255 - rgba[..., 3:]) for rgba in (one, other)] for level in (0, 255)
    )
    levels = np.maximum(abs(black[0] - black[1]), abs(white[0] - white[1])) / 255
    page.keys("amplification", Keys.HOME)
    assert abs(page.canvas() - levels).max() < 2
    assert levels.max() > 50
    page.view("wipe")
    # the checkerboard is behind what is transparent
    pixel = np.argwhere(results[LANCZOS][..., 3] < 60)
    pixel = pixel[(pixel[:, 0] >= 3) & (pixel[:, 1] < 10)]
    seen = page.seen()
    rgba = results[LANCZOS].astype(float)
    for row, column in pixel[:20]:
        opacity = rgba[row, column, 3] / 255
        shown = [rgba[row, column, :3] * opacity + square * (1 - opacity) for square in (0x99, 0x66)]
        assert min(abs(seen[row, column] - colour).max() for colour in shown) < 2
    assert len(pixel)
    assert driver.get_log("browser") == []


@pytest.mark.parametrize(("scheme", "ground"), [("light", "#f6f5f2"), ("dark", "#191a1d")])
@pytest.mark.parametrize(("width", "height"), [(1100, 800), (360, 740)])
def test_schemes_and_widths(
    driver: Any, pictures: dict[str, Any], scheme: str, ground: str, width: int, height: int
) -> None:
    page = Page(driver, pictures["opaque"][0], width, height, scheme)
    assert tuple(page.screen()[2, 2]) == ImageColor.getrgb(ground)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert page.box("#stage")["height"] >= 200
    check_halves(page, pictures["opaque"][1][NEAREST], pictures["opaque"][1][BILINEAR], 12)
    assert driver.get_log("browser") == []
