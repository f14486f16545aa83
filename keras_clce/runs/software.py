"""The software that a run was made with."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("keras", "tensorflow", "jax", "torch", "keras-cv", "keras-hub", "numpy")


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that decide a result.

    Returns:
        Name and version of each package that is installed.

    Example:
    ```python
    package_versions()["keras"]  # "3.15.1"
    ```
    """
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def git_commit() -> str | None:
    """Commit of the checkout that this package stands in.

    Returns:
        Its hash, or `None` where there is no checkout or no Git.

    Example:
    ```python
    git_commit()
    ```
    """
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
