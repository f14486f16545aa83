"""Pages of the site made of the notebooks, with their outputs and pictures."""

import base64
import json
import re
from pathlib import Path

from mkdocs.structure.files import File

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
FENCE = "`````"


def on_files(files, config):
    """Add a page for each notebook, and the pictures that it shows."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        parts = []
        for number, cell in enumerate(cells):
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                parts.append(with_links_of_the_site(source))
                continue
            parts.append(f"{FENCE}python\n{source}\n{FENCE}")
            for place, output in enumerate(cell["outputs"]):
                shown, picture = output_of(output, f"{path.stem}_{number}_{place}.png")
                parts.append(shown)
                if picture is not None:
                    name = f"tutorials/{path.stem}_{number}_{place}.png"
                    files.append(File.generated(config, name, content=picture))
        page = f"tutorials/{path.stem}.md"
        files.append(File.generated(config, page, content="\n\n".join(parts) + "\n"))


def output_of(output, name):
    """An output of a cell in Markdown, and the bytes of its picture, if it is one."""
    data = output.get("data", {})
    if "image/png" in data:
        return f"![]({name})", base64.b64decode("".join(data["image/png"]))
    if "text/html" in data:
        return "".join(data["text/html"]), None
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f'{FENCE}text title="Output"\n{text.rstrip()}\n{FENCE}', None


def with_links_of_the_site(text):
    """A text whose links go to pages of the site, as they go to files in a clone."""
    text = text.replace("](../docs/", "](../")
    return re.sub(r"\]\((\d\d_\w+)\.ipynb\)", r"](\1.md)", text)
