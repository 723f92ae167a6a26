"""The public classes, with W&B's names; other packages do most of the work.

To understand this package, begin with `api`, which returns all other objects. Then read `runs`,
`run`, `projects`, `sweeps` and `artifacts`, and `lists`, the base classes of all lists. Only the
functions of `links` import when they are called, so that one public class can return objects of
another. `accelerate` replaces methods of the SDK by methods of runlake. `missing` has the error
texts for names of the SDK that runlake does not have. A new member of a run goes into the module of
`run` with its topic, a new list next to the class that it lists.
"""
