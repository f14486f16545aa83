"""Packages from two folders, which pyproject.toml cannot find together."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["keras_clce*"]), "keras_clce.recipes"],
    package_dir={"keras_clce.recipes": "recipes"},
)
