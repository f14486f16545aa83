"""A page as HTML and as Markdown: escaped names, sorted numbers, what it weighs, its colours."""

import itertools
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_clce.report
from keras_clce.report.blocks import (
    Code,
    Details,
    Items,
    Page,
    Picture,
    Section,
    Table,
    Terms,
    Text,
)
from keras_clce.report.inlined import inline_pictures
from keras_clce.report.markdown import to_markdown, without_details
from keras_clce.report.markup import to_html

pytestmark = pytest.mark.any_backend

HOSTILE = "<img src=x onerror=alert(1)> & \"'</style></script>"
STYLE = (Path(keras_clce.report.__file__).parent / "page.css").read_text()


class Reader(HTMLParser):
    """Tags with their attributes, and the text of each."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def page(*blocks, title="Title"):
    return Page(
        title, "about", blocks, [Section("Runs", [Text("text")], "runs", "transfer/digits")]
    )


def test_whatever_stands_in_a_text_is_shown_and_not_run():
    blocks = [
        Text(HOSTILE, "lead"),
        Items([HOSTILE]),
        Terms({HOSTILE: HOSTILE}),
        Table(HOSTILE, [HOSTILE, "b"], [[HOSTILE, HOSTILE]], {HOSTILE: "above"}),
        Picture(Path("a.png"), HOSTILE, HOSTILE),
        Code(HOSTILE),
        Details(HOSTILE, [Text(f"`{HOSTILE}` **{HOSTILE}** [{HOSTILE}](#runs)")]),
    ]
    text = to_html(page(*blocks, title=HOSTILE), {})
    plain = Reader(to_html(page(), {}))
    found = Reader(text)
    # One image of the page's own, none of the text; one script and one style as on any page.
    assert not found.of("img") and len(found.of("script")) == len(plain.of("script")) == 1
    assert len(found.of("style")) == 1
    assert not any("onerror" in attrs for _, attrs in found.tags)
    shown = "".join(found.texts).replace("\xa0", " ")
    assert shown.count("<img src=x onerror=alert(1)>") >= 13


def test_names_that_no_file_may_hold_are_shown():
    text = to_html(page(Text("caf\udce9")), {})
    assert r"caf\xe9" in text and text.encode("utf-8")


def test_a_policy_forbids_what_comes_from_elsewhere():
    (policy,) = (
        attrs["content"]
        for attrs in Reader(to_html(page(), {})).of("meta")
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:;")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["84.10 ± 0.52", "-", "9.5"], ["84.10", "", "9.5"]),
        (["<1e-16", "0.012", "-"], ["1e-16", "0.012", ""]),
        (["+4.4 ± 0.8, p = 0.002", "-1.20 (one seed)", ""], ["4.4", "-1.20", ""]),
        (["*10.04 ± 1.00", "9.8", "-"], ["10.04", "9.8", ""]),
        (["jax", "12", "-"], [None, None, None]),
        (["-", "no shared seed", "1"], [None, None, None]),
    ],
)
def test_columns_of_numbers_are_sorted_by_their_numbers(cells, expected):
    table = Table("caption", ["loss", "top-1"], [["ce", cell] for cell in cells])
    found = Reader(to_html(page(table), {}))
    assert [attrs.get("data-sort") for attrs in found.of("td")] == expected
    right = [attrs.get("class") for attrs in found.of("th") if attrs["scope"] == "col"]
    assert right == [None, "number" if expected[0] is not None else None]


def test_a_table_without_rows_is_one():
    assert "<tbody>" in to_html(page(Table("caption", ["a", "b"], [])), {})


def drawn(path, size, noise=True):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (size, size, 3)) if noise else np.full((size, size, 3), 200)
    Image.fromarray(pixels.astype("uint8")).save(path)
    return path


def test_pictures_are_inside_as_far_as_the_page_can_hold_them(tmp_path):
    small, large = drawn(tmp_path / "small.png", 40), drawn(tmp_path / "large.png", 400)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    paths = [large, broken, tmp_path / "missing.png", small, small]
    everything = inline_pictures(paths, 10**6)
    assert [*everything] == [large, small]
    assert (everything[large].width, everything[large].height) == (400, 400)
    assert everything[small].uri.startswith("data:image/webp;base64,")
    size = len(everything[small].uri)
    # What is too large does not keep the smaller ones after it out.
    assert [*inline_pictures(paths, size)] == [small] and inline_pictures(paths, size - 1) == {}
    text = to_html(page(Picture(large, "noise", "Some noise.")), {})
    assert "The picture <code>large.png</code> would make this page too large" in text


def test_flat_colours_stay_as_they_are(tmp_path):
    (picture,) = inline_pictures([drawn(tmp_path / "flat.png", 30, noise=False)], 10**6).values()
    assert len(picture.uri) < 300


def test_markdown_keeps_to_its_width_and_its_pictures_to_their_files(tmp_path):
    words = "many words " * 30
    rows = [["a" * 30, *("9" * 20 for _ in range(6))]]
    blocks = [
        Text(f"**{words}** [link](#runs)"),
        Items([words]),
        Table(words, ["loss", *"abcdef"], rows),
        Picture(tmp_path / "in here" / "a.png", words),
        Details("more", [Code("python recipes/transfer.py")]),
    ]
    text = to_markdown(page(*blocks), tmp_path)
    assert max(map(len, text.splitlines())) <= 100
    assert "(in%20here/a.png)" in text and "[link]" not in text and "link" in text
    # A name of 30 and three cells of 20 with two blanks before each are the 96 that a table may be
    # wide, so that six cells make two tables.
    assert text.count("a" * 30) == 2 and text.count("9" * 20) == 6
    assert text.splitlines()[0] == "# Title" and "\n## transfer/digits\n" in text
    assert "```sh\npython recipes/transfer.py\n```" in text
    shown = without_details(text)
    assert "<details>" not in shown and "transfer.py" not in shown and "link" in shown


def test_lines_that_hold_paths_are_kept_whole():
    line = f"Left out, not finished: {'/folder' * 20}"
    assert f"- {line}\n" in to_markdown(page(Items([line], "paths")))


# === Colours ===


def schemes():
    """Variables of the style: those of daylight, and of the dark on top of them."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w{6});", block)) for block in (light, dark))
    assert light.keys() == dark.keys()
    return {"light": light, "dark": dark}


def luminance(colour):
    channels = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(first, second):
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_of_contrast_is_that_of_wcag():
    # The extremes, and a pair that its authors name: #777 on white is 4.48.
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_every_background_that_it_has(scheme):
    colours = schemes()[scheme]
    pairs = [*itertools.product(("ink", "muted", "link"), ("page", "card", "warning-card"))]
    pairs += [(name, f"{name}-card") for name in ("above", "below", "none", "unknown")]
    for text, background in pairs:
        found = contrast(colours[text], colours[background])
        assert found >= 4.5, (text, background, found)


def test_colours_stand_in_variables_alone():
    body = re.sub(r":root \{.*?\}", "", STYLE, flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-f]{3,8}\b(?=;| )|rgb|hsl", body)
