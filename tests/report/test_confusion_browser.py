"""The page of confusions in a real browser, as that of the report."""

import numpy as np
import pytest
from chromium import browser  # noqa: F401
from confusion_studies import study
from PIL import Image
from test_browser import COLOURS, LAPTOP, PHONE, luminance

from keras_clce.report.confusion_page import confusion_page
from keras_clce.report.page import write_page

pytestmark = pytest.mark.any_backend


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A page of two models with hostile names and wide pictures."""
    home = tmp_path_factory.mktemp("confusions")
    Image.fromarray(np.zeros((300, 1100, 3), "uint8")).save(home / "wide.png")
    hostile = "<script>document.title = 'taken'</script>"
    unreadable = [{"image": f"{hostile}.png", "reason": "empty"}]
    found = study("ce", hostile, unreadable=unreadable)
    of_one = {"examples": home / "wide.png", "matrix": home / "wide.png"}
    pictures = {"ce": of_one, hostile: of_one, "": {"reliability": home / "wide.png"}}
    return write_page(confusion_page(found, pictures), home, "confusions").with_suffix(".html")


@pytest.mark.parametrize("viewport", [PHONE, LAPTOP], ids=["phone", "laptop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_loads_nothing_fits_and_can_be_read(browser, page_file, viewport, scheme):  # noqa: F811
    page = browser.new_page(viewport=viewport, color_scheme=scheme)
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [page_file.as_uri()]
    assert page.title().startswith("What do ce and <script>")
    assert page.locator("main script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    names = page.eval_on_selector_all("[id]", "all => all.map((one) => one.id)")
    assert len(names) == len({*names})
    links = page.eval_on_selector_all("a", "all => all.map((one) => one.getAttribute('href'))")
    assert {link.removeprefix("#") for link in links} <= {*names}
    for element, colour, background in page.evaluate(COLOURS):
        low, high = sorted((luminance(colour), luminance(background)))
        # WCAG 2.2, contrast of text at level AA.
        assert (high + 0.05) / (low + 0.05) >= 4.5, (element, colour, background)
    page.close()
