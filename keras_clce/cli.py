"""The command `keras-clce NAME …`: the recipes, from any folder."""

import difflib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe of a name.

    Args:
        arguments: The command line, the program's name first. Defaults to `None`, `sys.argv`.

    Raises:
        SystemExit: If there is no such recipe, or the recipe ends with an error.

    Example:
    ```python
    main(["keras-clce", "transfer", "--help"])
    ```
    """
    program, *rest = sys.argv if arguments is None else arguments
    if not rest or rest[0].lstrip("-") in ("h", "help"):
        print("keras-clce NAME --flags, where NAME is one of:\n")
        for name in recipes():
            print(f"  {name:<20} {_first_sentence(name)}")
        print("\nkeras-clce NAME --help lists the flags.")
        return
    name, *flags = rest
    if name not in recipes():
        near = difflib.get_close_matches(name, recipes(), 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        sys.exit(
            f"Error: there is no recipe of that name.{meant} Known are: {', '.join(recipes())}. "
            f"Received: {name}"
        )
    importlib.import_module(f"keras_clce.recipes.{name}").main(
        [f"{Path(program).stem} {name}", *flags]
    )


def recipes() -> list[str]:
    """Names of the recipes, from the files of `keras_clce.recipes`."""
    import keras_clce.recipes

    return sorted(module.name for module in pkgutil.iter_modules(keras_clce.recipes.__path__))


def _first_sentence(name):
    """The first line of a recipe's docstring, without importing what it needs."""
    source = importlib.util.find_spec(f"keras_clce.recipes.{name}").loader.get_source(
        f"keras_clce.recipes.{name}"
    )
    return source.lstrip('r"').partition("\n")[0]


if __name__ == "__main__":
    main()
