"""Parts of a report, each kept as soon as it is there, so that a stopped report goes on."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rspnet.files import atomic_path

VERSION = 1  # raised whenever the same settings give other numbers


@dataclass(frozen=True)
class Store:
    """A folder of parts.

    Attributes:
        folder: Where they lie.
        model_hash: SHA-256 of the model that they are of.
    """

    folder: Path
    model_hash: str

    def part(self, key: str, settings: dict[str, Any], make: Callable[[], Any]) -> Any:
        """A part's plain JSON values: read if they are there, else made and written.

        A part that was made of another model or with other settings lies under another name.

        Args:
            key: Name of the part.
            settings: All that its numbers depend on, as plain JSON values.
            make: Gives the plain values.
        """
        about = {"version": VERSION, "model_hash": self.model_hash, "settings": settings}
        text = json.dumps(about, sort_keys=True)
        path = self.folder / f"{key}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
        try:
            stored = json.loads(path.read_text())
            if stored["about"] == json.loads(text):
                return stored["values"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there, or damaged: made anew
        values = make()
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps({"about": about, "values": values}, indent=1))
        # What is read later is what is used now.
        return json.loads(path.read_text())["values"]
