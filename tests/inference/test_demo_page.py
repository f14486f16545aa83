"""The demo in a real browser: photographs go in, classes come out, and nothing else goes anywhere.

Needs Gradio, Playwright and Chromium.
"""

import socket

import numpy as np
import pytest
from chromium import browser  # noqa: F401
from inference_files import colour_model, write_colours
from PIL import Image

from keras_clce.inference import (
    EmbeddingIndex,
    PhotographAnswers,
    check_demo,
    embed_images,
    launch_demo,
)

pytestmark = pytest.mark.any_backend

# Names of folders may be anything.
HOSTILE = "<img src=x onerror=alert(1)> ${7*7} {{value}}"
REMOVE = "#photograph button[aria-label='Remove Image']"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Photographs, and files that are none, in a folder whose name the page must not tell."""
    home = tmp_path_factory.mktemp("private-place")
    write_colours(home / "colours")
    (home / "letter.txt").write_text("a letter")
    (home / "letter.png").write_text("a letter")
    Image.new("L", (5000, 4001)).save(home / "giant.png")
    Image.fromarray(np.full((9, 9, 3), (200, 200, 0), np.uint8)).save(home / "odd.png")
    return home


@pytest.fixture(scope="module")
def served(home, tmp_path_factory):
    pytest.importorskip("gradio", reason="Gradio is not installed")
    uploads = tmp_path_factory.mktemp("uploads")
    model = colour_model()
    embed_images(model, home / "colours", home / "c.npz", model_path=home / "model.keras")
    names = ["blue", HOSTILE, "red"]
    index = EmbeddingIndex.load(home / "c.npz")
    answers = PhotographAnswers(model, index, threshold=0.6, k=4, class_names=names)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GRADIO_TEMP_DIR", str(uploads))
        page = launch_demo(answers, wait=False)
        page.uploads = uploads
        yield page
        page.close(verbose=False)
        # What people gave is gone.
        assert [path for path in uploads.rglob("*") if path.is_file()] == []


@pytest.fixture
def page(browser, served):  # noqa: F811
    """The page, with what it asks for, is told, and complains of."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.complaints, page.requests = [], []
    page.on("console", lambda said: page.complaints.append((said.type, said.text)))
    page.on("pageerror", lambda error: page.complaints.append(("error", str(error))))
    page.on("dialog", lambda dialog: page.complaints.append(("error", dialog.message)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.policy = page.goto(served.local_url).headers["content-security-policy"]
    page.wait_for_selector("#photograph input[type=file]", state="attached")
    yield page
    context.close()


def give(page, path, expected):
    """Give a photograph, and wait for what is said of it."""
    page.locator("#photograph input[type=file]").first.set_input_files(path)
    page.locator("#verdict .answer", has_text=expected).wait_for()
    return page.locator("#verdict").inner_text()


def remove(page):
    page.locator(REMOVE).click()
    page.locator("#verdict .answer", has_text="No photograph yet").wait_for()


def test_a_photograph_goes_in_and_classes_come_out(page, served, home):
    assert page.title() == "What is in the photograph?"
    assert "The model knows 3 classes: blue" in page.locator("body").inner_text()
    said = give(page, home / "colours" / "red" / "0.png", "red")
    assert "with a probability of 100.0 %" in said
    shares = page.locator("#probabilities").inner_text().split("\n")
    assert shares.index("red") < shares.index("blue") and HOSTILE in shares
    names = page.locator("#similar li div:nth-child(2)").all_inner_texts()
    assert names[:3] == ["red", "red", "red"] and len(names) == 4
    widths = page.eval_on_selector_all("#similar img", "all => all.map((one) => one.naturalWidth)")
    assert widths == [30, 30, 30, 30]
    remove(page)
    assert page.locator("#similar").inner_text().strip() == ""
    # A name that is code is shown as it is.
    assert HOSTILE in give(page, home / "colours" / "green" / "0.png", HOSTILE)
    remove(page)
    said = give(page, home / "odd.png", "None of these")
    assert "No class has a probability of 60 % or more." in said and "50.0 %" in said
    # Gradio says by a warning that a component of its own lacks something.
    assert [text for kind, text in page.complaints if kind == "error"] == []
    assert page.policy.startswith("default-src 'self' data: blob:;")
    here = (served.local_url, "data:", "blob:")
    assert [url for url in page.requests if not url.startswith(here)] == []


def test_what_is_no_image_or_too_large_is_refused(page, served, home):
    said = give(page, home / "letter.png", "Not looked at")
    assert "This is no image that can be read" in said
    assert page.locator("#probabilities").inner_text().split() == ["Probabilities"]
    remove(page)
    said = give(page, home / "giant.png", "Not looked at")
    assert "at most 20 megapixels are taken. It has 5000 x 4001 pixels." in said
    assert [path.name for path in served.uploads.rglob("giant.png")] == ["giant.png"]
    remove(page)
    # The browser's side refuses what does not even call itself an image.
    page.locator("#photograph input[type=file]").first.set_input_files(home / "letter.txt")
    page.get_by_text("Invalid file type: letter.txt. Only image/* allowed.").wait_for()
    assert give(page, home / "colours" / "blue" / "0.png", "blue")
    assert [text for kind, text in page.complaints if kind == "error"] == []


def test_nothing_tells_where_files_are(page, served, home):
    """Neither the page, nor what describes it, nor the answers."""
    give(page, home / "colours" / "red" / "0.png", "red")
    script = """async (path) => {
      const reply = await fetch(path, {credentials: 'same-origin'});
      return [reply.status, await reply.text()];
    }"""
    for path in ("/config", "/gradio_api/info", "/gradio_api/startup-events"):
        _, text = page.evaluate(script, path)
        assert "private-place" not in text, path
    assert "private-place" not in page.content()
    # Files of the computer are not served.
    for path in (home / "c.npz", home / "colours" / "red" / "0.png", "/etc/passwd"):
        status, _ = page.evaluate(script, f"/gradio_api/file={path}")
        assert status in (403, 404), path


def test_it_listens_where_it_is_told_to(served):
    port = served.server_port
    check_demo()
    for start in (check_demo, lambda port: launch_demo(None, port=port)):
        with pytest.raises(ValueError, match=rf"`port` must be .* free. Received: .*port={port} "):
            start(port=port)
    with pytest.raises(ValueError, match=r"`host` and `port` must be .*host='no\.such\.host'"):
        check_demo("no.such.host")
    with socket.socket() as other:
        other.bind(("127.0.0.2", 0))
        # Another address of this computer, which a server of all addresses would answer on.
        with pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", port))
