#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""interleave - every interleaving of those who touch one event, and a crash at every point.

A model of lib/spool*.c for one name.  An actor is a receiver, the daemon's
thread that takes, its thread that works, or an operator's tool.  A step is
one system call.  The model knows which folder holds which copy, which
renames are on stable storage, and what was acknowledged.  For the shipped
protocol it has to find nothing; each planted mistake it has to find.

Steps and the function each stands for:

    look, again     spool_find, confirm_duplicate   (io_exists)
    put, putsync    commit                          (io_move, spool_sync_box)
    dupsync         confirm_duplicate               (sync_to_answer)
    take, later     spool_take, in_later            (io_move, io_exists)
    rsync, rlook,   remove_repeat                   (spool_sync_box, io_exists,
    unlink                                           io_unlink, sp->removing)
    cursync         spool_sync
    open, flock,    spool_lock                      (io_open, io_lock, fstatat)
    verify
    replace         spool_erase                     (renameat over the name in done)
    effect          the daemon's work: record, document, hand over
    move, movesync  spool_move                      (io_move, spool_sync_box)
    crash           spool_recover, then the daemon alone

What a crash leaves: a rename is atomic; a rename or removal that was not
synced may be on the disk or not; one entry's changes keep their order; a
sync of a folder keeps every change of its entries, and what those rest on.
"""
import sys
import time

NEW, CUR, HELD, FAILED, DONE = range(5)
BOX = ("new", "cur", "held", "failed", "done")
NOWHERE = -1  # tmp, or removed
WHO = 10  # where a frozen world has its actors
ERASED = 99  # the copy that says nothing
CHASE = 3  # spool.c has 8: a longer chase only repeats itself


class World:
    """Everything that is; frozen it is a tuple, to be compared."""

    __slots__ = ("box", "base", "pend", "ack", "eff", "job", "mutex", "main", "locks", "copies",
                 "who")

    def __init__(self, box, who, ack, job):
        self.box = list(box)  # what a look sees
        self.base = list(box)  # what is on stable storage
        self.pend = []  # changes not yet synced: (copy, from, to)
        self.ack = ack  # a sender was told 2xx
        self.eff = 0  # times it was handed over
        self.job = job  # the daemon has a job of this name
        self.mutex = None  # sp->removing
        self.main = None  # whose turn it is on the daemon's main thread
        self.locks = {}  # copy -> actor
        self.copies = max(box)
        self.who = [actor + ((),) for actor in who]  # (kind, options, pc, locals)

    def freeze(self):
        return (tuple(self.box), tuple(self.base), tuple(self.pend), self.ack, self.eff, self.job,
                self.mutex, self.main, tuple(sorted(self.locks.items())), self.copies,
                tuple(self.who))

    @staticmethod
    def thaw(key):
        w = World.__new__(World)
        w.box, w.base, w.pend = list(key[0]), list(key[1]), list(key[2])
        w.ack, w.eff, w.job, w.mutex, w.main = key[3:8]
        w.locks, w.copies, w.who = dict(key[8]), key[9], list(key[WHO])
        return w

    def change(self, copy, src, dst):
        if src != NOWHERE:
            self.box[src] = 0
        if dst != NOWHERE:
            self.box[dst] = copy
        self.pend.append((copy, src, dst))

    def rename(self, src, dst, replace=False):
        """io_move: "ok", "exists" or "gone"."""
        if not self.box[src]:
            return "gone"
        if self.box[dst] and not replace:
            return "exists"
        self.change(self.box[src], src, dst)
        return "ok"

    def sync(self, box):
        """fsync of a folder: the changes that touch it, and those they rest on."""
        need = set()
        for i in range(len(self.pend) - 1, -1, -1):
            if box in self.pend[i][1:] or any(rests_on(self.pend[k], self.pend[i]) for k in need):
                need.add(i)
        for i in sorted(need):
            apply(self.base, self.pend[i])
        self.pend = [op for i, op in enumerate(self.pend) if i not in need]


def apply(view, op):
    if op[1] != NOWHERE:
        view[op[1]] = 0
    if op[2] != NOWHERE:
        view[op[2]] = op[0]


def rests_on(later, earlier):
    """The later change cannot be on the disk without the earlier one."""
    return later[0] == earlier[0] or bool(
        {b for b in later[1:] if b != NOWHERE} & {b for b in earlier[1:] if b != NOWHERE})


def crash_views(base, pend):
    """What may be on the disk: every set of changes that is closed under rests_on."""
    out = set()

    def go(i, taken, left):
        if i == len(pend):
            view = list(base)
            for op in taken:
                apply(view, op)
            out.add(tuple(view))
            return
        go(i + 1, taken, left + [pend[i]])
        if not any(rests_on(pend[i], op) for op in left):
            go(i + 1, taken + [pend[i]], left)

    go(0, [], [])
    return out


# ---- the actors: one call of step is one system call ----


def receiver(w, me, opt, pc, loc):
    """spool_put"""
    bad = opt["planted"]
    if pc == "start":
        pc, loc = ("put", ()) if bad == "receiver removes a name" else ("look", (NEW, 0, "before"))
    if pc == "look":
        box, rounds, phase = loc
        if w.box[box]:
            if bad == "duplicate without a sync":
                w.ack = True
                return "end", ()
            return "dupsync", loc
        if box < DONE:
            return "look", (box + 1, rounds, phase)
        return ("put", ()) if phase == "before" else ("end", ())  # 503
    if pc == "dupsync":
        w.sync(loc[0])
        return "again", loc
    if pc == "again":
        box, rounds, phase = loc
        if w.box[box]:
            w.ack = True
            return "end", ()
        return ("look", (NEW, rounds + 1, phase)) if rounds + 1 < CHASE else ("end", ())
    if pc == "put":
        if w.box[NEW]:
            return "look", (NEW, 0, "after")
        w.copies += 1
        w.change(w.copies, NOWHERE, NEW)
        if bad == "answer before the sync":
            w.ack = True
        if bad == "receiver removes a name":
            return "badlook", (CUR,)
        return "putsync", ()
    if pc == "badlook":
        if w.box[loc[0]]:
            return "badunlink", ()
        return ("badlook", (loc[0] + 1,)) if loc[0] < DONE else ("putsync", ())
    if pc == "badunlink":
        if w.box[NEW]:
            w.change(w.box[NEW], NEW, NOWHERE)
        w.ack = True
        return "end", ()
    assert pc == "putsync"
    w.sync(NEW)
    w.ack = True
    return "end", ()


def remove_repeat(w, me, opt, pc, loc):
    """loc: from, kept, what to go on with when kept is gone."""
    src, kept, other = loc
    if pc == "rsync":
        if opt["planted"] != "repeat removed without a sync":
            w.sync(kept)
        return "rlook", loc
    guarded = opt["planted"] not in ("two threads remove", "operator removes")
    if pc == "rlook":
        if guarded and w.mutex not in (None, me):
            return None
        if not w.box[kept]:
            return other, ()
        if guarded:
            w.mutex = me
        return "unlink", loc
    assert pc == "unlink"
    if w.box[src]:
        w.change(w.box[src], src, NOWHERE)
    if w.mutex == me:
        w.mutex = None
    return "end", ()


def on_main(w, me, planted):
    """The daemon takes and locks on one thread: never both at a time."""
    if planted == "take and lock on two threads":
        return True
    if w.main not in (None, me):
        return False
    w.main = me
    return True


def taker(w, me, opt, pc, loc):
    """spool_take and spool_sync, opt["rounds"] times, on the main thread"""
    bad = opt["planted"]
    if not on_main(w, me, bad):
        return None
    if pc == "start":
        pc, loc = ("first", (CUR,)) if bad == "look before the take" else ("take", ())
    if pc == "first":
        if w.box[loc[0]]:
            return "badtake", ()
        return ("first", (loc[0] + 1,)) if loc[0] < DONE else ("take", ())
    if pc == "badtake":
        if w.rename(NEW, CUR) == "gone":
            return "end", ()
        return "badremove", ()
    if pc == "badremove":
        src = NEW if w.box[NEW] else CUR
        if w.box[src]:
            w.change(w.box[src], src, NOWHERE)
        return "end", ()
    if pc == "take":
        got = w.rename(NEW, CUR, bad == "take replaces")
        if got == "gone":
            return "end", ()
        return ("rsync", (NEW, CUR, "end")) if got == "exists" else ("later", (HELD,))
    if pc == "later":
        if bad == "take looks nowhere":
            return "cursync", ()
        if w.box[loc[0]]:
            return "rsync", (CUR, loc[0], "cursync")
        return ("later", (loc[0] + 1,)) if loc[0] < DONE else ("cursync", ())
    if pc in ("rsync", "rlook", "unlink"):
        return remove_repeat(w, me, opt, pc, loc)
    assert pc == "cursync"
    w.sync(CUR)
    w.job = True
    return "end", ()


def lock(w, me, pc, loc, box):
    """spool_lock; "locked" goes on with the copy, "end": somebody has it, or it is gone."""
    if pc == "open":
        return ("flock", (w.box[box],)) if w.box[box] else ("end", ())
    if pc == "flock":
        if w.locks.get(loc[0], me) != me:
            return "end", ()
        w.locks[loc[0]] = me
        return "verify", loc
    assert pc == "verify"
    return ("locked", loc) if w.box[box] == loc[0] else ("end", ())


def worker(w, me, opt, pc, loc):
    """A job of the daemon: lock on the main thread; do, and move on, on one of the pool."""
    to = opt["to"]
    if pc == "start":
        if not w.job:
            return None
        pc = "open"
    if pc in ("open", "flock", "verify"):
        if not on_main(w, me, opt["planted"]):
            return None
        pc, loc = lock(w, me, pc, loc, CUR)
        if pc == "locked":
            w.main = None
        return ("effect" if to == DONE else "move", loc) if pc == "locked" else (pc, loc)
    if pc == "effect":
        w.eff += 1
        return "move", loc
    if pc == "move":
        got = w.rename(CUR, to)
        if got == "exists":
            return "rsync", (CUR, to, "end")
        return ("movesync", ()) if got == "ok" else ("end", ())
    if pc in ("rsync", "rlook", "unlink"):
        return remove_repeat(w, me, opt, pc, loc)
    assert pc == "movesync"
    w.sync(to)
    return "end", ()


def operator(w, me, opt, pc, loc):
    """spoolctl: lock, spool_move without the daemon's lock; it never removes a name."""
    src, to = opt["from"], opt["to"]
    if pc == "start":
        pc = "open"
    if pc in ("open", "flock", "verify"):
        pc, loc = lock(w, me, pc, loc, src)
        return ("move", loc) if pc == "locked" else (pc, loc)
    if pc == "move":
        got = w.rename(src, to)
        if got == "exists" and opt["planted"] == "requeue removes a name" and to == NEW:
            return "unlink", (src, to, "end")
        if got == "exists" and opt["planted"] == "operator removes" and to != NEW:
            return "rsync", (src, to, "end")
        return ("movesync", ()) if got == "ok" else ("end", ())
    if pc in ("rsync", "rlook", "unlink"):
        return remove_repeat(w, me, opt, pc, loc)
    assert pc == "movesync"
    w.sync(to)
    return "end", ()


def eraser(w, me, opt, pc, loc):
    """spoolctl erase: lock, spool_move to done, lock there, spool_erase; it removes no name."""
    src = opt["from"]
    if pc == "start":
        pc = "open"
    if pc in ("open", "flock", "verify"):
        pc, loc = lock(w, me, pc, loc, src)
        if pc == "locked":
            return ("replace" if src == DONE else "move"), loc
        return pc, loc
    if pc == "move":
        return ("movesync", loc) if w.rename(src, DONE) == "ok" else ("end", ())
    if pc == "movesync":
        w.sync(DONE)
        return "replace", loc
    if pc == "replace":
        if opt["planted"] == "erasure removes and puts":
            w.change(w.box[DONE], DONE, NOWHERE)
            return "put", loc
        pc = "put"
    if pc == "put":
        w.change(ERASED, NOWHERE, DONE)
        return "erasesync", ()
    assert pc == "erasesync"
    if opt["planted"] != "erased without a sync":
        w.sync(DONE)
    return "end", ("erased",)


KINDS = {"eraser": eraser, "receiver": receiver, "taker": taker, "worker": worker, "operator": operator}


def step(key, me, planted):
    """The world after the next step of actor me; None: it has ended, or waits."""
    kind, options, pc, loc = key[WHO][me]
    if pc == "end":
        return None
    w = World.thaw(key)
    opt = dict(options, planted=planted)
    got = KINDS[kind](w, me, opt, pc, loc)
    if got is None:
        return None
    pc, loc = got
    if pc == "end":
        w.locks = {c: a for c, a in w.locks.items() if a != me}
        w.main = None if w.main == me else w.main
        if kind == "worker":
            w.job = False
        if opt.get("rounds", 1) > 1:
            options = tuple(sorted(dict(options, rounds=opt["rounds"] - 1).items()))
            pc = "start"
    w.who[me] = (kind, options, pc, loc)
    return w.freeze()


# ---- what has to hold ----


def recover(view, planted):
    """spool_recover: a name in two boxes belongs to the later.  new is left to the take."""
    view = list(view)
    there = [b for b in range(CUR, DONE + 1) if view[b]]
    if planted == "recover keeps the earlier":
        there.reverse()
    for b in there[:-1]:
        view[b] = 0
    return view


def drain(view):
    """The daemon alone, until nothing is left to do: what is then, and how often it handed over."""
    view, eff = list(view), 0
    for _ in range(4):
        if view[NEW]:
            if view[CUR]:
                view[NEW] = 0
            else:
                view[CUR], view[NEW] = view[NEW], 0
                if any(view[HELD:]):
                    view[CUR] = 0
        if view[CUR]:
            eff += 1
            if not view[DONE]:
                view[DONE] = view[CUR]
            view[CUR] = 0
    return view, eff


def erasures(key):
    """Is there one, did it say that it is done, and was the event handed over before it?"""
    who = [a for a in key[WHO] if a[0] == "eraser"]
    return (bool(who), any(a[2:] == ("end", ("erased",)) for a in who),
            any(dict(a[1])["from"] == DONE for a in who))


def erase_fault(view, eff, erasure):
    """What holds whether the power goes or not: it was erased, and it stays so."""
    _, erased, was_done = erasure
    if was_done and eff:
        return "handed over again"
    if erased and view != [0, 0, 0, 0, ERASED]:
        return "comes back after it was erased"
    return None


def crash_fault(view, ack, planted, erasure):
    """The power goes, this is on the disk: what is wrong with it, or None."""
    if erasure[0] and any(view):
        after, eff = drain(recover(view, planted))
        fault = erase_fault(recover(after, planted), eff, erasure)
        if fault:
            return fault
    if not any(view):
        return "lost in a crash" if ack else None
    after, eff = drain(recover(view, planted))
    if not any(after):
        return "lost after a crash"
    if view[DONE] and eff:
        return "done, and done again after a crash"
    if sum(1 for c in after if c) != 1:
        return "in two folders after a start"
    return None


def end_fault(key, planted):
    """Everybody has ended; the daemon goes on alone, with a new start before or after."""
    for view, eff in (drain(key[0]), drain(recover(key[0], planted))):
        total = key[4] + eff
        view = recover(view, planted)
        erasure = erasures(key)
        fault = erase_fault(view, total, erasure) if erasure[0] else None
        if fault:
            return fault
        if view[DONE] == ERASED and total <= 1:
            continue
        if not any(view):
            return "lost" if key[3] else None
        if total > 1:
            return "handed over twice"
        if bool(view[DONE]) != (total == 1):
            return "done, and never handed over" if view[DONE] else "handed over, and not done"
    return None


class Check:
    """All interleavings of one scenario, counted over the graph of worlds."""

    def __init__(self, world, planted):
        self.planted = planted
        self.seen = {}
        self.crashes = {}
        self.views = 0
        self.example = None
        self.all, self.bad = self.go(world.freeze(), ())

    def fault(self, key):
        if key[3] and not any(key[0]):
            return "lost"
        erasure = erasures(key)
        k = (key[1], key[2], key[3], erasure)
        if k not in self.crashes:
            self.crashes[k] = None
            for view in crash_views(key[1], key[2]):
                self.views += 1
                self.crashes[k] = self.crashes[k] or crash_fault(view, key[3], self.planted,
                                                                      erasure)
        return self.crashes[k]

    def go(self, key, path):
        """How many interleavings lead on from here, and how many of them are bad."""
        if key in self.seen:
            return self.seen[key]
        fault = self.fault(key)
        total = bad = 0
        for me in range(len(key[WHO])):
            after = step(key, me, self.planted)
            if after is not None:
                n, b = self.go(after, path + ((me, key[WHO][me]),))
                total += n
                bad += b
        if total == 0:
            total = 1
            fault = fault or end_fault(key, self.planted)
        if fault:
            bad = total
            if self.example is None or len(path) < len(self.example[1]):
                self.example = (fault, path, key)
        self.seen[key] = (total, bad)
        return total, bad


def actor(kind, pc="start", **options):
    return (kind, tuple(sorted(options.items())), pc)


def take(rounds):
    return actor("taker", rounds=rounds)


RECEIVER = actor("receiver")
WORKER = actor("worker", to=DONE)
REQUEUE = {b: actor("operator", **{"from": b, "to": NEW}) for b in (HELD, FAILED)}
ERASE = {b: actor("eraser", **{"from": b}) for b in range(5)}
HOLD = actor("operator", **{"from": CUR, "to": HELD})


def at(*boxes):
    """The event, whole and synced, in these boxes; copies are numbered from 1."""
    view = [0] * 5
    for i, b in enumerate(boxes):
        view[b] = i + 1
    return view


# name: what is where, who acts, the daemon has a job already
SCENARIOS = {
    "two senders, one daemon": (at(), (RECEIVER, RECEIVER, take(1), WORKER), False),
    "a repeat, taken twice": (at(NEW), (RECEIVER, take(2), WORKER), False),
    "a repeat while in work": (at(CUR, NEW), (RECEIVER, take(1), WORKER), True),
    "a repeat and a hold": (at(CUR, NEW), (RECEIVER, take(1), WORKER, HOLD), True),
    "a repeat and a requeue": (
        at(FAILED, NEW), (RECEIVER, take(1), WORKER, REQUEUE[FAILED]), False),
    "a repeat comes, and a requeue": (
        at(FAILED), (RECEIVER, take(1), WORKER, REQUEUE[FAILED]), False),
    "two repeats and a requeue": (
        at(FAILED), (RECEIVER, RECEIVER, take(1), REQUEUE[FAILED]), False),
    "a repeat and a release": (at(HELD), (RECEIVER, take(2), REQUEUE[HELD]), False),
    "hold, release and a repeat": (at(CUR), (RECEIVER, take(1), HOLD, REQUEUE[HELD]), False),
    "a copy in cur and one in held": (at(CUR, HELD), (HOLD, REQUEUE[HELD], take(1)), False),
    "a copy in cur and one in failed": (
        at(CUR, FAILED), (actor("worker", to=FAILED), REQUEUE[FAILED], take(1)), True),
    "a repeat and an erasure": (at(DONE), (RECEIVER, take(2), WORKER, ERASE[DONE]), False),
    "an erasure, and another": (at(DONE), (RECEIVER, take(1), ERASE[DONE], ERASE[DONE]), False),
    "an event erased before it is taken": (
        at(NEW), (RECEIVER, take(1), WORKER, ERASE[NEW]), False),
    "an event in work and an erasure": (at(CUR), (RECEIVER, take(1), WORKER, ERASE[CUR]), True),
    "a failed event, a requeue and an erasure": (
        at(FAILED), (take(1), WORKER, REQUEUE[FAILED], ERASE[FAILED]), False),
    "a copy in cur and one in done": (at(CUR, DONE), (RECEIVER, take(1), WORKER), True),
}

# The mistake, and the scenario that has to show it.
PLANTED = (
    ("receiver removes a name", "a repeat comes, and a requeue"),
    ("requeue removes a name", "a repeat and a requeue"),
    ("take replaces", "a repeat and a hold"),
    ("take looks nowhere", "a repeat while in work"),
    ("look before the take", "a repeat comes, and a requeue"),
    ("duplicate without a sync", "two senders, one daemon"),
    ("answer before the sync", "two senders, one daemon"),
    ("operator removes", "a copy in cur and one in held"),
    ("two threads remove", "a copy in cur and one in failed"),
    ("take and lock on two threads", "a repeat and a hold"),
    ("erasure removes and puts", "a repeat and an erasure"),
    ("erased without a sync", "a repeat and an erasure"),
    ("recover keeps the earlier", "a copy in cur and one in done"),
)


def run(name, planted=None):
    boxes, who, job = SCENARIOS[name]
    return Check(World(boxes, who, any(boxes), job), planted)


def tell(example):
    fault, path, key = example
    print("#   %s: new cur held failed done = %s" % (fault, " ".join(str(c) for c in key[0])))
    for me, (kind, _, pc, loc) in path:
        where = " ".join(BOX[x] if isinstance(x, int) and 0 <= x <= DONE else str(x) for x in loc)
        print("#     %s %d: %s %s" % (kind, me, pc, where))


def main():
    sys.setrecursionlimit(10000)
    start = time.monotonic()
    n = failed = 0
    print("1..%d" % (len(SCENARIOS) + len(PLANTED)))
    for name in SCENARIOS:
        n += 1
        c = run(name)
        failed += c.bad != 0
        print("%sok %d - %s: %d interleavings, %d worlds, %d crash images, %d bad"
              % ("not " if c.bad else "", n, name, c.all, len(c.seen), c.views, c.bad))
        if c.bad:
            tell(c.example)
    for planted, name in PLANTED:
        n += 1
        c = run(name, planted)
        failed += c.bad == 0
        print("%sok %d - planted: %s (%s): found in %d of %d interleavings"
              % ("not " if c.bad == 0 else "", n, planted, name, c.bad, c.all))
        if c.bad and "-v" in sys.argv[1:]:
            tell(c.example)
    print("# %.1f s" % (time.monotonic() - start))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
