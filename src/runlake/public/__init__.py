"""The public classes, with W&B's names: a thin layer over the modules that do the work.

Start with `api`, which returns all other objects; then `runs`, `run`, `projects`, `sweeps` and
`artifacts`; then `lists`, the base classes of all lists. `links` holds the only late imports: those
by which one class returns objects of another. `accelerate` replaces methods of the SDK by those of
runlake, and `missing` has the error texts for names of the SDK that runlake lacks. A new member of
a run goes into the module of `run` with its topic, a new list next to the class that it lists.
"""
