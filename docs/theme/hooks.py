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
    source = (ROOT / "keras_clce" / "experiments" / "settings.py").read_text(encoding="utf-8")
    choices = json.loads(
        (ROOT / "keras_clce" / "experiments" / "choices.json").read_text(encoding="utf-8")
    )
    tree = ast.parse(source)
    groups = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    (settings,) = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"
    ]
    lines = [
        "# All settings\n",
        "A field of `Settings` in Python is a flag of the same name on the command line:",
        "`Settings(epochs=10)` and `--epochs 10`. `keras-clce transfer --help` prints the same.\n",
    ]
    current = None
    for node in settings.body:
        if not isinstance(node, ast.AnnAssign):
            continue
        default, about, *rest = [ast.literal_eval(arg) for arg in node.value.args[:2]] + [
            arg for arg in node.value.args[2:]
        ]
        group = groups[rest[1].id] if len(rest) > 1 else "Few-shot tasks"
        if group != current:
            current = group
            lines += [f"\n## {group}\n", "| setting | default | what it is |", "|---|---|---|"]
        names = ", ".join(choices.get(node.target.id, ()))
        if "{names}" in about:
            about = about.format(names=names)
        elif names:
            about = f"{about} One of: {names}."
        lines.append(f"| `{node.target.id}` | `{default!r}` | {about} |")
    return "\n".join(lines) + "\n"
