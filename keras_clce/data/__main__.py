"""`python -m keras_clce.data` lists the data sets."""

from keras_clce.data.catalog_table import format_table

if __name__ == "__main__":
    print(format_table())
