"""Since when a state has had its present content.

A state blob's Last-Modified is only the latest moment at which its content can have changed: every locked plan writes the
lock to the blob's metadata and moves it. Content-MD5 stays, so any earlier sighting of the same MD5 is better evidence.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from records.readings import BlobFacts, ContentSighting

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def content_known_since(blob: BlobFacts, sightings: Iterable[ContentSighting]) -> datetime:
    """The earliest moment at which this content is known to have been there, without a break, until now.

    Only what was seen after the last sighting of other content counts: what was restored yesterday has been there since
    yesterday, though it was there last month too. A file on disk can bear an older time than that; it is not believed.
    """
    if blob.content_md5 is None:
        return blob.last_modified
    seen = list(sightings)
    last_other = max((one.at for one in seen if one.content_md5 != blob.content_md5), default=_NEVER)
    same = (one.at for one in seen if one.content_md5 == blob.content_md5 and one.at > last_other)
    return max(last_other, min([blob.last_modified, *same]))
