"""The meters that we know, and their registers. Loaded only to look a meter up (see meters.py).

MODELS: model, function, most registers a read, baud and parity as delivered, MID-approved (0
also where it is sold both ways: the installer knows), Wh in a step of the energy register (a
float32 in kWh grows coarser, see Map.step), register lists. Addresses as delivered are 1.

Sources: the makers' register lists (Schneider DOCA0005, Eastron, ABB 2CMC485003, Carlo Gavazzi).
"""

MODELS = """
iEM3150 3 125 19200 E 0 1 iem
iEM3155 3 125 19200 E 1 1 iem iem+
iEM3250 3 125 19200 E 0 1 iem
iEM3255 3 125 19200 E 1 1 iem iem+
iEM3350 3 125 19200 E 0 1 iem
iEM3355 3 125 19200 E 1 1 iem iem+
SDM120 4 80 2400 N 0 1 sdm1
SDM72DM 4 80 9600 N 0 1 sdm
SDM72DM-V2 4 80 9600 N 0 1 sdm sdm3
SDM630 4 80 9600 N 0 1 sdm sdm3 sdm+
B23 3 125 19200 E 1 10 b23
EM340 4 50 9600 N 0 100 em340
"""

# list, field of the reading, address (hex, 0-based), type: f float32, u unsigned, s signed, with
# its number of registers, < for the low word first; factor to the reading's unit (/ divides)
ROWS = """
iem i1 BB7 f2 1000
iem i2 BB9 f2 1000
iem i3 BBB f2 1000
iem v1 BD3 f2 1000
iem v2 BD5 f2 1000
iem v3 BD7 f2 1000
iem p1 BED f2 10000
iem p2 BEF f2 10000
iem p3 BF1 f2 10000
iem power BF3 f2 10000
iem frequency C25 f2 1000
iem energy C83 s4 1
iem+ reactive C93 s4 1
sdm1 v1 0 f2 1000
sdm1 i1 6 f2 1000
sdm1 power C f2 10
sdm1 frequency 46 f2 1000
sdm1 energy 48 f2 1000
sdm1 reactive 4C f2 1000
sdm power 34 f2 10
sdm energy 48 f2 1000
sdm3 v1 0 f2 1000
sdm3 v2 2 f2 1000
sdm3 v3 4 f2 1000
sdm3 i1 6 f2 1000
sdm3 i2 8 f2 1000
sdm3 i3 A f2 1000
sdm3 p1 C f2 10
sdm3 p2 E f2 10
sdm3 p3 10 f2 10
sdm3 frequency 46 f2 1000
sdm+ reactive 4C f2 1000
b23 energy 5000 u4 10
b23 reactive 500C u4 10
b23 v1 5B00 u2 100
b23 v2 5B02 u2 100
b23 v3 5B04 u2 100
b23 i1 5B0C u2 10
b23 i2 5B0E u2 10
b23 i3 5B10 u2 10
b23 power 5B14 s2 /10
b23 p1 5B16 s2 /10
b23 p2 5B18 s2 /10
b23 p3 5B1A s2 /10
b23 frequency 5B2C u1 10
em340 v1 0 s2< 100
em340 v2 2 s2< 100
em340 v3 4 s2< 100
em340 i1 C s2< 1
em340 i2 E s2< 1
em340 i3 10 s2< 1
em340 p1 12 s2< 1
em340 p2 14 s2< 1
em340 p3 16 s2< 1
em340 power 28 s2< 1
em340 frequency 33 s1 100
em340 energy 34 s2< 100
em340 reactive 36 s2< 100
"""
