"""What the site builds from other files: results, changes, settings; formulas as MathML."""

import ast
import json
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
# Pages made of files that stand elsewhere in the repository, by their place on the site.
PAGES = {
    "results.md": "results/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_files(files, config):
    """Add the pages that are made of other files, and the pictures that they show."""
    for place, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        folder = (ROOT / source).parent
        for picture in pictures_of(text):
            path = folder / picture
            files.append(File.generated(config, picture, abs_src_path=str(path)))
        files.append(File.generated(config, place, content=with_links_of_the_site(text, source)))
    files.append(File.generated(config, "guides/settings.md", content=settings_page()))
    return files


def on_page_content(html, **_):
    """Formulas as MathML, which browsers show without a script."""
    html = BLOCK.sub(lambda found: convert(unescape(found[1]), display="block"), html)
    return INLINE.sub(lambda found: convert(unescape(found[1])), html)


def unescape(formula):
    """A formula as it was written, without HTML's names of its characters."""
    for name, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        formula = formula.replace(name, character)
    return formula.strip()


def pictures_of(text):
    """Addresses of the pictures that a text shows."""
    return [target for image, _, target in LINK.findall(text) if image]


def with_links_of_the_site(text, source):
    """A page's text whose links go to pages of the site; others are left as names."""
    places = {Path(path).resolve(): place for place, path in absolute_pages().items()}

    def link(found):
        image, label, target = found.groups()
        path, _, anchor = target.partition("#")
        if image or not path or "://" in target:
            return found[0]
        place = places.get((ROOT / source).parent.joinpath(path).resolve())
        if place is None:
            return label if label.startswith("`") else f"`{label}`"
        return f"[{label}]({place}{'#' + anchor if anchor else ''})"

    return LINK.sub(link, text)


def absolute_pages():
    """The files of `PAGES`, by their place on the site."""
    return {place: ROOT / source for place, source in PAGES.items()}


def settings_page():
    """A table of all settings, read from the code of `Settings`."""
    experiments = ROOT / "keras_clce" / "experiments"
    choices = json.loads((experiments / "choices.json").read_text(encoding="utf-8"))
    tree = ast.parse((experiments / "settings.py").read_text(encoding="utf-8"))
    headings = headings_of(tree)
    lines = [
        "# All settings\n",
        "A field of `Settings` in Python is a flag of the same name on the command line:",
        "`Settings(epochs=10)` and `--epochs 10`. `keras-clce transfer --help` prints the same.\n",
    ]
    current = None
    for name, call in settings_of(tree):
        default, about = map(ast.literal_eval, call.args[:2])
        heading = headings.get(call.func.id) or headings[call.args[3].id]
        if heading != current:
            current = heading
            lines += [f"\n## {heading}\n", "| setting | default | what it is |", "|---|---|---|"]
        names = ", ".join(choices.get(name, ()))
        if "{names}" in about:
            about = about.format(names=names)
        elif names:
            about = f"{about} One of: {names}."
        lines.append(f"| `{name}` | `{default!r}` | {about} |")
    return "\n".join(lines) + "\n"


def settings_of(tree):
    """Names of the fields of `Settings`, with the calls that declare them."""
    (settings,) = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"
    ]
    return [
        (node.target.id, node.value) for node in settings.body if isinstance(node, ast.AnnAssign)
    ]


def headings_of(tree):
    """Headings by the constants that hold them, and by the functions that declare under them."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found[node.targets[0].id] = node.value.value
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            given = {keyword.arg: keyword.value for keyword in node.value.keywords}
            if "group" in given:
                found[node.targets[0].id] = found[given["group"].id]
    return found
