"""What a page keeps while one visitor is here: one typed object a page, in place of loose keys.

Streamlit's own state stays what widgets are bound to; it is filled by :mod:`dashboard.base.links`.
"""

from typing import TypeVar, cast

import streamlit as st

T = TypeVar("T")


def state_of(kind: type[T]) -> T:
    """This session's object of a class; made by the class itself when it is first needed.

    Args:
        kind: A class whose objects can be made without arguments. Its full name is the key, so
            that no two pages can write under the same one.

    Example:
        A dataclass beside the page declares what the page remembers:

        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Selected:
        ...     video: str = ""
        >>> state_of(Selected).video = "walk/a.mp4"
        >>> state_of(Selected).video
        'walk/a.mp4'
    """
    key = f"{kind.__module__}.{kind.__qualname__}"
    if key not in st.session_state:
        st.session_state[key] = kind()
    return cast(T, st.session_state[key])
