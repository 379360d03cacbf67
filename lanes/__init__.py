"""A run over a whole estate, spread over many machines: what `reconcile` and `drift` have in common, and no more.

A run has items, each known by a name: a market for the one mechanism, a stack of a market for the other. ``listing`` says what
there is, ``dealing`` deals the names to lanes and each lane's to pages, ``planning`` keeps that in a table and reads it again.
The orchestrators of ``orchestration`` carry it out with the messages of ``messages``: each lane takes its items one after
another, and those that a fault of a moment has cost their outcome once more, and once again. ``activities`` is what a door
binds behind them. ``failing`` and ``retention`` end a run that came to nothing and forget one that is old; what a run came to
is for its mechanism to say. ``side_by_side`` is the same in one process, as the terminal runs it. Why lanes: ADR 0006; why
here: ADR 0014.
"""
