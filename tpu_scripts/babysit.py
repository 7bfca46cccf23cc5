"""From nothing to a trained run, without anybody: looks at a pod, decides, does, waits.

    look ─► Sight ─► decide ─► create · wait · start · replace · finish · give up

What is decided follows from what is seen alone, so that a babysitter which is itself stopped, or
started on another laptop, resumes where it was. The run goes on from its checkpoints: a new pod is
told to start the same command.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from datetime import datetime

from pod_file import PodError
from queued_pod import CommandError, QueuedPod, Sight

# of a queued resource; ACCEPTED is what older versions of the API say for WAITING_FOR_RESOURCES
COMING = ("CREATING", "ACCEPTED", "WAITING_FOR_RESOURCES", "PROVISIONING")
GOING = ("DELETING", "SUSPENDING")
GONE = ("FAILED", "SUSPENDED")
# of a TPU VM: these do not become READY again
LOST = ("", "PREEMPTED", "TERMINATED", "STOPPED", "STOPPING", "DELETING", "HIDDEN", "HIDING")
# a host that cannot be set up so often has something wrong with it
MOST_FAILED_STARTS = 5
LONGEST_PAUSE = 1800.0


def decide(sight: Sight) -> str:
    """What to do now; what the run has said of its end comes before what became of the pod."""
    if sight.failed:
        return "give up"
    if sight.is_done:
        return "finish"
    if sight.queue is None:
        return "create"
    if sight.queue in GONE:
        return "replace"
    if sight.queue == "ACTIVE":
        if any(state in LOST for state in sight.nodes.values()):
            return "replace"
        if all(state == "READY" for state in sight.nodes.values()) and not sight.is_started:
            return "start"
    # COMING, GOING, and states that are not known here
    return "wait"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clock:
    """The time, and waiting; a test has another."""

    now: Callable[[], datetime] = datetime.now
    sleep: Callable[[float], None] = time.sleep


class Babysitter:
    """Keeps one pod alive until its run has ended."""

    def __init__(
        self,
        pod: QueuedPod,
        *,
        every: float,
        most_pods: int,
        say: Callable[[str], object] = print,
        clock: Clock | None = None,
    ):
        self._pod, self._every, self._most = pod, every, most_pods
        self._print, self._clock = say, clock or Clock()
        self._pods = self._refused = self._failed_starts = 0
        self._said = ""

    def run(self) -> int:
        """The status with which the run has ended; 1 where no pod could be kept."""
        self._say(f"{self._pod.pod.name}: watching, a look every {self._every:g} s")
        while True:
            try:
                status = self._step()
            except CommandError as error:
                # the laptop may be offline, Google may be busy: neither ends a run
                self._say(f"{error}; trying again")
                status = None
            if status is not None:
                return status
            self._clock.sleep(self._every)

    def _step(self) -> int | None:
        sight = self._pod.look()
        self._tell(sight)
        action = decide(sight)
        if action == "create":
            return self._create()
        if action == "start":
            self._start(sight)
        elif action == "replace":
            self._replace(sight)
        elif action in ("finish", "give up"):
            return self._end(sight)
        return None

    def _create(self) -> int | None:
        if self._pods >= self._most:
            self._say(f"{self._pods} pods were lost: giving up (--most_pods)")
            return 1
        self._pods += 1
        pod = self._pod.pod
        attempt = self._pod.create()
        self._failed_starts = 0
        self._say(f"attempt {attempt}: asked for {pod.slices} × {pod.accelerator}, {pod.tier}")
        return None

    def _start(self, sight: Sight) -> None:
        try:
            self._pod.set_up(sight.attempt)
            self._pod.start(sight.attempt)
        except CommandError as error:
            self._failed_starts += 1
            self._say(f"set-up failed, {self._failed_starts} of {MOST_FAILED_STARTS}: {error}")
            if self._failed_starts >= MOST_FAILED_STARTS:
                self._say("deleting a pod that cannot be set up")
                self._pod.delete()
            return
        self._refused = 0
        self._say(f"attempt {sight.attempt}: set up and started")

    def _replace(self, sight: Sight) -> None:
        """Google keeps the name of a request that is over until it is deleted."""
        lost = [node for node, state in sight.nodes.items() if state in LOST]
        why = f"lost {', '.join(lost)}" if lost else sight.queue
        self._say(f"attempt {sight.attempt}: {why}; deleting what is left of it")
        self._pod.delete()
        if sight.queue == "FAILED":
            # no capacity, or no quota: asking at once would be refused at once
            self._refused += 1
            pause = min(self._every * 2**self._refused, LONGEST_PAUSE)
            self._say(f"asking again in {pause:.0f} s")
            self._clock.sleep(pause)

    def _end(self, sight: Sight) -> int:
        status = 0
        if sight.failed:
            host, status = sight.failed
            self._say(f"the run ended with status {status} on {host}:")
            try:
                self._print(self._pod.read_log(host, 10))
            except CommandError as error:
                self._say(str(error))
        else:
            self._say(f"the run is done, after {sight.attempt} attempts")
        if sight.queue is not None:
            self._pod.delete()
            self._say("the pod is deleted")
        return status

    def _tell(self, sight: Sight) -> None:
        """Says what is seen where it is news."""
        said = sight.describe()
        if said != self._said:
            self._said = said
            self._say(said)

    def _say(self, line: str) -> None:
        self._print(f"{self._clock.now():%Y-%m-%d %H:%M:%S} {line}")


def check_new(sight: Sight) -> None:
    """An error where there is a pod of that name already, which create would be refused for."""
    if sight.queue is not None:
        raise PodError(f"there is one already ({sight.describe()}); babysit goes on with it")
