"""A reconciliation spread over many machines by Durable Functions: what is due, what is to do, and what came of it.

``schedule`` and ``identity`` say when a run is due and what it is called, ``starting`` starts it once. It is dealt to `lanes`:
``functions`` says what its functions are called, and ``planning``, ``checking`` and ``finishing`` are its activities.
``asking`` and ``answers`` are what HTTP asks and gets. The door, ``function_app.py``, binds them.
"""
