#!/usr/bin/env python3
"""Looks at histories of benchmarks for regressd: trends, seasons, anomalies.

Reads a request a line from standard input, writes an answer a line to standard output, as docs/analytics.md says.
Needs Python 3.9 and numpy, nothing else:

    [analytics]
    command = ["python3", "regressd_analytics.py"]
"""

import json
import math
import sys

import numpy as np

MIN_VALUES = 8
# Pairs are all taken into account up to here; beyond, the newest values speak.
MAX_VALUES = 500


def trend(values):
    """Theil and Sen's slope with Mann and Kendall's test: (score 0..1, drift over the series in percent)."""
    n = len(values)
    earlier, later = np.triu_indices(n, 1)
    steps = values[later] - values[earlier]
    slope = np.median(steps / (later - earlier))
    s = np.sign(steps).sum()
    _, ties = np.unique(values, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    level = np.median(values)
    if variance <= 0 or level == 0:
        return 0.0, 0.0
    z = (abs(s) - 1) / math.sqrt(variance) if s else 0.0
    p = math.erfc(max(z, 0.0) / math.sqrt(2))
    return 1.0 - p, 100.0 * slope * (n - 1) / abs(level)


def season(values):
    """The strongest period: (score 0..1, period in runs). The score is the autocorrelation beyond what chance gives."""
    n = len(values)
    index = np.arange(n)
    rest = values - np.polyval(np.polyfit(index, values, 1), index)
    # Cut outliers: one must not drown a rhythm, nor two of them make one.
    rest = rest - np.median(rest)
    reach = 6.0 * np.median(np.abs(rest))
    rest = np.clip(rest, -reach, reach)
    rest = rest - rest.mean()
    power = float(rest @ rest)
    if power <= 0 or n < 24:
        return 0.0, 0
    lags = range(2, n // 3 + 1)
    correlations = np.array([float(rest[:-lag] @ rest[lag:]) / power * n / (n - lag) for lag in lags])
    # A slow drift is alike at every short lag; a period is a peak that its neighbours are not.
    peaks = [
        i
        for i in range(1, len(correlations) - 1)
        if correlations[i] >= correlations[i - 1] and correlations[i] > correlations[i + 1]
    ]
    if not peaks:
        return 0.0, 0
    best = max(correlations[i] for i in peaks)
    if best <= 0:
        return 0.0, 0
    # Twice the period fits as well as the period: take the shortest of the good ones.
    at = next(i for i in peaks if correlations[i] >= 0.8 * best)
    # How far it stands out from the lags that are no period.
    chance = 2.5 / math.sqrt(n)
    score = (correlations[at] - max(np.median(correlations), 0.0) - chance) / (1.0 - chance)
    return float(min(max(score, 0.0), 1.0)), lags[at]


def anomaly(values, current):
    """How far the value lies from the level of the newest values: (score 0..1, distance in robust deviations)."""
    recent = values[-30:]
    centre = np.median(recent)
    spread = 1.4826 * np.median(np.abs(recent - centre))
    # Below a tenth of a percent every clock is noise.
    spread = max(spread, 0.001 * abs(centre), 1e-300)
    distance = (current - centre) / spread
    return 1.0 - math.exp(-max(abs(distance) - 3.0, 0.0) / 3.0), distance


def findings_of(series):
    """What is worth saying about one series."""
    values = np.array(series["history"][-MAX_VALUES:], dtype=float)
    values = values[np.isfinite(values)]
    if len(values) < MIN_VALUES:
        return []
    name, found = series["name"], []
    smaller = series.get("direction") != "bigger-is-better"

    score, drift = trend(values)
    if score > 0.99 and abs(drift) >= 2.0:
        way = "worse" if (drift > 0) == smaller else "better"
        text = f"drifts by {drift:+.1f} % over the last {len(values)} runs, for the {way}"
        found.append(finding(name, "trend", score, text))

    score, period = season(values)
    if score > 0.25:
        text = f"repeats itself every {period} runs (strength {score:.2f}): look at what else runs then"
        found.append(finding(name, "season", score, text))

    current = series.get("current")
    if current is not None and math.isfinite(current):
        score, distance = anomaly(values, float(current))
        if score > 0.6:
            text = f"lies {abs(distance):.1f} usual deviations {'above' if distance > 0 else 'below'} its recent level"
            found.append(finding(name, "anomaly", score, text))
    return found


def finding(series, kind, score, text):
    return {"series": series, "kind": kind, "score": round(float(score), 4), "text": text}


def answer(request):
    """The answer to a request; a series that cannot be used is passed over."""
    found = []
    for series in request.get("series", []):
        try:
            found += findings_of(series)
        except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
            print(f"{series.get('name') if isinstance(series, dict) else series!r}: {error}", file=sys.stderr)
    return {"id": request["id"], "findings": found}


def main():
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line)), allow_nan=False), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        pass
