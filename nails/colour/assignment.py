"""Optimal one-to-one assignment of rows to columns (the Hungarian method), for small matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.floating[Any]]) -> list[int]:
    """The column of each row of `cost` [n,m], n <= m, all different, so that the sum is least.

    Shortest augmenting paths with row and column prices, O(n^2 m). Deterministic: equal sums resolve to the
    lower column first met. Raises ValueError for n > m or costs that are not finite.
    """
    matrix = np.asarray(cost, np.float64)
    rows, columns = matrix.shape
    if rows > columns or not np.isfinite(matrix).all():
        raise ValueError("assign needs finite costs and at least as many columns as rows")
    row_price, column_price = np.zeros(rows + 1), np.zeros(columns + 1)
    # Index 0 is a helper row and column; real ones start at 1.
    owner = np.zeros(columns + 1, np.int64)
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        best, came_from = np.full(columns + 1, np.inf), np.zeros(columns + 1, np.int64)
        used = np.zeros(columns + 1, bool)
        while owner[column]:
            used[column] = True
            current = int(owner[column])
            reduced = matrix[current - 1] - row_price[current] - column_price[1:]
            better = ~used[1:] & (reduced < best[1:])
            best[1:][better] = reduced[better]
            came_from[1:][better] = column
            nearest = int(np.where(used, np.inf, best)[1:].argmin()) + 1
            step = best[nearest]
            row_price[owner[used]] += step
            column_price[used] -= step
            best[~used] -= step
            column = nearest
        while column:
            previous = int(came_from[column])
            owner[column] = owner[previous]
            column = previous
    result = [0] * rows
    for column in range(1, columns + 1):
        if owner[column]:
            result[int(owner[column]) - 1] = column - 1
    return result
