"""What the tests of TIC frames share."""

from firmware.sensing.tic import house_facts


def facts_or_none(frame, subscribed=None, feeds_in=False):
    """`house_facts`, and None for a frame that it refuses."""
    try:
        return house_facts(frame, subscribed, feeds_in)
    except ValueError:
        return None
