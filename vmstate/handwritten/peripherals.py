"""Buffers of peripherals with published registers: ESP, AC'97 codecs, an ATA drive's identity."""

from __future__ import annotations

from vmstate.handwritten.content import Content
from vmstate.handwritten.layout import Layout, at_least, le16, le32, le64, raw, u8

# ---- the SCSI controller's registers, read and written (include/hw/scsi/esp.h)

_FIRST = ("transfer_count_low", "transfer_count_mid", "fifo", "command")
_READ = ("status", "interrupt", "sequence_step", "fifo_flags", "config1", "reserved1", "reserved2")
_WRITTEN = ("bus_id", "select_timeout", "sync_period", "sync_offset", "config1", "clock_factor", "test")
_LAST = ("config2", "config3", "reserved3", "transfer_count_high", "reserved4")
ESP = {
    "rregs": Content("buffer", Layout("esp", *map(u8, (*_FIRST, *_READ, *_LAST))).nodes),
    "wregs": Content("buffer", Layout("esp", *map(u8, (*_FIRST, *_WRITTEN, *_LAST))).nodes),
}

# ---- the mixer of an AC'97 codec (hw/audio/ac97.h)

_MIXER = (
    *("reset", "master_volume", "headphone_volume", "master_mono_volume", "master_tone", "beep_volume"),
    *("phone_volume", "mic_volume", "line_in_volume", "cd_volume", "video_volume", "aux_volume"),
    *("pcm_out_volume", "record_select", "record_gain", "record_gain_mic", "general_purpose", "control_3d"),
    *("reserved", "powerdown", "extended_id", "extended_control", "pcm_front_rate", "pcm_surround_rate"),
    *("pcm_lfe_rate", "pcm_adc_rate", "mic_adc_rate", "center_lfe_volume", "surround_volume"),
)
_VENDOR_ID = 0x7C
AC97_MIXER = Content(
    "buffer",
    at_least(
        Layout(
            "ac97 mixer",
            *map(le16, _MIXER),
            raw("vendor_registers", _VENDOR_ID - 2 * len(_MIXER)),
            le16("vendor_id1"),
            le16("vendor_id2"),
        )
    ),
)

# ---- what a drive answers to IDENTIFY DEVICE (ATA8-ACS; hw/ide/core.c ide_identify); texts are byte-swapped

IDENTITY = Content(
    "buffer",
    at_least(
        Layout(
            "ata identity",
            le16("configuration"),
            le16("cylinders"),
            le16("word2"),
            le16("heads"),
            le16("word4"),
            le16("word5"),
            le16("sectors"),
            raw("words7_9", 6),
            raw("serial", 20),
            raw("words20_22", 6),
            raw("firmware", 8),
            raw("model", 40),
            le16("multiple"),
            le16("word48"),
            le16("capabilities"),
            raw("words50_53", 8),
            le16("current_cylinders"),
            le16("current_heads"),
            le16("current_sectors"),
            le32("current_capacity"),
            le16("current_multiple"),
            le32("lba28_sectors"),
            le16("single_word_dma"),
            le16("multi_word_dma"),
            le16("pio_modes"),
            raw("words65_79", 30),
            le16("major_version"),
            le16("minor_version"),
            *(le16(f"command_set{number}") for number in (1, 2, 3)),
            *(le16(f"command_set{number}_enabled") for number in (1, 2, 3)),
            le16("ultra_dma"),
            raw("words89_99", 22),
            le64("lba48_sectors"),
        )
    ),
)
