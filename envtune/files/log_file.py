"""A log that a full disk ends without ending the run."""

from __future__ import annotations

import logging
import sys

from envtune.files.atomic_file import write_error


class LogFile(logging.FileHandler):
    """Says once on stderr that the file cannot be written. The logging module prints a traceback for every line."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            sentence = write_error(error, self.baseFilename)
            print(f"warning: {sentence}; until then the log is incomplete", file=sys.stderr)
