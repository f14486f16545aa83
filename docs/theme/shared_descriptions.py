"""Fills `{shared}` in docstrings, as `keras_clce.losses.arguments.share_descriptions` does."""

import ast
import re

import griffe

SHARED = re.compile(r"\b(\w+): \{shared\}")


class SharedDescriptions(griffe.Extension):
    """Reads the descriptions from the code, since the site is built without importing it."""

    def on_package(self, *, pkg, **_):
        """Fill in the docstrings of a whole package."""
        table = ast.literal_eval(str(pkg["losses.arguments._DESCRIPTIONS"].value))

        def fill(thing):
            for member in thing.members.values():
                if member.is_alias:
                    continue
                if member.docstring is not None:
                    text = member.docstring.value
                    member.docstring.value = SHARED.sub(
                        lambda found: f"{found[1]}: {table[found[1]]}", text
                    )
                fill(member)

        fill(pkg["losses"])
