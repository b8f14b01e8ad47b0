"""A gallery once it was embedded: what Retrieval searches and Embedding maps.

Everything here is made for 20,000 videos: what takes a pass over all of them is kept for a while,
and shared by all sessions.
"""

from dataclasses import replace

import streamlit as st

from dashboard.base import limits, links
from dashboard.base.arguments import Arguments
from dashboard.base.state import Chosen, plain, quote
from dashboard.services import embeddings, galleries, jobs, models
from dashboard.services.embeddings import Pool
from dashboard.services.galleries import Source
from dashboard.services.jobs import Job
from dashboard.services.models import Loaded, ModelChoice
from dashboard.widgets import controls, progress, shell
from dashboard.widgets.shell import Opened

# Key of the menu of the second model, and where its choice outlives the menu.
SECOND, KEPT_SECOND = "second_model", "second_model_kept"
FRESH_SECONDS = 30.0
LEAST_VIDEOS = 2


def choose_videos(opened: Opened) -> tuple[ModelChoice, str]:
    """Draw the menus of models and of galleries."""
    title = controls.choose_gallery(opened.link, opened.arguments)
    with st.container(width=220):
        model = controls.choose_model(opened.link, opened.models)
    if len(controls.galleries(opened.arguments)) > 1:
        with st.container(width=220):
            controls.more(opened.arguments)
    return model, title


def choose_second(opened: Opened, model: ModelChoice) -> ModelChoice | None:
    """Draw the menu of a second model that is shown beside the first; None for none."""
    choices = {choice.name: choice for choice in opened.models if choice.name != model.name}
    if not choices:
        return None
    given = opened.link.get("second")
    if given is not None and given not in choices:
        links.note(f"The link names the second model {quote(given)}, which is not here.")
        given = None
    # A widget's own state goes when the visitor goes to a page without it.
    kept = st.session_state.get(KEPT_SECOND, "")
    default = kept if kept in choices else ""
    links.take_option(SECOND, "the second model", given, ["", *choices], default)
    # In a popover the browser makes it when it is opened: it is to hear in each run what it holds.
    st.session_state[SECOND] = st.session_state[SECOND]
    with st.container(width=220):
        name = st.selectbox(
            "Compare with", ["", *choices], key=SECOND, format_func=lambda n: n or "no other model"
        )
    st.session_state[KEPT_SECOND] = name
    if not name:
        return None
    try:
        models.make_random(choices[name], opened.models)
    except ValueError as error:
        links.note(f"{error}.")
    return choices[name]


def open_gallery(title: str, arguments: Arguments) -> Source | None:
    """A gallery of videos, generated first if need be; None where it can't be shown, which is said.

    Args:
        title: One of :func:`dashboard.widgets.controls.galleries`.
        arguments: Of the app.
    """
    if title == galleries.GENERATED and not galleries.synthetic_is_complete(arguments):
        job = jobs.generate_synthetic(arguments)
        if not job.finished.is_set():
            slot = st.empty()
            with slot.container():
                draw_again = progress.draw(job, "synthetic", _generating)
            while not job.finished.wait(0.3):
                draw_again()
            slot.empty()

        def begin_anew() -> None:
            jobs.forget(jobs.synthetic_key(arguments))

        if not progress.is_done(job, "synthetic", _generating, "example videos", begin_anew, ""):
            return None
    try:
        source = galleries.open_source(title, arguments)
    except ValueError as error:
        shell.show_error(f"{title} can't be shown: {error}")
        return None
    over = source.passed_over and f"{source.passed_over[0].upper()}{source.passed_over[1:]}."
    for said in filter(None, (limits.sentence_of_links(source.root, source.skipped), over)):
        st.caption(plain(said))
    return source


def _generating(job: Job) -> str:
    return f"Generating the example videos, {job.done} of {job.total}. This happens once."


# For a while: whether a file has changed takes a look at each of them.
@st.cache_resource(
    ttl=FRESH_SECONDS, max_entries=4, show_spinner=False, hash_funcs=embeddings.HASHES
)
def _begun(source: Source, loaded: Loaded) -> tuple[str, Job]:
    return embeddings.embed(source, loaded)


@st.cache_resource(max_entries=4, show_spinner=False, hash_funcs=embeddings.HASHES)
def _pooled(key: str, source: Source) -> Pool:
    found = embeddings.embedded(key)
    known = {video.path: video for video in source.videos}
    if not set(found.paths) <= set(known):
        raise ValueError("the gallery's videos are no longer those that were embedded")
    videos = tuple(known[path] for path in found.paths)
    return Pool(
        key=key,
        gallery=replace(found, labels=tuple(video.label for video in videos)),
        videos=videos,
        places={video.name: n for n, video in enumerate(videos)},
        skipped={
            known[path].name: reason.removeprefix(f"{path}: ")
            for path, reason in found.skipped
            if path in known
        },
        columns=embeddings.label_columns(videos),
        serial=source.serial,
    )


def embed_pool(model: ModelChoice, source: Source, key: str = "pool") -> tuple[Pool, Loaded] | None:
    """A gallery embedded by a model; None where it is not there yet or can't be, which is said.

    Args:
        model: What embeds it.
        source: The gallery.
        key: Tells its widgets from those of another model.
    """
    if len(source.videos) < LEAST_VIDEOS:
        st.info(
            f"This gallery holds {len(source.videos)} video: at least {LEAST_VIDEOS} are needed "
            "for one to be near another. Choose another gallery, or start the dashboard with "
            "`-- --videos DIR`.",
            icon=":material/info:",
        )
        return None
    made = ""
    try:
        with st.spinner("Loading the model", show_time=False):
            loaded = models.load(model)
        made, job = _begun(source, loaded)
        if not progress.is_done(
            job,
            key,
            progress.of_gallery,
            "videos",
            lambda: _begin_anew(made),
            "The gallery can't be embedded",
        ):
            return None
        pool = _pooled(made, source)
    except ValueError as error:
        shell.show_error(error)
        if st.button("Try again", key=f"{key}_reload"):
            _begin_anew(made)
            st.rerun()
        return None
    if len(pool.videos) < LEAST_VIDEOS:
        st.info(
            f"Only {len(pool.videos)} of the {len(source.videos)} videos can be used with this "
            f"model: at least {LEAST_VIDEOS} are needed. {plain(skipped(pool))}",
            icon=":material/info:",
        )
        return None
    return pool, loaded


def _begin_anew(key: str) -> None:
    jobs.forget(("gallery", key))
    _begun.clear()


def skipped(pool: Pool) -> str:
    """A sentence about videos that could not be embedded; nothing if all were."""
    return limits.sentence_of_skipped(list(pool.skipped.items()))


def choose_video(pool: Pool, what: str, given: str | None, default: str) -> Chosen[str]:
    """Take a link's video if it is in the gallery.

    Args:
        pool: The gallery.
        what: Noun for the sentence: ``the query``.
        given: What the link says, None if nothing.
        default: Name of the video to show otherwise; empty for none.
    """
    if given is None or given in pool.places:
        return Chosen(given or default)
    why = (
        f"can't be used: {plain(pool.skipped[given])}"
        if given in pool.skipped
        else "is not in the gallery"
    )
    instead = f"this is {quote(default)}" if default else "none is selected"
    return Chosen(default, f"The link names {what} {quote(given)}, which {why}; {instead}.")
