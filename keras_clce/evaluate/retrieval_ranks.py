"""Where the matches of each query stand in the ranking of a gallery, without sorting it."""

from collections.abc import Iterator

import numpy as np

# Rows of a block of similarities, which the matrix product is fast for: 16 MB in float32.
_ROWS = 2040
# Parts of it that stay in the processor's cache. Counts of so many rows fit into a byte.
_TILE_ROWS, _TILE_COLUMNS = 255, 1024
# Each match costs a pass over the gallery; beyond about as many, sorting it is faster.
_COUNTED_MATCHES = 40
# Similarities of a block of queries to the whole gallery, where they are sorted.
_SORTED_BYTES = 2**25
# Stands for no match where queries have different numbers of them.
NO_RANK = np.iinfo(np.int32).max

# Rows of queries, their matches, and the ranks of these, ascending (most matches, queries).
Ranks = tuple[np.ndarray, np.ndarray, np.ndarray]


def match_ranks(
    queries: np.ndarray,
    labels: np.ndarray,
    gallery: np.ndarray,
    classes: np.ndarray,
    of_one_set: bool,
    metric: str,
) -> Iterator[Ranks]:
    """Rank the matches of each query in the gallery.

    Of gallery rows that are equally similar the one that stands first ranks first.

    Args:
        queries: Embeddings `(queries, dim)`, float32 or float64.
        labels: Their classes `(queries,)`.
        gallery: Embeddings `(examples, dim)`; the queries themselves where `of_one_set`.
        classes: Their classes `(examples,)`.
        of_one_set: Whether each query's own row is left out.
        metric: `"cosine"` or `"euclidean"`.

    Returns:
        An iterator of numbers of queries `(n,)`, of how many matches each has `(n,)`, and of ranks
        from 1 `(most matches, n)`, ascending, with `NO_RANK` where a query has fewer. Queries
        without a match are in none.

    Example:
    ```python
    rows, labels = np.eye(3)[[0, 0, 1]], np.array([5, 5, 7])
    ((found, matches, ranks),) = match_ranks(rows, labels, rows, labels, True, "cosine")
    found.tolist(), ranks.tolist()  # ([0, 1], [[1, 1]])
    ```
    """
    if metric == "cosine":
        queries, gallery = (
            (None if of_one_set else unit_or_zero_rows(queries)),
            unit_or_zero_rows(gallery),
        )
    layout = _Layout(queries, labels, gallery, classes, of_one_set, metric == "euclidean")
    yield from _counted(layout)
    yield from _sorted(layout)


class _Layout:
    """Queries and gallery in the order of their matches, a class being a slice of both."""

    def __init__(self, queries, labels, gallery, classes, of_one_set, euclidean):
        names, sizes = np.unique(classes, return_counts=True)
        # Small classes first, so that the numbers of matches ascend.
        by_size = np.argsort(sizes, kind="stable")
        place = np.argsort(by_size)
        stops = np.cumsum(sizes[by_size])
        self.of_one_set = of_one_set
        # Numbers of rows as they were given.
        self.gallery_rows = np.argsort(place[np.searchsorted(names, classes)], kind="stable")
        found = np.minimum(np.searchsorted(names, labels), len(names) - 1)
        matches = np.where(names[found] == labels, sizes[found] - of_one_set, 0)
        has_match = np.flatnonzero(matches > 0)
        self.query_rows = has_match[np.argsort(place[found[has_match]], kind="stable")]
        self.matches = matches[self.query_rows]
        self.gallery = gallery[self.gallery_rows]
        if euclidean:
            # Far from zero, squares would leave no digits for the distances. Whole numbers stay so.
            center = np.rint(self.gallery.mean(axis=0, dtype="float64")).astype(self.gallery.dtype)
            self.gallery = self.gallery - center
            queries = queries - center
        # Of one set, queries are the last rows of the gallery.
        self.first = len(gallery) - len(self.query_rows)
        self.queries = self.gallery[self.first :] if of_one_set else queries[self.query_rows]
        self.stops = stops[place[found[self.query_rows]]]
        self.starts = self.stops - self.matches - of_one_set
        self.squares = None
        if euclidean:
            self.squares = np.einsum("ed,ed->e", self.gallery, self.gallery)

    def similarities(self, products, rows, axis=0):
        """Similarities, which rank as the metric does, of products with these gallery rows."""
        if self.squares is None:
            return products
        # 2 q·g - g·g ranks as the distance does.
        return 2 * products - np.expand_dims(self.squares[rows], 1 - axis)


def _counted(layout: _Layout) -> Iterator[Ranks]:
    """Ranks of queries with few matches: how many gallery rows are above each match."""
    count = int(np.searchsorted(layout.matches, _COUNTED_MATCHES, "right"))
    if not count:
        return
    counts = _Counts(layout, count)
    pieces = list(_pieces(layout, count))
    for piece in pieces:
        counts.begin(*piece)
    first, examples = layout.first, len(layout.gallery)
    for number, (queries, members) in enumerate(pieces):
        own = layout.queries[queries]
        others = [slice(0, members.start), slice(members.stop, examples)]
        if layout.of_one_set:
            # Products of two pieces serve the queries of both.
            for other, other_rows in pieces[number + 1 :]:
                products = layout.gallery[members] @ layout.queries[other].T
                counts.add(products, members, other)
                counts.add(products.T, other_rows, queries)
            others = [slice(0, first), slice(first + count, examples)]
        for part in others:
            for start in range(part.start, part.stop, _ROWS):
                rows = slice(start, min(start + _ROWS, part.stop))
                counts.add(layout.gallery[rows] @ own.T, rows, queries)
        if not layout.of_one_set:
            yield counts.ranks(queries)
    if layout.of_one_set:
        for queries, _ in pieces:
            yield counts.ranks(queries)


def _pieces(layout: _Layout, count: int) -> Iterator[tuple[slice, slice]]:
    """Slices of queries with the slices of the gallery that hold all of their matches."""
    start = 0
    while start < count:
        lowest = layout.starts[start]
        # Whole classes, as many as fit, and at least one.
        stop = np.searchsorted(layout.stops[:count], lowest + _ROWS, "right")
        stop = max(stop, np.searchsorted(layout.stops[:count], layout.stops[start], "right"))
        members = slice(int(lowest), int(layout.stops[stop - 1]))
        for begin in range(start, stop, _ROWS):
            yield slice(begin, min(begin + _ROWS, int(stop))), members
        start = int(stop)


class _Counts:
    """For each match of each query, how many gallery rows are above it."""

    def __init__(self, layout: _Layout, count: int) -> None:
        most = int(layout.matches[count - 1])
        self.layout = layout
        dtype = layout.gallery.dtype
        self.thresholds = np.full((most, count), np.inf, dtype)
        self.places = np.zeros((most, count), np.int32)
        self.above = np.zeros((most, count), np.int32)
        self.rows = layout.gallery_rows.astype(np.int32)
        self.marks = np.empty((_TILE_ROWS, _TILE_COLUMNS), bool)

    def begin(self, queries: slice, members: slice) -> None:
        """Read the similarity of each match, and count the rows of these classes."""
        layout = self.layout
        products = layout.gallery[members] @ layout.queries[queries].T
        found = layout.similarities(products, members)
        numbers = np.arange(queries.start, queries.stop)
        columns = numbers - queries.start
        own = numbers + layout.first - members.start
        matches, starts = layout.matches[queries], layout.starts[queries] - members.start
        for match in range(int(matches[-1])):
            has = slice(int(np.searchsorted(matches, match, "right")), None)
            row = starts[has] + match
            if layout.of_one_set:
                row += row >= own[has]
            self.thresholds[match, queries][has] = found[row, columns[has]]
            self.places[match, queries][has] = self.rows[members][row]
        if layout.of_one_set:
            found[own, columns] = -np.inf
        self._add(found, members, queries)

    def add(self, products: np.ndarray, rows: slice, queries: slice) -> None:
        """Count the rows of a part of the gallery, of products (gallery rows, queries)."""
        self._add(products, rows, queries, self.layout.squares is not None)

    def _add(self, values, rows, queries, convert=False):
        for top in range(0, len(values), _TILE_ROWS):
            for left in range(0, values.shape[1], _TILE_COLUMNS):
                tile = values[top : top + _TILE_ROWS, left : left + _TILE_COLUMNS]
                start = rows.start + top
                inside = slice(start, start + len(tile))
                tile = np.ascontiguousarray(tile)
                if convert:
                    tile = self.layout.similarities(tile, inside)
                start = queries.start + left
                self._add_tile(tile, self.rows[inside], slice(start, start + tile.shape[1]))

    def _add_tile(self, tile, rows, queries):
        matches = self.layout.matches[queries]
        for match in range(int(matches[-1])):
            # Queries are in the order of their matches: those that have so many stand behind.
            skipped = int(np.searchsorted(matches, match, "right"))
            columns = slice(queries.start + skipped, queries.stop)
            values, thresholds = tile[:, skipped:], self.thresholds[match, columns]
            marks = self.marks[: len(tile), : values.shape[1]]
            above = self.above[match, columns]
            np.greater(values, thresholds, out=marks)
            above += np.add.reduce(marks.view(np.uint8), axis=0, dtype=np.uint8)
            np.equal(values, thresholds, out=marks)
            if marks.any():
                marks &= rows[:, None] < self.places[match, columns]
                above += np.add.reduce(marks.view(np.uint8), axis=0, dtype=np.uint8)

    def ranks(self, queries: slice) -> Ranks:
        """Ranks of the matches of some queries, once all rows are counted."""
        matches = self.layout.matches[queries]
        slots = np.arange(matches[-1])[:, None]
        ranks = np.where(slots < matches, self.above[: len(slots), queries] + 1, NO_RANK)
        return self.layout.query_rows[queries], matches, np.sort(ranks, axis=0)


def _sorted(layout: _Layout) -> Iterator[Ranks]:
    """Ranks of queries with many matches: all that is as similar as the last match is sorted."""
    examples = len(layout.gallery)
    start = int(np.searchsorted(layout.matches, _COUNTED_MATCHES, "right"))
    step = max(1, _SORTED_BYTES // (layout.gallery.itemsize * examples))
    for begin in range(start, len(layout.queries), step):
        queries = slice(begin, min(begin + step, len(layout.queries)))
        products = layout.queries[queries] @ layout.gallery.T
        values = layout.similarities(products, slice(None), axis=1)
        matches = layout.matches[queries]
        ranks = np.full((len(values), matches[-1]), NO_RANK, np.int32)
        for row, similarities in enumerate(values):
            number = begin + row
            members = np.arange(layout.starts[number], layout.stops[number])
            if layout.of_one_set:
                own = layout.first + number
                members = members[members != own]
                similarities[own] = -np.inf
            ranks[row, : len(members)] = _sorted_ranks(similarities, members, layout.gallery_rows)
        yield layout.query_rows[queries], matches, ranks.T


def _sorted_ranks(
    similarities: np.ndarray, members: np.ndarray, gallery_rows: np.ndarray
) -> np.ndarray:
    """Ranks of some columns, ascending, from 1."""
    own = similarities[members]
    ascending = np.sort(similarities[similarities >= own.min()])
    right = np.searchsorted(ascending, own, "right")
    above = len(ascending) - right
    level = right - np.searchsorted(ascending, own, "left")
    for value in np.unique(own[level > 1]):
        # Equal ones stand as they do in the gallery.
        equal = np.sort(gallery_rows[similarities == value])
        tied = own == value
        above[tied] += np.searchsorted(equal, gallery_rows[members[tied]])
    return np.sort(above) + 1


def unit_or_zero_rows(rows: np.ndarray) -> np.ndarray:
    """Divide embeddings by their length; one without a direction stays zero.

    Args:
        rows: Embeddings `(images, dim)`.

    Returns:
        Rows of length 1 or 0.

    Example:
    ```python
    unit_or_zero_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))  # [[0.6, 0.8], [0.0, 0.0]]
    ```
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)
