"""A balloon's own part (hw/virtio/virtio-balloon.c ``vmstate_virtio_balloon_device``)."""

from __future__ import annotations

from vmstate.describe import Since, UInt32, Until, VMStateDescription


def _hint(prefix: str) -> VMStateDescription:
    return VMStateDescription(
        "virtio-balloon-device/free-page-report",
        1,
        1,
        fields=[UInt32(f"{prefix}_cmd_id", attr="cmd_id"), UInt32(f"{prefix}_status", attr="hint_status")],
    )


def _poison(name: str) -> VMStateDescription:
    return VMStateDescription(name, 1, 1, fields=[UInt32("poison_val")])


#: Before, its name was misspelt, so a destination stopped looking for subsections when it came to it.
POISON_RENAMED = "6.2"
MISSPELT = _poison("vitio-balloon-device/page-poison")

BALLOON = VMStateDescription(
    "virtio-balloon-device",
    version_id=1,
    minimum_version_id=1,
    fields=[UInt32("num_pages"), UInt32("actual")],
    subsections=[
        Until("5.1", Since("4.0", _hint("free_page_report"))),
        Since("5.1", _hint("free_page_hint")),
        Until(POISON_RENAMED, Since("5.1", MISSPELT)),
        Since(POISON_RENAMED, _poison("virtio-balloon-device/page-poison")),
    ],
)
#: Nothing but the misspelt subsection, which follows the others.
MISSPELT_POISON = VMStateDescription("vitio-balloon-device", 1, 1, subsections=[MISSPELT])
