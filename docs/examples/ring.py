"""A device with a ring of requests, as in its C code.

#define RING_SIZE 16

typedef struct RingState {
    uint32_t used;              /* number of requests in use */
    uint64_t requests[RING_SIZE];
    uint32_t next;              /* the request to serve next */
    uint32_t done;
} RingState;
"""

from types import SimpleNamespace

from vmstate.describe import UInt32, UInt64, VMStateDescription

EINVAL = 22
RING_SIZE = 16


def post_load(ring, version_id):
    """Refuse an invalid index."""
    return -EINVAL if ring.next > RING_SIZE else 0


DESCRIPTION = VMStateDescription(
    "ring",
    version_id=1,
    minimum_version_id=1,
    post_load=post_load,
    fields=[UInt32("used"), UInt64("requests")["used"], UInt32("next"), UInt32("done")],
)


def device():
    """Return the state after reset; an array has its length in C."""
    return SimpleNamespace(used=4, requests=[0] * RING_SIZE, next=0, done=0)


def use(ring):
    """Do what the device does next."""
    ring.requests[ring.next]
