# SPDX-License-Identifier: MIT
"""Seeds for virtio-gpu with a renderer: contexts, textures and streams, and a renderer that answers,
lies and dies (see enum record of fuzz_gpu_3d.c)."""
import struct

CTX, FREE, HIGH, SIDE = 5, 0x20000, 0x100000000, 32


def u8(*values):
    return bytes(v & 255 for v in values)


def u16(v):
    return struct.pack('<H', v & 0xffff)


def words(*values):
    return b''.join(struct.pack('<I', v & 0xffffffff) for v in values)


def command(kind, *rest, ctx=CTX, fence=0, data=b'', room=24, queue=0, cut=255):
    header = struct.pack('<IIQII', kind, 1 if fence else 0, fence, ctx, 0)
    whole = header + words(*rest) + data
    return u8(queue, cut) + u16(room) + u16(len(whole)) + whole


def answer(n):
    return u8(4, n - 1)


def fail(result):
    return u8(5, result - 0x1200)


def say(data):
    return u8(6) + u16(len(data)) + data


def lie(what, away, result=None):
    return u8(7, what, away) + (u8(0, 0) if result is None else u8(1) + words(result))


def full(n):
    return u8(9, n)


READ, ALL, DIE, DIE_FOR_GOOD, REVIVE = u8(3) + u16(0xffff), u8(4, 255), u8(10, 1), u8(10, 0), u8(11)
PAUSE, RESET, GOES, COMES = u8(12), u8(13), u8(14), u8(15)
# The front-end's answers about the window.
MAPPED, REFUSED, WINDOW_LIES = u8(16, 255), u8(17, 255), u8(18, 19) + bytes(20)


def context(ctx=CTX):
    return command(0x200, 5, 0, data=b'fuzz'.ljust(64, b'\0'), ctx=ctx)


def texture(i, width=SIDE, height=SIDE, fence=0):
    return command(0x204, i, 2, 2, 10, width, height, 1, 1, 0, 0, 0, 0, fence=fence)


def backing(i, at=FREE, size=SIDE * SIDE * 4):
    return command(0x106, i, 1, data=struct.pack('<QII', at, size, 0))


def attach(i):
    return command(0x202, i, 0)


def transfer(kind, i, fence=0):
    return command(kind, 0, 0, 0, SIDE, SIDE, 1, 0, 0, i, 0, SIDE * 4, 0, fence=fence)


def stream(n, fence=0):
    return command(0x207, n, 0, data=bytes(range(250))[:n].ljust(n, b'\1'), fence=fence)


def shown(i):
    return command(0x103, 0, 0, SIDE, SIDE, 0, i) + command(0x104, 0, 0, SIDE, SIDE, i, 0)


def cursor(i):
    return command(0x300, 0, 1, 1, 0, i, 3, 3, 0, queue=1)


def flat(i):
    return command(0x101, i, 2, SIDE, SIDE)


def blob(i, mem=2, flags=7, size=SIDE * SIDE * 4, pages=0, number=9):
    return command(0x10c, i, mem, flags, pages, data=struct.pack('<QQ', number, size)
                   + struct.pack('<QII', FREE, size & 0xffffffff, 0) * pages)


def blob_shown(i, stride=SIDE * 4, offset=0):
    return command(0x10d, 0, 0, SIDE, SIDE, 0, i, SIDE, SIDE, 2, 0, stride, 0, 0, 0, offset, 0, 0, 0) + command(
        0x104, 0, 0, SIDE, SIDE, i, 0)


def map_blob(i, at=0, fence=0):
    return command(0x208, i, 0, at, 0, room=32, fence=fence)


def unmap_blob(i):
    return command(0x209, i, 0)


FURNITURE = context() + texture(1) + backing(1) + attach(1)

CONVERSATIONS = {
    'life': FURNITURE + ALL + stream(64) + answer(1) + stream(100, fence=7) + ALL + shown(1) + ALL + READ
        + transfer(0x205, 1) + transfer(0x206, 1, fence=8) + ALL + command(0x102, 1, 0) + ALL
        + command(0x201) + ALL,
    'late': FURNITURE + stream(64, fence=1) + stream(0, fence=2) + command(0x100, fence=3, room=408)
        + shown(1) + READ + answer(4) + answer(2) + READ + ALL,
    'capsets': command(0x108, 0, 0, room=40) + command(0x108, 1, 0, room=40)
        + command(0x109, 2, 1, room=32) + command(0x109, 2, 9, room=32) + command(0x109, 2, 1, room=25),
    'fails': FURNITURE + fail(0x1203) + fail(0x1201) + ALL + texture(2) + fail(0x1205) + attach(2)
        + stream(8, fence=4) + fail(0x1204) + ALL,
    'two-contexts': context(1) + context(2) + ALL + texture(9) + attach(9) + command(0x202, 9, 0, ctx=1)
        + command(0x203, 9, 0, ctx=1) + ALL + command(0x201, ctx=1) + stream(16) + ALL,
    'flat': flat(3) + backing(3) + shown(3) + context() + attach(3) + ALL + command(
        0x105, 0, 0, SIDE, SIDE, 0, 0, 3, 0) + shown(3) + ALL + READ + command(0x102, 3, 0) + ALL,
    'cursor': FURNITURE + ALL + command(0x204, 4, 2, 1, 10, 64, 64, 1, 1, 0, 0, 0, 0) + cursor(4) + ALL
        + cursor(4) + command(0x102, 4, 0) + cursor(0) + ALL + READ,
    'dies': FURNITURE + stream(40, fence=5) + shown(1) + DIE + REVIVE + ALL + stream(4) + transfer(0x205, 1)
        + command(0x201) + command(0x102, 1, 0) + FURNITURE + ALL + stream(8) + ALL,
    'dies-for-good': FURNITURE + ALL + shown(1) + DIE_FOR_GOOD + FURNITURE + command(0x201) + RESET
        + FURNITURE,
    'dead-meanwhile': FURNITURE + DIE + FURNITURE + flat(3) + shown(3) + READ + REVIVE + attach(3) + ALL,
    'lies': FURNITURE + stream(40, fence=5) + lie(2, 0) + lie(3, 100) + lie(3, 0x80) + lie(2, 1, 0x1100)
        + lie(1, 0) + lie(2, 0, 0xffffffff) + lie(0, 0) + ALL,
    'garbage': FURNITURE + say(b'') + REVIVE + say(words(2)) + REVIVE + say(words(9, 9, 9)) + REVIVE
        + FURNITURE + ALL,
    'ring': FURNITURE + ALL + stream(64) + u8(8, 0) + stream(64) + u8(8, 33) + words(77) + stream(64)
        + REVIVE + FURNITURE + ALL,
    'full': FURNITURE + ALL + full(1) + stream(64) + full(2) + flat(3) + attach(3) + REVIVE + full(1)
        + backing(1) + full(1) + context(6) + full(1) + texture(6) + REVIVE + ALL,
    'pause': FURNITURE + stream(64, fence=1) + shown(1) + PAUSE + ALL + stream(64) + PAUSE + ALL,
    'reset': FURNITURE + stream(64, fence=1) + RESET + FURNITURE + ALL + RESET + ALL,
    'memory': FURNITURE + texture(2) + backing(2, HIGH) + ALL + GOES + transfer(0x205, 2) + ALL + COMES
        + transfer(0x206, 2) + ALL + GOES + ALL,
    'memory-held': FURNITURE + texture(2) + backing(2, HIGH) + transfer(0x205, 2, fence=2) + GOES + RESET
        + COMES + ALL,
    'gone-meanwhile': FURNITURE + shown(1) + command(0x102, 1, 0) + texture(1) + ALL + shown(1) + ALL + READ,
    'over-another': FURNITURE + texture(2) + ALL + shown(1) + shown(2) + flat(3) + shown(3) + READ + ALL
        + READ,
    'budget': FURNITURE + b''.join(texture(10 + i, 512, 512) for i in range(10)) + ALL,
    'blobs': FURNITURE + blob(20) + blob(21, 1, pages=1) + blob(22, 3, pages=1) + ALL + blob_shown(20) + ALL
        + blob_shown(21) + READ + blob_shown(22) + ALL + command(0x208, 20, 0, 0, 0, room=32) + ALL
        + command(0x209, 20, 0) + command(0x102, 20, 0) + command(0x102, 21, 0) + ALL + READ,
    'blobs-wrong': FURNITURE + blob(20) + blob_shown(20) + lie(4, 0) + blob_shown(20, 0xffffffff, 0xfffffffc)
        + blob_shown(20) + u8(7, 4, 0, 25, *words(0), *words(0xfffffff0), 20) + blob(21, 1, pages=3) + blob(22, 9)
        + blob(23, 2, 0xffff) + blob(24, 2, size=1 << 60) + ALL,
    'blobs-and-memory': FURNITURE + blob(20) + blob_shown(20) + ALL + blob_shown(20, SIDE * 4, 64) + ALL
        + RESET + FURNITURE + blob(20) + blob_shown(20) + DIE + REVIVE + blob_shown(20) + ALL + READ,
    'window': context() + ALL + blob(20) + blob(21) + ALL + map_blob(20) + map_blob(21, 4096, fence=3) + ALL + MAPPED
        + unmap_blob(20) + map_blob(21) + map_blob(20) + ALL + MAPPED + command(0x102, 21, 0) + MAPPED + RESET + MAPPED,
    'window-wrong': context() + blob(20) + ALL + map_blob(20, 1) + map_blob(20, 1 << 20) + ALL + map_blob(20) + ALL
        + map_blob(20) + unmap_blob(20) + unmap_blob(20) + REFUSED + map_blob(20) + ALL + DIE + unmap_blob(20) + REFUSED,
    'window-lies': context() + blob(20) + blob(21) + ALL + map_blob(20) + ALL + WINDOW_LIES + map_blob(21, 8192) + ALL
        + unmap_blob(20),
    'window-late': context() + blob(20) + blob(21) + ALL + map_blob(20) + map_blob(21, 8192) + ALL + PAUSE + RESET
        + MAPPED + context() + blob(20) + ALL + map_blob(20) + ALL + command(0x102, 20, 0) + MAPPED,
    'rings': command(0x200, 5, 4, data=b'rings'.ljust(64, b'\0')) + ALL + stream(8, fence=1) + lie(3, 0)
        + ALL,
    'short': b''.join(command(k, room=8) for k in range(0x200, 0x208)) + ALL,
}


def save_all(save):
    for name, data in CONVERSATIONS.items():
        for flags in (0, 1, 2, 4, 8):
            save('gpu_3d', f'{name}-{flags}', u8(flags) + data)
