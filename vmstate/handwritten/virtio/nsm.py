"""The security module of AWS Nitro enclaves (hw/virtio/virtio-nsm.c ``vmstate_virtio_nsm_device``)."""

from __future__ import annotations

from vmstate.describe import Bool, Struct, UInt8, VMStateDescription

_REGISTERS, _SHA384 = 32, 48
_REGISTER = VMStateDescription("pcr_info_entry", 1, 1, fields=[Bool("locked"), UInt8("data")[_SHA384]])
NSM = VMStateDescription("virtio-nsm-device", 1, 1, fields=[Struct("pcrs", _REGISTER)[_REGISTERS]])
