import pytest

from stormpetrel.control.guard_text import guard_text
from stormpetrel.control.messages import GuardState


@pytest.mark.parametrize(
    ("guard", "text"),
    [
        (None, "not running"),
        (GuardState(), "not running"),
        (GuardState(is_running=True), "blocks 0 sources in the kernel (0 packets dropped a second)"),
        (
            GuardState(is_running=True, listed=1, packets_per_s=1_234.5, refused=2),
            "blocks 1 source in the kernel (1,234 packets dropped a second); it refused 2 entries",
        ),
        (GuardState(is_running=True, problem="no memory"), "fails: no memory"),
        (
            GuardState(is_running=True, off_because="the shield is paused"),
            "blocks nothing: the shield is paused",
        ),
        (
            GuardState(is_running=True, off_because="canary web failed", off_until_epoch_s=1e9),
            "blocks nothing until 01:46:40 UTC: canary web failed",
        ),
    ],
)
def test_the_state_is_one_line(guard, text):
    assert guard_text(guard) == text
