"""The part of virtio-ccw, before the rest: the subchannel of s390.

hw/s390x/virtio-ccw.c ``vmstate_virtio_ccw_dev``, hw/s390x/css.c ``vmstate_subch_dev``.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmstate.describe import (
    Bool,
    Field,
    Int32,
    Struct,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    VMStateDescription,
)
from vmstate.handwritten.virtio.names import NO_VECTOR

_MOST_COMMANDS = 62  # MAX_CIWS


def _described(
    name: str, fields: Sequence[Field], subsections: Sequence[VMStateDescription] = ()
) -> VMStateDescription:
    return VMStateDescription(name, 1, 1, fields, subsections)


SCSW = _described(
    "s390_scsw",
    [
        UInt16("flags"),
        UInt16("ctrl"),
        UInt32("cpa"),
        UInt8("dstat"),
        UInt8("cstat"),
        UInt16("count"),
    ],
)
PMCW = _described(
    "s390_pmcw",
    [
        UInt32("intparm"),
        UInt16("flags"),
        UInt16("devno"),
        *(UInt8(name) for name in ("lpm", "pnom", "lpum", "pim")),
        UInt16("mbi"),
        UInt8("pom"),
        UInt8("pam"),
        UInt8("chpid")[8],
        UInt32("chars"),
    ],
)
SCHIB = _described("s390_schib", [Struct("pmcw", PMCW), Struct("scsw", SCSW), UInt64("mba"), UInt8("mda")[4]])
CCW = _described("s390_ccw1", [UInt8("cmd_code"), UInt8("flags"), UInt16("count"), UInt32("cda")])
CIW = _described("s390_ciw", [UInt8("type"), UInt8("command"), UInt16("count")])
SENSE_ID = _described(
    "s390_sense_id",
    [
        UInt8("reserved"),
        UInt16("cu_type"),
        UInt8("cu_model"),
        UInt16("dev_type"),
        UInt8("dev_model"),
        UInt8("unused"),
        Struct("ciw", CIW)[_MOST_COMMANDS],
    ],
)
ORB = _described(
    "s390_orb", [UInt32("intparm"), UInt16("ctrl0"), UInt8("lpm"), UInt8("ctrl1"), UInt32("cpa")]
)
SUBCHANNEL = _described(
    "s390_subch_dev",
    [
        UInt8("cssid"),
        UInt8("ssid"),
        UInt16("migrated_schid"),
        UInt16("devno"),
        Bool("thinint_active"),
        Struct("curr_status", SCHIB),
        UInt8("sense_data")[32],
        UInt64("channel_prog"),
        Struct("last_cmd", CCW),
        Bool("last_cmd_valid"),
        Struct("id", SENSE_ID),
        Bool("ccw_fmt_1"),
        UInt8("ccw_no_data_cnt"),
    ],
    subsections=[_described("s390_subch_dev/orb", [Struct("orb", ORB)])],
)
INDICATOR = _described("s390_ind_addr_tmp", [Int32("len"), UInt64("addr")])
ADAPTER = _described(
    "s390_adapter_info",
    [UInt64("ind_offset")],
    subsections=[_described("s390_adapter_info/summary_offset", [UInt32("summary_offset")])],
)
DEVICE = _described(
    "s390_virtio_ccw_dev",
    [
        Struct("parent_obj", _described("s390_ccw_dev", [Struct("sch", SUBCHANNEL)])),
        *(Struct(name, INDICATOR) for name in ("indicators", "indicators2", "summary_indicator")),
        UInt16("config_vector", words=NO_VECTOR),
        Struct("routes", _described("s390_adapter_routes", [Struct("adapter", ADAPTER)])),
        UInt8("thinint_isc"),
        Int32("revision"),
    ],
)
