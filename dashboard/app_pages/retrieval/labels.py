"""Where labels come from, and what makes a hit correct by them: said wherever they are shown."""

from typing import TYPE_CHECKING

from dashboard.services import galleries, uploads
from dashboard.services.embeddings import Pool
from dashboard.services.galleries import Video
from dashboard.widgets import cards

if TYPE_CHECKING:
    from rspnet.retrieval.gallery import Gallery

NO_FOLDERS = (
    "Labels are the names of the folders that videos lie in. These lie in none, so they have no "
    "labels, and no hit is counted as correct or incorrect. Put the videos of each class into a "
    "folder of its own to have that counted."
)
NO_TABLE = "These videos have no labels, so there are no correct hits to count."
ONE_CLASS = (
    "All these videos have one label, so any hit would count as correct, whatever the model. Put "
    "the videos of each class into a folder of its own."
)


def judge(feature: str, query: Video, video: Video) -> tuple[bool | None, str]:
    """Whether a hit is correct by what a feature should know, and by what of it.

    A-VID should know appearance, so a hit of it is correct if it shares the actor, the set or the
    prop, where these are known. All else is judged by the label.

    Returns:
        None where nothing is known to judge by; and what the hit has in common, in words.

    Example:
        >>> from pathlib import Path
        >>> a = Video(Path("a"), "a", "walk", "a", (("actor", "3"), ("set", "8")))
        >>> b = Video(Path("b"), "b", "jump", "b", (("actor", "3"), ("set", "9")))
        >>> judge("avid", a, b), judge("rsp", a, b)
        ((True, 'same actor'), (False, 'jump'))
    """
    if feature == "avid" and query.appearance and video.appearance:
        common = [name for name, value in query.appearance if (name, value) in video.appearance]
        words = f"same {' and '.join(common)}" if common else "nothing in common"
        return bool(common), words
    if not query.label:
        return None, cards.label_of(video)
    return video.label == query.label, cards.label_of(video)


def sentence(pool: Pool, title: str, query: Video) -> str:
    """What makes a hit of a query correct, and where its label comes from.

    Args:
        pool: What is searched.
        title: Of the gallery.
        query: The query.
    """
    if title == galleries.GENERATED and query.label:
        return (
            "Correct by RSP and by the backbone: a hit shows the query's action. Correct by A-VID: "
            "it shows the query's actor, set or prop. All are known: the videos are synthetic."
        )
    if not any(video.label for video in pool.videos):
        return NO_FOLDERS
    if uploads.is_upload(query):
        return (
            "Your upload has no label, so no hit counts as correct or incorrect. Labels of the "
            "others are the names of the folders that they lie in."
        )
    if not query.label:
        return (
            "The query lies in no folder of a class, so it has no label, and no hit counts as "
            "correct or incorrect."
        )
    return (
        "Correct: a hit lies in a folder of the same name as the query, for labels are the names "
        "of folders. Nothing else is known of what the videos show."
    )


def labelled(gallery: "Gallery") -> "Gallery":
    """The videos of a gallery that have a label; the gallery itself if all do."""
    rows = [n for n, label in enumerate(gallery.labels) if label]
    return gallery if len(rows) == len(gallery) else gallery.take(rows)
