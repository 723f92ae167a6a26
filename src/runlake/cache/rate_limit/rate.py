"""The state of a rate limit, and the functions that decide when the next request may be sent.

The functions do no I/O. Turns are handed out at equal intervals, one per request, so a request
knows immediately how long it has to wait. If the backend does not state its limit, the rate is
found as in TCP congestion control: the rate is halved at each HTTP 429 (a complaint), and then
increased slowly until the next 429.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace

from runlake.backend.http.rate_headers import RateHeaders
from runlake.backend.http.statuses import TOO_MANY_REQUESTS

# Turns use only this share of the rate, because the network may deliver requests in bursts.
SLACK = 0.9
FIRST_GUESS = 5.0  # lowest first guess, in requests per second
LEAST_RATE = 0.1  # lowest rate, in requests per second, even if a backend states less
CUT_SECONDS = 1.0  # complaints within this time cut the rate only once
FORGET_SECONDS = 300.0  # a limit that was not reported for this time is forgotten
MAX_BLOCK_SECONDS = 600.0  # longest pause, even if ``Retry-After`` is longer


@dataclass(frozen=True, slots=True)
class Rate:
    """The state of one rate limit; all times are in seconds on one clock.

    Parameters
    ----------
    written_at : float
        When this state was written.
    next_at : float
        Time of the first free turn.
    heard_at : float
        When the backend last reported a limit. The limit is forgotten `FORGET_SECONDS` later.
    told : float or None
        Requests per second according to the backend's headers.
    guess : float or None
        Requests per second that were allowed right after the last complaint, at ``cut_at``.
    cut_at : float
        Time of the last complaint; complaints about requests sent before this time are ignored.
    window : float
        Length of the longest window that was reported, in seconds; 0 without a report.
    epoch : int
        A number that is increased when all turns that are not used yet become invalid.
    """

    written_at: float
    next_at: float = -math.inf
    heard_at: float = -math.inf
    told: float | None = None
    guess: float | None = None
    cut_at: float = -math.inf
    window: float = 0.0
    epoch: int = 0

    def as_of(self, now: float) -> Rate:
        """Return the state at time ``now``, without an outdated limit.

        If ``written_at`` is in the future, a clock was set back, or another machine's clock is
        fast. Then all times are shifted back, so that no request waits for the clocks to agree.
        """
        shift = min(0.0, now - self.written_at)
        moved = replace(
            self,
            written_at=now,
            next_at=self.next_at + shift,
            heard_at=self.heard_at + shift,
            cut_at=self.cut_at + shift,
        )
        if now - moved.heard_at > FORGET_SECONDS:
            return Rate(now, moved.next_at, epoch=moved.epoch)
        return moved

    def allows(self, now: float) -> float | None:
        """Return the allowed requests per second at time ``now``; None for no limit."""
        rates = []
        if self.told is not None:
            rates.append(self.told)
        if self.guess is not None:
            rates.append(self.guess + max(1.0, self.guess / 20) * max(0.0, now - self.cut_at))
        return min(rates, default=None)

    @property
    def is_blank(self) -> bool:
        """True if no limit is known and no turn is reserved in the future."""
        return self.told is None and self.guess is None and self.next_at <= self.written_at


def reserve(rate: Rate, now: float, own: float | None) -> tuple[Rate, float]:
    """Take the next turn: decide when the next request may be sent.

    Parameters
    ----------
    rate : Rate
        The state before.
    now : float
        Current time.
    own : float or None
        The user's setting ``requests_per_second``.

    Returns
    -------
    tuple of Rate and float
        The new state, and the time of the turn: now or later.
    """
    rate = rate.as_of(now)
    turn = max(now, rate.next_at)
    limits = [limit for limit in (own, rate.allows(turn)) if limit is not None]
    distance = 1 / (min(limits) * SLACK) if limits else 0.0
    return replace(rate, next_at=turn + distance), turn


def learn(
    rate: Rate,
    now: float,
    turn: float,
    status: int,
    told: RateHeaders | None,
    observed: float,
    max_pause: float = MAX_BLOCK_SECONDS,
) -> Rate:
    """Return the state of the rate limit after a response.

    Parameters
    ----------
    rate : Rate
        The state before.
    now : float
        Current time.
    turn : float
        When the request was sent.
    status : int
        HTTP status of the response.
    told : RateHeaders or None
        Rate limit in the response's headers.
    observed : float
        Requests that this process sent in the last second. If the backend complains without stating
        a limit, the first guess is half of this number, but at least `FIRST_GUESS`.
    max_pause : float
        Longest pause in seconds for all processes, even if the response requests a longer one.
    """
    rate = rate.as_of(now)
    told = told or RateHeaders()
    is_complaint = status == TOO_MANY_REQUESTS
    was_known = rate.allows(now) is not None
    if told.is_scarce or is_complaint:
        window = told.window or max(rate.window, told.reset or 0.0)
        rate = replace(rate, heard_at=now, window=window)
        if told.limit and window:
            rate = replace(rate, told=max(told.limit / window, LEAST_RATE))
    pause = told.reset if told.remaining == 0 else None
    # If the request was sent before the last cut, the complaint is not about the present rate.
    if is_complaint and turn >= rate.cut_at and now - rate.cut_at >= CUT_SECONDS:
        rate = _cut(rate, now, observed, was_known=was_known)
        pause = max(pause or 0.0, told.retry_after or 0.0, 1 / (rate.allows(now) or 1.0))
    if pause is None:
        return rate
    until = now + min(pause, max_pause, MAX_BLOCK_SECONDS)
    if until <= rate.next_at and not is_complaint:
        return rate
    return replace(rate, next_at=max(until, now), epoch=rate.epoch + 1)


def _cut(rate: Rate, now: float, observed: float, *, was_known: bool) -> Rate:
    allowed = rate.allows(now)
    if allowed is None:
        guess = max(FIRST_GUESS, observed / 2)
    elif was_known:
        guess = max(LEAST_RATE, allowed / 2)
    else:
        # This complaint was the first to state the limit: keep to it, without halving.
        return replace(rate, cut_at=now)
    return replace(rate, guess=guess, cut_at=now)


def encode(rate: Rate) -> bytes:
    """Return a state as JSON; ``b""`` if no limit is known and no turn is reserved."""
    if rate.is_blank:
        return b""
    facts = {name: fact for name, fact in asdict(rate).items() if fact not in {None, -math.inf}}
    return json.dumps(facts, separators=(",", ":")).encode()


def decode(text: bytes, now: float) -> Rate:
    """Parse the result of `encode`; return a state without a limit if it is empty or malformed."""
    try:
        facts = {name: _finite(fact) for name, fact in json.loads(text).items()}
        epoch = int(facts.pop("epoch", 0))
        rate = Rate(**facts, epoch=epoch)
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        return Rate(now)
    is_sane = all(limit is None or limit >= LEAST_RATE / 2 for limit in (rate.told, rate.guess))
    return rate if is_sane else Rate(now)


def _finite(fact: object) -> float:
    if isinstance(fact, bool) or not isinstance(fact, (int, float)) or not math.isfinite(fact):
        raise ValueError(f"{fact!r} is not a finite number")
    return float(fact)
