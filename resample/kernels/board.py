"""Where numbers stand on the board by which threads share calls: `bands` has the code.

The board is memory in int64: a line of what concerns all threads, then JOBS jobs, then HELPERS helpers.
"""

from __future__ import annotations

LINE = 8  # numbers in a line of a processor's cache, which one thread writes at a time
JOBS = 8  # calls that find helpers at a time; others are done by their callers
HELPERS = 255
SHARE = 2  # bands a thread, so that one that comes late leaves some to the others

# of all: how often a job was offered, how many helpers there are, for how many turns who waits looks before it sleeps,
# and where the functions are that lock and unlock
OFFERS, COUNT, TURNS, LOCK, UNLOCK = range(5)

# of whoever may sleep, which is the caller of a job, and a helper: whether it does, and its lock, which is free only
# to wake it
STATE, PLACE = range(2)
AWAKE, ASLEEP, BUSY = range(3)

# of a job: whether it has a caller, whether helpers may come, and what there is to do; in lines of their own, because
# they change more often, the number of the next thread, and how many helpers look at it
TAKEN, OFFERED, FUNCTION, ARGUMENTS, WORDS, PITCH = range(2, 8)
THREADS, LENGTH, OWN, OWN_END = range(LINE, LINE + 4)
NEXT_THREAD, INSIDE = 2 * LINE, 3 * LINE
JOB = 4 * LINE

FIRST_HELPER = LINE + JOBS * JOB
SIZE = FIRST_HELPER + HELPERS * LINE
