"""Healing: the worker that takes a job from the queue, and the levers by which a person has a say in it.

``messages`` refuses what names no job; ``judging`` and ``resuming`` say what follows from what is there now; ``approvals``
which of a person's words count; ``worker`` takes the steps, each of them in the ledger (``entry``) before it is taken;
``draining`` does it to a whole queue. ``levers`` are pause and resume, approve, reject and retry; ``waiting`` is what they are
pulled for: the holds.
"""
