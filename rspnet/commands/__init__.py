"""One shape for every command: a configuration that is a dataclass, and :func:`run_cli`.

A command is a dataclass of settings, whose docstring explains each of them, and a function that
takes it. Its help, its reading of YAML files and options, its exit status and what it says of a
mistake are those of all commands. Imports no torch.
"""

from rspnet.commands.run import Command, RunFailedError, describe_os_error, run_cli, run_command
from rspnet.commands.settings import one_of, parse_config, save_config, to_plain

__all__ = [
    "Command",
    "RunFailedError",
    "describe_os_error",
    "one_of",
    "parse_config",
    "run_cli",
    "run_command",
    "save_config",
    "to_plain",
]
