"""Plan checks spread over many machines by Durable Functions, in the lanes of `lanes`.

``starting`` starts a run when the timer fires and none is in work; ``functions`` names the orchestrators and activities, which
are ``planning`` (which stacks there are), ``checking`` (one stack) and ``finishing`` (what follows for each). The door,
``function_app.py``, binds them.
"""
