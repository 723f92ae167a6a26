"""W&B's names, thin: what users call, over the layers that do the work.

Read `api`, the way in; then `runs`, `run`, `projects`, `sweeps` and `artifacts`, which it leads to,
and `lists`, which all lists stand on. `links` holds the only late imports: where one object leads
to another. `accelerate` puts these classes in the place of the SDK's, and `missing` says what to
use in place of what is not here. A new member of a run goes into the module of `run` with its
topic, a new list next to what it lists.
"""
