"""Run a Python file as if packages were not installed: `hidden_packages.py A,B FILE`."""

import runpy
import sys


class Hiding:
    """A finder that finds all that another one does but some packages.

    A package that is not installed has no spec, which some libraries ask for before they import it.
    """

    def __init__(self, finder, packages):
        self.finder = finder
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.packages:
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)


def hide(packages):
    """Let this process find none of these packages from now on."""
    loaded = [name for name in packages if name in sys.modules]
    assert not loaded, f"{loaded} are loaded already"
    sys.meta_path[:] = [Hiding(finder, packages) for finder in sys.meta_path]


if __name__ == "__main__":
    _, names, file, *sys.argv[1:] = sys.argv
    hide(frozenset(names.split(",")))
    runpy.run_path(file, run_name="__main__")
