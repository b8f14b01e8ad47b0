"""From the words of a command line to an exit status.

0: done. 1: done in part, or a run that failed in itself. 2: a mistake of the user. 130: stopped
with Ctrl-C. 143: a training stopped by a signal with its state saved. Failures and mistakes are
said in one sentence that begins with ``error:``; a traceback is a fault in the program.
"""

import difflib
import errno
import io
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from rspnet.commands.settings import help_text, parse_config, to_plain
from rspnet.files import printable

C = TypeVar("C")
EXIT_FAILED = 1
EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT
EXIT_PIPE_CLOSED = 141  # 128 + SIGPIPE
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RunFailedError(Exception):
    """A run failed by no mistake in its settings or data, as where a process of it was killed."""


def _blocking_file(path: Path) -> Path | None:
    """The file or device among a path and the folders above it, if there is one."""
    return next((p for p in (path, *path.parents) if p.exists() and not p.is_dir()), None)


def describe_os_error(error: OSError) -> str:
    """What went wrong with a file or folder, in one sentence that says what to do.

    Example:
        >>> describe_os_error(OSError(errno.ENOSPC, "No space left on device", "run/model"))
        'the disk is full: run/model could not be written. Free some space, or choose another place'
    """
    name, code = error.filename, error.errno
    place = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else ""
    it = place or "a file"
    if code in _FULL:
        return (
            f"the disk is full: {it} could not be written. Free some space, or choose another place"
        )
    if code == errno.EROFS:
        return f"{it} is on a read-only file system: choose another place"
    if code in (errno.EACCES, errno.EPERM):
        return f"no permission for {it}: choose another place, or change its permissions"
    blocking = _blocking_file(Path(place)) if place else None
    if code in (errno.EEXIST, errno.ENOTDIR) and blocking is not None:
        return f"{blocking} is a file, but a folder is expected there: choose another place"
    if code == errno.EISDIR or (code == errno.EEXIST and Path(place).is_dir()):
        return f"{it} is a folder, but a file is expected there: choose another place"
    if code == errno.ENOENT:
        return f"there is no file or folder {it}"
    if code == errno.ENAMETOOLONG:
        return f"the name is too long: {it}"
    return f"{error.strerror}: {it}" if error.strerror and place else str(error)


def check_out(out: str | Path, kind: Literal["folder", "file"]) -> None:
    """Refuse a place for a result that can't be written to, before any work is done.

    Args:
        out: The place. It need not exist; nothing is created.
        kind: What will be made there.

    Raises:
        ValueError: It is a file where a folder is expected, or the reverse, or it can't be written.
    """
    path = Path(out)
    blocking = _blocking_file(path)
    if blocking is not None and (kind == "folder" or blocking != path):
        raise ValueError(
            f"{blocking} is a file, but a folder is expected there: choose another --out"
        )
    if blocking == path and not path.is_file():
        raise ValueError(f"{out} is a device, but a file is expected there: choose another --out")
    if kind == "file" and path.is_dir():
        raise ValueError(f"{out} is a folder, but a file is expected there: choose another --out")
    folder = next(p for p in (path.absolute(), *path.absolute().parents) if p.is_dir())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = "the disk is full" if error.errno in _FULL else error.strerror
        raise ValueError(
            f"{out} can't be written, as {folder} takes no new files ({reason}): "
            "choose another --out"
        ) from error


def _sentence(error: Exception) -> tuple[str, int] | None:
    """What is said of an error, and the exit status; nothing for a fault in the program."""
    if isinstance(error, OSError):
        return describe_os_error(error), EXIT_MISTAKE
    if isinstance(error, UnicodeEncodeError):  # of a library that takes names in UTF-8 only
        name = printable(error.object)
        advice = "choose another, or rename it"
        return f"a name that is not UTF-8 can't be used here: {name}: {advice}", EXIT_MISTAKE
    if isinstance(error, ValueError):
        return str(error), EXIT_MISTAKE
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        advice = "lower the batch size or the number of workers"
        return f"the memory is full: {advice}. {error}", EXIT_MISTAKE
    if isinstance(error, RunFailedError):
        return str(error), EXIT_FAILED
    if isinstance(error, BrokenExecutor):
        return (
            "a worker process was killed, as the system does when the memory is full: lower "
            "--num_workers, and give the same command again"
        ), EXIT_FAILED
    if type(error.__cause__).__name__ == "_RemoteTraceback":  # by a pool of processes
        return f"a worker process failed with {type(error).__name__}: {error}", EXIT_FAILED
    return None


def _read_and_run(
    config_class: type[C],
    run: Callable[[C], int | None],
    words: Sequence[str],
    out: Literal["folder", "file"] | None,
    **about: Any,
) -> int:
    if {"-h", "--help"} & set(words):
        print(help_text(config_class, **about))
        return 0
    given = [word for word in words if word != "--print_config"]
    config = parse_config(config_class, given, positional=about["positional"])
    if len(given) < len(words):
        print(yaml.safe_dump(to_plain(config), sort_keys=False), end="")
        return 0
    place = getattr(config, "out", None)
    if out is not None and place is not None:
        check_out(place, out)
    return run(config) or 0


def run_cli(
    config_class: type[C],
    run: Callable[[C], int | None],
    arguments: Sequence[str] | None = None,
    *,
    prog: str,
    description: str,
    examples: Sequence[str] = (),
    positional: Sequence[str] = (),
    out: Literal["folder", "file"] | None = None,
    resumes: bool = False,
) -> int:
    """Read a configuration, run a command with it, and give the exit status.

    Args:
        config_class: The command's settings, explained in its docstring below ``Attributes:``.
        run: What is done with them. It returns an exit status; None is 0.
        arguments: The command line's words; nothing takes the process's own.
        prog: How the command is called, for its help.
        description: What it does, for its help.
        examples: Command lines, for its help.
        positional: Settings that bare words stand for, in their order.
        out: What the setting ``out`` names; it is tried before the work begins. None: no check.
        resumes: Whether the same command resumes where it was interrupted.

    Example:
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Config:
        ...     '''Greets.
        ...
        ...     Attributes:
        ...         name: Who is greeted.
        ...     '''
        ...     name: str = "world"
        >>> def greet(config):
        ...     print("Hello,", config.name)
        >>> run_cli(Config, greet, ["--name", "RSPNet"], prog="greet", description="Greets.")
        Hello, RSPNet
        0
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name may be of bytes that it can't print
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = _read_and_run(
            config_class, run, words, out,
            prog=prog, description=description, examples=examples, positional=positional,
        )  # fmt: skip
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader of the output has gone, as in `... | head`: that is no mistake.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE_CLOSED
    except KeyboardInterrupt:
        how = "resumes where it stopped" if resumes else "begins again from the start"
        print(f"stopped: the same command {how}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:
        found = _sentence(error)
        if found is None:
            raise
        sentence, status = found
        print("error:", " ".join(sentence.split()), file=sys.stderr)
        return status


@dataclass(frozen=True)
class Command:
    """An entry in the list of a package's commands.

    Attributes:
        main: What runs it, given its words; or the module that has such a function ``main``.
        text: What it does, in a line.
        group: Heading that it is listed below.
    """

    main: str | Callable[[Sequence[str]], int]
    text: str
    group: str = "commands"

    def __call__(self, words: Sequence[str]) -> int:
        """Run it and give its exit status."""
        main: Callable[[Sequence[str]], int] = (
            import_module(self.main).main if isinstance(self.main, str) else self.main
        )
        return main(words)


def run_command(
    commands: Mapping[str, Command],
    arguments: Sequence[str] | None = None,
    *,
    prog: str,
    more: Callable[[], Mapping[str, Command]] = dict,
) -> int:
    """Run the command that the first word names; without one, list them. Gives the exit status.

    Args:
        commands: Commands by name.
        arguments: The command line's words; nothing takes the process's own.
        prog: How the list is called, such as ``python -m rspnet``.
        more: Gives further commands, such as those of a registry that takes long to import: called
            only if they are to be listed, or the name is not that of a command above.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0].replace("-", "_") if words else ""
    if name in commands:
        return commands[name](words[1:])
    known = {**commands, **more()}
    if not words or words[0] in ("-h", "--help"):
        width = max(map(len, known))
        print(f"usage: {prog} COMMAND [--help | SETTINGS]")
        for group in dict.fromkeys(command.group for command in known.values()):
            print(f"\n{group}:")
            for key, command in known.items():
                if command.group == group:
                    print(f"  {key:<{width}}  {command.text}")
        return 0
    if name in known:
        return known[name](words[1:])
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(known)}."
    print(f"error: there is no command {words[0]!r}. {hint}", file=sys.stderr)
    return EXIT_MISTAKE
