"""A reconciliation spread over many machines by Durable Functions: what is due, what is to do, and what came of it.

``schedule`` and ``identity`` say when a run is due and what it is called, ``starting`` starts it once. The orchestrators in
``orchestration`` yield and nothing else; ``planning``, ``checking`` and ``finishing`` are the activities that they call, with
the messages of ``messages``. ``asking`` and ``answers`` are what HTTP asks and gets. The door, ``function_app.py``, binds them.
"""
