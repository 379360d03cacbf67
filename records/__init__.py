"""The ground floor: what the three records say, what a verdict is, and which errors there are.

Everything here is a value or a function of values. It imports the standard library and pydantic, nothing else.
"""
