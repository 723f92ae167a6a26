"""When the next request may go: what is known of a rate limit, and how it changes (pure).

Turns are handed out at even distance, one per request, so that whoever waits knows how long. A rate
that nobody named is found as TCP finds one: halved when the backend complains, then raised bit by
bit until it does again.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace

from runlake.backend.http.rate_headers import RateHeaders
from runlake.backend.http.statuses import TOO_MANY_REQUESTS

# Turns keep this share of the rate, so that jitter on the way does not bunch them beyond it.
SLACK = 0.9
FIRST_GUESS = 5.0
LEAST_RATE = 0.1
CUT_SECONDS = 1.0
FORGET_SECONDS = 300.0
MAX_BLOCK_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What is known of one limit; every moment is on the same clock, in seconds.

    Parameters
    ----------
    written_at : float
        When this was noted.
    next_at : float
        The first turn that nobody took.
    heard_at : float
        When the backend last spoke of a limit; some minutes later it is forgotten.
    told : float or None
        Requests per second by the backend's headers.
    guess : float or None
        Requests per second after the last complaint, as of ``cut_at``.
    cut_at : float
        When the backend last complained; requests of before do not count again.
    window : float
        Longest window seen, in seconds; 0 for none.
    epoch : int
        Moves when all turns that wait become void.
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
        """Return what still holds at a moment.

        A note from the future means that a clock was set back, or that another machine's runs
        ahead; distances in it are kept, so that nobody waits for the clocks to meet.
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
        """Return requests per second at a moment; None for no limit."""
        rates = []
        if self.told is not None:
            rates.append(self.told)
        if self.guess is not None:
            rates.append(self.guess + max(1.0, self.guess / 20) * max(0.0, now - self.cut_at))
        return min(rates, default=None)

    @property
    def is_blank(self) -> bool:
        """Nothing is known that would hold a request up."""
        return self.told is None and self.guess is None and self.next_at <= self.written_at


def reserve(rate: Rate, now: float, own: float | None) -> tuple[Rate, float]:
    """Take the next turn.

    Parameters
    ----------
    rate : Rate
        What is known.
    now : float
        This moment.
    own : float or None
        Requests per second by the user's setting.

    Returns
    -------
    tuple of Rate and float
        What is known then, and the moment of the turn: now or later.
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
    """Take note of an answer.

    Parameters
    ----------
    rate : Rate
        What was known.
    now : float
        This moment.
    turn : float
        When the request was sent.
    status : int
        HTTP status of the answer.
    told : RateHeaders or None
        What its headers say.
    observed : float
        Requests per second that this process sent of late: the guess for a limit without a number.
    max_pause : float
        Seconds that the answer may hold everybody up, whatever it asks for.

    Returns
    -------
    Rate
        What is known now.
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
    # What was under way when the rate was cut says nothing about the new one.
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
        # The complaint itself names the limit that nobody knew of; that is all there is to learn.
        return replace(rate, cut_at=now)
    return replace(rate, guess=guess, cut_at=now)


def encode(rate: Rate) -> bytes:
    """Write a note as JSON; nothing at all where nothing is known."""
    if rate.is_blank:
        return b""
    facts = {name: fact for name, fact in asdict(rate).items() if fact not in {None, -math.inf}}
    return json.dumps(facts, separators=(",", ":")).encode()


def decode(text: bytes, now: float) -> Rate:
    """Read a note; blank where there is none, or one that cannot be read."""
    try:
        facts = {name: _finite(fact) for name, fact in json.loads(text).items()}
        epoch = int(facts.pop("epoch", 0))
        rate = Rate(**facts, epoch=epoch)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return Rate(now)
    is_sane = all(limit is None or limit >= LEAST_RATE / 2 for limit in (rate.told, rate.guess))
    return rate if is_sane else Rate(now)


def _finite(fact: object) -> float:
    if isinstance(fact, bool) or not isinstance(fact, (int, float)) or not math.isfinite(fact):
        raise ValueError(f"{fact!r} is no number")
    return float(fact)
