# SPDX-License-Identifier: MIT
"""Seeds for virtio-sound: streams that play and record in order (see enum record of fuzz_sound.c)."""
import struct

PLAYS, PLAYS_TOO, RECORDS, RECORDS_TOO = range(4)
SET, PREPARE, RELEASE, START, STOP = range(5)
S16_STEREO, U8_MONO = 5 * 8 + 1, 4 * 8
AT_48000 = 103  # frames of a period, and their rate

TURN, PAUSE, RESET = b'\x05\x03', b'\x0c', b'\x0d'


def u8(*values):
    return bytes(v & 255 for v in values)


def u16(v):
    return struct.pack('<H', v & 0xffff)


def words(*values):
    return b''.join(struct.pack('<I', v & 0xffffffff) for v in values)


def control(data, room=600, cut=127):
    return u8(0, cut) + u16(room) + u16(len(data)) + data


def request(what, stream, form=S16_STEREO, period=AT_48000, features=False):
    return u8(1, what * 4 + stream | features << 7, form, period)


def event(n=1, room=8):
    return (u8(2, 0) + u16(room) + u16(0)) * n


def tx(stream=PLAYS, frames=AT_48000, frame=4, room=8, cut=127):
    data = words(stream) + bytes(i * 7 & 255 for i in range(frames * frame))
    return u8(3, cut) + u16(room) + u16(len(data)) + data


def rx(stream=RECORDS, frames=AT_48000, frame=4, cut=127):
    return u8(4, cut) + u16(frames * frame + 8) + u16(4) + words(stream)


def lapse(ms):
    return u8(6) + u16(ms * 10)


def graphs(frames):
    return u8(8) + u16(frames)


def both(what, **kw):
    return request(what, PLAYS, **kw) + request(what, RECORDS, **kw)


def open_both(**kw):
    return both(SET, **kw) + both(PREPARE)


def run(n, ms=2, frames=96):
    return (tx() + rx() + graphs(frames) + lapse(ms)) * n


def queries():
    """Each request in order, and each with nothing behind its code."""
    out = b''
    for code, items, size in ((1, 2, 24), (0x100, 4, 32), (0x200, 32, 24), (0x300, 6, 92)):
        out += control(words(code, 0, min(items, 10), size)) + control(words(code, items - 1, 2, size))
    for code in (2, *range(0x101, 0x106), *range(0x301, 0x307)):
        out += control(words(code, 0, 1, 2, 3, 4)) + control(words(code)) + control(words(code, 2, 0, 0), 3)
    return out


def write(save):
    play = open_both() + (tx() + rx()) * 3 + both(START)
    card = b''.join(control(words(0x303, i, i % 2)) for i in range(10))
    conversations = {
        'nothing': b'',
        'queries': queries(),
        'play': play + run(12) + both(STOP) + both(RELEASE) + lapse(1100),
        'late-graph': play + lapse(30) + run(4) + graphs(1024) + run(4) + both(STOP) + both(RELEASE),
        'no-graph': play + lapse(400) + run(3, frames=0) + tx() * 3 + lapse(100) + graphs(512) * 3,
        'long-cycles': play + (tx() + rx() + graphs(1024) + lapse(21)) * 4,
        'underrun': open_both(features=True) + event(4) + (tx() + rx()) * 2 + both(START)
            + (graphs(480) + lapse(10)) * 6 + run(4) + lapse(1000) + graphs(4095) * 12 + run(2),
        'pause-of-a-stream': play + run(4) + both(STOP) + lapse(20) + tx() + both(START) + run(4),
        'pause-of-all': play + run(3) + PAUSE + run(3) + PAUSE + both(STOP) + PAUSE + both(START) + run(2),
        'reset': play + run(3) + RESET + play + run(3) + RESET + card,
        'release-with-messages': open_both() + tx() * 6 + rx() * 6 + both(RELEASE) + both(PREPARE) + tx()
            + both(SET),
        'not-kicked': open_both(features=True) + tx(cut=255) * 4 + rx(cut=255) * 4 + both(START)
            + (tx(cut=255) + rx(cut=255) + graphs(96) + lapse(2)) * 8 + both(STOP) + both(RELEASE),
        'out-of-turn': b''.join(both(w) + tx() + rx() for w in (START, STOP, RELEASE, PREPARE, SET, START,
            PREPARE, SET, STOP, PREPARE, RELEASE, PREPARE, START, SET, PREPARE, RELEASE, STOP)),
        'formats': b''.join(request(SET, PLAYS, form=f * 8 + c, period=p) + request(PREPARE, PLAYS)
            + request(START, PLAYS) + graphs(64) + lapse(5) + request(STOP, PLAYS) + request(RELEASE, PLAYS)
            for f, c, p in ((1, 0, 0), (2, 1, 1), (3, 2, 13), (4, 0, 7), (5, 7, 6), (11, 3, 12), (15, 5, 15),
                (17, 4, 9), (19, 1, 255), (20, 7, 200), (24, 0, 1), (31, 0, 1))),
        'tiny-periods': both(SET, form=U8_MONO, period=7) + both(PREPARE) + tx(frames=7, frame=1) * 8
            + rx(frames=7, frame=1) * 8 + both(START) + (graphs(7) + lapse(1)) * 9,
        'odd-messages': open_both() + tx(frames=3, frame=1) + tx(frames=0) + tx(room=3) + tx(room=0)
            + tx(stream=9) + tx(stream=RECORDS) + rx(stream=PLAYS) + rx(frames=0) + rx(frames=380)
            + tx(room=100) + tx(cut=2) + rx(cut=1) + u8(3, 0) + u16(8) + u16(2) + b'\0\0',
        'events': card + event(3) + u8(10, 2) + u8(10, 3) + u8(9, 0, 10) + u8(9, 130, 255) + event(12)
            + event(1, 7) + event(1, 0) + event(2, 90) + u8(10, 0) + u8(9, 2, 60) + RESET + event(2) + card,
        'no-memory': u8(11, 1) + open_both() + both(START) + u8(11, 0) + both(PREPARE) + both(START) + run(2),
        'linger': open_both() + both(RELEASE) + lapse(600) + both(PREPARE) + both(RELEASE) + lapse(1100)
            + both(PREPARE) + both(SET, form=U8_MONO) + both(PREPARE),
        'four-streams': b''.join(request(w, s) for w in (SET, PREPARE) for s in range(4))
            + (tx() + tx(PLAYS_TOO) + rx() + rx(RECORDS_TOO)) * 3
            + b''.join(request(START, s) for s in range(4))
            + (tx() + tx(PLAYS_TOO) + rx() + rx(RECORDS_TOO) + graphs(96) + lapse(2)) * 6 + TURN,
    }
    for name, data in conversations.items():
        for flags in (0, 1, 14):
            save('sound', '%s-%d' % (name, flags), u8(flags) + data)
    for code in (1, 2, *range(0x100, 0x106), 0x200, *range(0x300, 0x307), 0, 0x306, 0x400):
        save('sound_wire', 'request-%x' % code, words(code, 1, 2, 3, 0, 0x70502, *range(9)))
        save('sound_wire', 'short-%x' % code, words(code, 1)[:7])
    save('sound_wire', 'full-card', words(0x303, 0) + bytes(range(200)))
