"""Studies and commands, one file each; `python -m keras_clce.recipes.NAME` runs them anywhere."""
