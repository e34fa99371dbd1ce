"""Work for tests of many processes; one task kills its process, the first time."""

import os
from pathlib import Path


def begin(question):
    """Return the worker: it doubles a number; the one given in the question kills its process once."""
    folder, deadly = question

    def work(number):
        if number == deadly:
            try:
                Path(folder, "died").touch(exist_ok=False)
            except FileExistsError:
                return 2 * number
            os._exit(1)
        return 2 * number

    return work
