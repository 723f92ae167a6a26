"""The public classes, with W&B's names; other packages do most of the work.

To understand this package, begin with `api`, which returns all other objects. Then read `runs`,
`run`, `projects`, `sweeps` and `artifacts`, and `lists`, the base classes of all lists. `links`
has the functions whose imports would be circular at the top of a module. `accelerate` replaces
methods of the SDK by methods of runlake. `missing` has the error messages for names of the SDK that
runlake does not have. A new method of a run goes into the module of `run` that has its topic, and a
new list next to the class of its objects.
"""
