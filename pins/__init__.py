"""Module pins: how firmly each module call of an estate is pinned. Pure: values in, values out."""
