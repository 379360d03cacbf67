"""Puts adapters into the mechanisms, as the settings say: what the terminal and the Functions app both stand on.

It reads settings and names classes. What anything means is said where it is made.
"""
