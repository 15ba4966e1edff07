"""A log file that a full disk ends without ending the run."""

from __future__ import annotations

import logging
import sys

from typing_extensions import override

from envtune.files.atomic_file import write_error


class LogFile(logging.FileHandler):
    """A FileHandler that warns once on stderr if the file cannot be written, instead of a traceback for every line."""

    _warned = False

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._warned:
            self._warned = True
            sentence = write_error(error, self.baseFilename)
            print(f"warning: {sentence}; until then the log is incomplete", file=sys.stderr)
