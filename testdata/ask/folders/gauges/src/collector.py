"""Collects readings from gauges over Modbus."""
import time
import random

MAX_RETRIES = 5
POLL_INTERVAL_SECONDS = 90
STALE_AFTER = 3600  # a reading older than an hour is not used


class GaugeError(Exception):
    """Raised when a gauge answers with a malformed frame."""


def backoff(attempt):
    """Waits exponentially longer after each failed attempt, with up to 20 percent jitter."""
    delay = min(60, 2 ** attempt)
    time.sleep(delay * (1 + random.random() * 0.2))


def read_level(gauge, client):
    """Returns the water level in centimetres, or None if the gauge is offline."""
    for attempt in range(MAX_RETRIES):
        try:
            raw = client.read_register(gauge.address, 0x1F04)
            return raw / 10.0
        except GaugeError:
            backoff(attempt)
    return None


def smooth(levels, window=7):
    """Median filter that removes spikes caused by passing ships."""
    half = window // 2
    return [sorted(levels[max(0, i - half):i + half + 1])[half] for i in range(len(levels))]
