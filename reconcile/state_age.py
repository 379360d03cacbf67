"""Since when a state has had its present content.

A state blob's Last-Modified is only the latest moment at which its content can have changed: every locked plan writes the
lock to the blob's metadata and moves it. Content-MD5 stays, so any earlier sighting of the same MD5 is better evidence.
"""

from collections.abc import Iterable
from datetime import datetime

from records.readings import BlobFacts, ContentSighting


def content_known_since(blob: BlobFacts, sightings: Iterable[ContentSighting]) -> datetime:
    """The earliest moment at which this content is known to have been there, without a break, until now.

    A sighting of other content ends the search: what was restored yesterday has been there since yesterday, though it was
    there last month too.
    """
    since = blob.last_modified
    if blob.content_md5 is None:
        return since
    for sighting in sorted(sightings, key=lambda sighting: sighting.at, reverse=True):
        if sighting.content_md5 != blob.content_md5:
            if sighting.at < since:
                break
            continue
        since = min(since, sighting.at)
    return since
