"""Processors of qemu-system-ppc64 that no pseries machine can have: known by name, refused by the board."""

from __future__ import annotations

from vmstate.describe.history import Release, Span

_NAMES = """
405 405cr 405cra 405crb 405crc 405d2 405d4 405ep 405ez 405gp 405gpa 405gpb 405gpc 405gpd 405gpe
405gpr 405lp 440-xilinx 440-xilinx-w-dfpu 440ep 440epa 440epb 440epx 460ex 460exb 603 603e 603e7
603e7t 603e7v 603e7v1 603e7v2 603e_v1.1 603e_v1.2 603e_v1.3 603e_v1.4 603e_v2.2 603e_v3 603e_v4
603e_v4.1 603p 603r 604 604e 604e_v1.0 604e_v2.2 604e_v2.4 604r 740 7400 7400_v1.0 7400_v1.1
7400_v2.0 7400_v2.1 7400_v2.2 7400_v2.6 7400_v2.7 7400_v2.8 7400_v2.9 740_v1.0 740_v2.0 740_v2.1
740_v2.2 740_v3.0 740_v3.1 740e 740p 7410 7410_v1.0 7410_v1.1 7410_v1.2 7410_v1.3 7410_v1.4 7441
7441_v2.1 7441_v2.10 7441_v2.3 7445 7445_v1.0 7445_v2.1 7445_v3.2 7445_v3.3 7445_v3.4 7447 7447_v1.0
7447_v1.1 7447a 7447a_v1.0 7447a_v1.1 7447a_v1.2 7448 7448_v1.0 7448_v1.1 7448_v2.0 7448_v2.1 745
7450 7450_v1.0 7450_v1.1 7450_v1.2 7450_v2.0 7450_v2.1 7451 7451_v2.10 7451_v2.3 7455 7455_v1.0
7455_v2.1 7455_v3.2 7455_v3.3 7455_v3.4 7457 7457_v1.0 7457_v1.1 7457_v1.2 7457a 7457a_v1.0
7457a_v1.1 7457a_v1.2 745_v1.0 745_v1.1 745_v2.0 745_v2.1 745_v2.2 745_v2.3 745_v2.4 745_v2.5
745_v2.6 745_v2.7 745_v2.8 750 750_v1.0 750_v2.0 750_v2.1 750_v2.2 750_v3.0 750_v3.1 750cl
750cl_v1.0 750cl_v2.0 750cx 750cx_v1.0 750cx_v2.0 750cx_v2.1 750cx_v2.2 750cxe 750cxe_v2.1
750cxe_v2.2 750cxe_v2.3 750cxe_v2.4 750cxe_v2.4b 750cxe_v3.0 750cxe_v3.1 750cxe_v3.1b 750cxr 750e
750fl 750fx 750fx_v1.0 750fx_v2.0 750fx_v2.1 750fx_v2.2 750fx_v2.3 750gl 750gx 750gx_v1.0 750gx_v1.1
750gx_v1.2 750l 750l_v2.0 750l_v2.1 750l_v2.2 750l_v3.0 750l_v3.2 750p 755 755_v1.0 755_v1.1
755_v2.0 755_v2.1 755_v2.2 755_v2.3 755_v2.4 755_v2.5 755_v2.6 755_v2.7 755_v2.8 970fx 970fx_v1.0
970fx_v2.0 970fx_v2.1 970fx_v3.0 970fx_v3.1 apollo6 apollo7 apollo7pm arthur conan/doyle e300 e300c1
e300c2 e300c3 e300c4 e500 e500_v10 e500_v20 e500mc e500v1 e500v2 e500v2_v10 e500v2_v20 e500v2_v21
e500v2_v22 e500v2_v30 e5500 e600 e6500 g2 g2gp g2h4 g2hip3 g2hip4 g2le g2legp g2legp1 g2legp3 g2lels
g2ls g3 g4 goldeneye goldfinger lonestar mach5 mpc5200 mpc5200_v10 mpc5200_v11 mpc5200_v12 mpc5200b
mpc5200b_v20 mpc5200b_v21 mpc52xx mpc603 mpc8240 mpc8241 mpc8245 mpc8247 mpc8248 mpc8250
mpc8250_hip3 mpc8250_hip4 mpc8255 mpc8255_hip3 mpc8255_hip4 mpc8260 mpc8260_hip3 mpc8260_hip4
mpc8264 mpc8264_hip3 mpc8264_hip4 mpc8265 mpc8265_hip3 mpc8265_hip4 mpc8266 mpc8266_hip3
mpc8266_hip4 mpc8270 mpc8271 mpc8272 mpc8275 mpc8280 mpc82xx mpc8343 mpc8343a mpc8343e mpc8343ea
mpc8347 mpc8347a mpc8347ap mpc8347at mpc8347e mpc8347ea mpc8347eap mpc8347eat mpc8347ep mpc8347et
mpc8347p mpc8347t mpc8349 mpc8349a mpc8349e mpc8349ea mpc8377 mpc8377e mpc8378 mpc8378e mpc8379
mpc8379e mpc8533 mpc8533_v10 mpc8533_v11 mpc8533e mpc8533e_v10 mpc8533e_v11 mpc8540 mpc8540_v10
mpc8540_v20 mpc8540_v21 mpc8541 mpc8541_v10 mpc8541_v11 mpc8541e mpc8541e_v10 mpc8541e_v11 mpc8543
mpc8543_v10 mpc8543_v11 mpc8543_v20 mpc8543_v21 mpc8543e mpc8543e_v10 mpc8543e_v11 mpc8543e_v20
mpc8543e_v21 mpc8544 mpc8544_v10 mpc8544_v11 mpc8544e mpc8544e_v10 mpc8544e_v11 mpc8545 mpc8545_v20
mpc8545_v21 mpc8545e mpc8545e_v20 mpc8545e_v21 mpc8547e mpc8547e_v20 mpc8547e_v21 mpc8548
mpc8548_v10 mpc8548_v11 mpc8548_v20 mpc8548_v21 mpc8548e mpc8548e_v10 mpc8548e_v11 mpc8548e_v20
mpc8548e_v21 mpc8555 mpc8555_v10 mpc8555_v11 mpc8555e mpc8555e_v10 mpc8555e_v11 mpc8560 mpc8560_v10
mpc8560_v20 mpc8560_v21 mpc8567 mpc8567e mpc8568 mpc8568e mpc8572 mpc8572e mpc8610 mpc8641 mpc8641d
nitro npe405h npe405h2 npe405l npe4gs3 powerquicc-ii ppc ppc32 ppc64 sirocco stb03 stb04 stb25
stretch typhoon vaillant vanilla vger x2vp20 x2vp4 x2vp50 x2vp7
"""
_GONE_IN_7_1 = """
401 401a1 401b2 401c2 401d2 401e2 401f2 401g2 403 403ga 403gb 403gc 403gcx 601 601_v0 601_v1 601_v2
601v 602 cobra default iop480
"""
_GONE_IN_10_2 = "e200 e200z5 e200z6"

_SPANS: dict[str, Span] = {
    **dict.fromkeys(_NAMES.split(), Span()),
    **dict.fromkeys(_GONE_IN_7_1.split(), Span(until="7.1")),
    **dict.fromkeys(_GONE_IN_10_2.split(), Span(until="10.2")),
    "max": Span("2.11", "7.1"),
}


def is_other_cpu(name: str, release: Release) -> bool:
    """Return True if ``release`` knows a processor of that name (lower case) that pseries cannot have."""
    span = _SPANS.get(name)
    return span is not None and span.covers(release)
