"""The page in a real browser: nothing is loaded or logged, and phone, keyboard and dark are served.

Needs Playwright, and Chromium where `which chromium` finds it or Playwright has put it.
"""

import io
import itertools

import numpy as np
import pytest
from chromium import browser  # noqa: F401
from PIL import Image
from run_folders import few_shot_run, transfer_run

from keras_clce.experiments import command_of
from keras_clce.report import write_report

pytestmark = pytest.mark.any_backend

PHONE, LAPTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
# Text, and the nearest background below it that is not transparent, as sRGB.
COLOURS = """() => {
  const found = [];
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || element.closest("script")) continue;
    let below = element;
    while (below && /, 0\\)$|transparent/.test(getComputedStyle(below).backgroundColor)) {
      below = below.parentElement;
    }
    const background = below ? getComputedStyle(below).backgroundColor : "rgb(255, 255, 255)";
    found.push([element.tagName, parse(getComputedStyle(element).color), parse(background)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A page with all that a page can have, and hostile names."""
    home = tmp_path_factory.mktemp("report")
    flowers = home / "runs" / "transfer" / "oxford_flowers102" / "small_resnet"
    top1 = {"ce": [0.80, 0.81, 0.83], "clce": [0.82, 0.832, 0.848], "hscl": [0.79, 0.78, 0.81]}
    data = (
        "oxford_flowers102: 890 train / 3763 test images; not the official 1,020/1,020/6,149 split"
    )
    about = {"dataset": "oxford_flowers102", "data": data}
    for loss, values in top1.items():
        for seed, value in enumerate(values):
            transfer_run(flowers, loss, seed, value, learning_rate=1e-3 * (seed + 1), **about)
    hostile = "<script>document.title = 'taken'</script>"
    transfer_run(flowers, "clce", 0, 0.9, label=hostile, **about)
    faces = home / "runs" / "few_shot" / "faces" / "small_resnet"
    rng = np.random.default_rng(0)
    for loss in ("ce", "clce"):
        folder = few_shot_run(faces, loss, 0, {"5w1s": rng.uniform(0.4, 0.8, 30)})
        folder.task.write_bytes(_png(rng))
    (home / "runs" / "unfinished").mkdir()
    (home / "runs" / "unfinished" / "config.json").write_text('{"settings": {}, "data": "<b>"}')
    return write_report(home / "runs", home / "out", command=command_of).with_suffix(".html")


def _png(rng):
    data = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (300, 300, 3), "uint8")).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def opened(browser, report):  # noqa: F811
    """Opens the page, and closes it."""
    pages = []

    def open_page(viewport, **options):
        page = browser.new_page(viewport=viewport, **options)
        page.complaints, page.requests = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(report.as_uri())
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
def test_nothing_is_loaded_or_logged_and_the_answer_is_on_the_first_screen(
    opened, report, viewport
):
    page = opened(viewport)
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith("data:")] == [report.as_uri()]
    assert page.title() == "Did CLCE help?"
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    answer = page.locator("#answer .lead").first
    assert "CLCE is above cross-entropy by" in answer.inner_text().replace("\xa0", " ")
    box = answer.bounding_box()
    assert box["y"] > 0 and box["y"] + box["height"] <= viewport["height"]
    loaded = page.evaluate(
        "async () => { const images = [...document.images];"
        "document.querySelectorAll('details').forEach((one) => (one.open = true));"
        "await Promise.all(images.map((image) => image.decode()));"
        "return images.map((image) => image.naturalWidth); }"
    )
    assert len(loaded) == 6 and min(loaded) > 200
    # All that was folded is open now.
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    assert page.complaints == []


def test_the_keyboard_sorts_a_table(opened):
    page = opened(LAPTOP)
    table = page.locator("table", has_text="Test accuracy in %").first
    rows = table.locator("tbody tr")

    def column(number):
        return [
            float(text.split("±")[0])
            for text in rows.locator(f"td:nth-child({number})").all_inner_texts()
        ]

    assert column(3)[:3] != sorted(column(3)[:3])
    table.locator("th button", has_text="top-1").first.focus()
    page.keyboard.press("Enter")
    head = table.locator("th[aria-sort]")
    assert head.count() == 1 and head.get_attribute("aria-sort") == "ascending"
    assert column(3) == sorted(column(3))
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(3) == sorted(column(3), reverse=True)
    # What has no value stays last, whichever way the others go.
    last = table.locator("th button", has_text="top-1 vs ce")
    for _ in range(2):
        last.press("Enter")
        assert rows.last.inner_text().endswith("-")


def test_the_first_key_leads_to_the_answer(opened):
    page = opened(PHONE)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.url.endswith("#answer")


def luminance(colour):
    channels = np.array(colour[:3]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out(opened, scheme):
    page = opened(LAPTOP, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    found = page.evaluate(COLOURS)
    assert len(found) > 200
    lightness = luminance(found[0][2])
    assert lightness > 0.9 if scheme == "light" else lightness < 0.05
    for element, colour, background in found:
        low, high = sorted((luminance(colour), luminance(background)))
        # WCAG 2.2, contrast of text at level AA.
        assert (high + 0.05) / (low + 0.05) >= 4.5, (element, colour, background)


def test_a_printed_page_is_light_and_has_what_was_folded(opened):
    page = opened(LAPTOP, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert luminance(page.evaluate(COLOURS)[0][2]) > 0.9
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert page.pdf(format="A4")[:5] == b"%PDF-"


def test_headings_pictures_and_tables_are_named_for_those_who_do_not_see(opened):
    page = opened(LAPTOP)
    ranks = page.eval_on_selector_all("h1,h2,h3,h4", "all => all.map((one) => +one.tagName[1])")
    assert ranks.count(1) == 1 and ranks[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(ranks))
    assert page.get_attribute("html", "lang") == "en"
    alts = page.eval_on_selector_all("img", "all => all.map((one) => one.alt)")
    assert all(len(alt) > 20 for alt in alts)
    tables = page.locator("table")
    for number in range(tables.count()):
        table = tables.nth(number)
        assert table.locator("caption").text_content()
        assert table.locator("thead th:not([scope=col])").count() == 0
        assert table.locator("tbody tr > :first-child:not(th[scope=row])").count() == 0
    names = page.eval_on_selector_all("[id]", "all => all.map((one) => one.id)")
    assert len(names) == len({*names})
    links = page.eval_on_selector_all("a", "all => all.map((one) => one.getAttribute('href'))")
    assert {link.removeprefix("#") for link in links} <= {*names}


def test_names_are_shown_as_they_are(opened):
    page = opened(LAPTOP)
    assert page.title() == "Did CLCE help?"
    assert page.locator("th", has_text="<script>document.title").count() >= 1
    assert page.locator("main script").count() == 0


def test_the_page_weighs_less_than_it_may(report):
    assert report.stat().st_size < 3_000_000
    text = report.read_text("utf-8")
    assert "http://" not in text and "https://" not in text and "url(" not in text
