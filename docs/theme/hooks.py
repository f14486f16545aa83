"""What the site builds from other files: results, changes, settings; formulas as MathML."""

import ast
import json
import os
import re
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
RESULTS = sorted(path.parent.name for path in ROOT.glob("results/*/README.md"))
# Pages made of files that stand elsewhere in the repository, by their place on the site.
PAGES = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "results/index.md": "results/README.md",
    **{f"results/{name}/index.md": f"results/{name}/README.md" for name in RESULTS},
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_config(config):
    """Put the folders of results that have a page of their own into the navigation."""
    (results,) = [part["Results"] for part in config.nav if "Results" in part]
    results += [f"results/{name}/index.md" for name in RESULTS]
    return config


def on_files(files, config):
    """Add the pages that are made of other files, and the pictures that they show."""
    for place, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        for picture in pictures_of(text):
            beside = (Path(place).parent / picture).as_posix()
            path = (ROOT / source).parent / picture
            if files.get_file_from_path(beside) is None:
                files.append(File.generated(config, beside, abs_src_path=str(path)))
        text = with_links_of_the_site(text, place)
        files.append(File.generated(config, place, content=text))
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


def with_links_of_the_site(text, page):
    """A page's text whose links go to pages of the site; others are left as names."""
    places = {ROOT / source: place for place, source in PAGES.items()}
    folder = (ROOT / PAGES[page]).parent

    def link(found):
        image, label, target = found.groups()
        path, _, anchor = target.partition("#")
        if image or not path or "://" in target:
            return found[0]
        place = places.get((folder / path).resolve())
        if place is None:
            return label if label.startswith("`") else f"`{label}`"
        place = os.path.relpath(place, Path(page).parent)
        return f"[{label}]({place}{'#' + anchor if anchor else ''})"

    return LINK.sub(link, text)


def settings_page():
    """A table of all settings, read from the code of `Settings`."""
    experiments = ROOT / "keras_clce" / "experiments"
    choices = json.loads((experiments / "choices.json").read_text(encoding="utf-8"))
    files = ("loss_settings.py", "settings.py")
    trees = [ast.parse((experiments / name).read_text(encoding="utf-8")) for name in files]
    headings, order = headings_of(trees)
    lines = [
        "# All settings\n",
        "A field of `Settings` in Python is a flag of the same name on the command line:",
        "`Settings(epochs=10)` and `--epochs 10`. `keras-clce transfer --help` prints the same.\n",
    ]
    current = None

    def heading_of(call):
        return headings.get(call.func.id) or headings[call.args[3].id]

    found = [pair for tree in trees for pair in settings_of(tree)]
    for name, call in sorted(found, key=lambda pair: order.index(heading_of(pair[1]))):
        default, about = map(ast.literal_eval, call.args[:2])
        heading = heading_of(call)
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
    """Names of the fields of the one class of a file, with the calls that declare them."""
    (settings,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [
        (node.target.id, node.value) for node in settings.body if isinstance(node, ast.AnnAssign)
    ]


def headings_of(trees):
    """Headings by the names that hold them or declare under them, and their order."""
    found, order = {}, []
    for node in (node for tree in trees for node in tree.body):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            order = [found[name.id] for name in node.value.elts]
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found[node.targets[0].id] = node.value.value
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            given = {keyword.arg: keyword.value for keyword in node.value.keywords}
            if "group" in given:
                found[node.targets[0].id] = found[given["group"].id]
    return found, order
