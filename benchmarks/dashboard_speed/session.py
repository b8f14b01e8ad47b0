"""A visitor without a browser: the dashboard's websocket, as the page speaks it."""

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect
from websockets.typing import Origin

PATIENCE = 120.0


@dataclass
class Session:
    """One visitor's session; what is drawn of each run of the page is in ``elements``.

    Attributes:
        address: Of the server, ``http://localhost:PORT``.
        page: Name of the page.
        elements: Elements of the last run, as Streamlit's messages.
        widgets: Values of widgets by the end of their identifier, sent with every run.
        part: The first part of the page that can be drawn alone.
        known: Messages that the server need not send again, as a browser keeps them.

    Example:
        ``with Session("http://localhost:8501", "compare") as visitor: visitor.run()``.
    """

    address: str
    page: str = ""
    query: str = ""
    elements: list[Any] = field(default_factory=list)
    widgets: dict[str, WidgetState] = field(default_factory=dict)
    part: str = ""
    known: dict[str, ForwardMsg] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._connection = connect(
            self.address.replace("http", "ws", 1) + "/_stcore/stream",
            max_size=None,
            open_timeout=PATIENCE,
            ping_timeout=None,
            origin=Origin(self.address),
        )
        self._socket = self._connection.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.__exit__(kind, error, trace)

    def send(self, part: str = "") -> None:
        """Ask for a run of the page, or of a part of it, without waiting for it."""
        self.part = part
        message = BackMsg()
        message.rerun_script.fragment_id = part
        message.rerun_script.query_string = self.query
        message.rerun_script.page_name = self.page
        message.rerun_script.cached_message_hashes.extend(self.known)
        message.rerun_script.widget_states.widgets.extend(self.widgets.values())
        self._socket.send(message.SerializeToString())

    def run(self, patience: float = PATIENCE) -> float:
        """Draw the page; seconds until its script has ended."""
        begun = time.perf_counter()
        self.send()
        self.wait(patience)
        return time.perf_counter() - begun

    def run_part(self, patience: float = PATIENCE) -> float:
        """Draw anew the part of the page that is drawn alone, as a move of the scrubber does."""
        begun = time.perf_counter()
        self.send(self.part)
        self.wait(patience)
        return time.perf_counter() - begun

    def wait(self, patience: float = PATIENCE) -> None:
        """Wait until the run under way has ended.

        Raises:
            TimeoutError: It has not within so many seconds.
        """
        deadline = time.monotonic() + patience
        self.elements = []
        while True:
            data = self._socket.recv(timeout=max(0.0, deadline - time.monotonic()))
            message = ForwardMsg.FromString(data)
            if message.metadata.cacheable:
                self.known[message.hash] = message
            if message.HasField("ref_hash"):  # what was sent before is not sent again
                message = self.known[message.ref_hash]
            self.part = self.part or message.delta.fragment_id
            if message.HasField("delta") and message.delta.HasField("new_element"):
                self.elements.append(message.delta.new_element)
            if message.HasField("script_finished"):
                if message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    return
                self.elements = []

    def texts(self, kind: str) -> list[str]:
        """Bodies of the elements of a kind, such as ``html``, ``alert`` or ``markdown``."""
        return [
            str(getattr(element, kind).body)
            for element in self.elements
            if element.WhichOneof("type") == kind
        ]

    def set(self, key: str, **value: Any) -> None:
        """Give a drawn widget a value, such as ``int_value=3``, for the runs to come.

        Args:
            key: Of the widget.
            **value: The field of Streamlit's message.

        Raises:
            ValueError: No such widget was drawn.
        """
        for element in self.elements:
            name = element.WhichOneof("type")
            identity = getattr(getattr(element, name), "id", "") if name else ""
            if identity.endswith(f"-{key}"):
                self.widgets[key] = WidgetState(id=identity, **value)
                return
        raise ValueError(f"no widget {key} was drawn")
