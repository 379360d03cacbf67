"""Writing the records: what a pipeline calls after every deploy, and the ways into the records and out of disagreements.

Decisions are functions of values (`trackers`, `entries`, `corrections`, `placing`); the commands gather, decide and write.
"""
