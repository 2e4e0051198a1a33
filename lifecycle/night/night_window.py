"""The hours in which a night may read calls whole and delete them: LIFECYCLE_WINDOW, in the schedule's time zone.

Planning and sealing are not bound to them. What is left when they end is due still, and goes on a later night.
"""

from datetime import time
from zoneinfo import ZoneInfo

from lifecycle.deployment.lifecycle import Lifecycle


def is_window_open(lifecycle: Lifecycle) -> bool:
    """Whether a night may work at this moment. Asked between transactions; without a window it always may."""
    window = lifecycle.settings.window
    if window is None:
        return True
    opens, closes = (time.fromisoformat(part) for part in window.split("-"))
    now = lifecycle.now().astimezone(ZoneInfo(lifecycle.settings.nightly_timezone)).time()
    return opens <= now < closes if opens < closes else now >= opens or now < closes
