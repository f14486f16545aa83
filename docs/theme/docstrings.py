"""Docstrings as the site shows them: shared descriptions, and sections that griffe does not know.

The site is built without importing the package, so that `{shared}` is read from its code, as
`keras_clce.losses.arguments.share_descriptions` fills it.
"""

import ast
import re
import textwrap

import griffe

SHARED = re.compile(r"\b(\w+): \{shared\}")
# Sections whose text is shown as it stands. Of "Returns", griffe would take what is before a colon
# for a type.
PLAIN = ("Call arguments", "Returns", "Yields", "Reference", "References", "Example", "Examples")
SECTION = re.compile(
    rf"^({'|'.join(PLAIN)}):\n((?:(?:    [^\n]*)?\n)*(?:    [^\n]*)?)", re.MULTILINE
)
ARGUMENT = re.compile(r"^(\w+): ", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Changes the docstrings of a package once it is read."""

    def on_package(self, *, pkg, **_):
        """Change the docstrings of all that a package holds."""
        shared = ast.literal_eval(str(pkg["losses.arguments._DESCRIPTIONS"].value))
        change(pkg, shared)


def change(thing, shared):
    """Change the docstrings of all that stands within something."""
    for member in thing.members.values():
        if member.is_alias:
            continue
        if member.docstring is not None:
            text = member.docstring.value
            text = SHARED.sub(lambda found: f"{found[1]}: {shared[found[1]]}", text)
            member.docstring.value = SECTION.sub(plain_section, text)
        change(member, shared)


def plain_section(found):
    """A section as a bold heading and its text; arguments become a list."""
    title, body = found[1], textwrap.dedent(found[2]).strip("\n")
    if title == "Call arguments":
        body = ARGUMENT.sub(r"- **`\1`**: ", body)
    return f"**{title}:**\n\n{body}\n\n" if body else f"**{title}:**\n\n"
