"""Watching: sources go in, their observations go into outboxes on disk and from there to the broker.

Each source has a thread, an outbox and a connection of its own; the models are shared. What earlier runs left in
outboxes is delivered too, whatever its source was called.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import astuple

from mien.config import Settings, SourceSettings
from mien.edge.live_model import LiveModel
from mien.edge.lsl import LslOutlet
from mien.edge.outbox import open_outbox, waiting_sources
from mien.edge.preview import PreviewSwitch
from mien.edge.publisher import Publisher
from mien.edge.remote import Remote
from mien.edge.waiting import WaitingSources
from mien.errors import InputError, MienError, UsageError
from mien.media.base import Frame, Source, notes_of, paced, performed, raise_problem
from mien.media.open import open_source
from mien.media.selection import limited, masked
from mien.mqtt.messages import Stats
from mien.observation import EMOTIONS, UNTOLD_SPAN_S, Emotion, Observation, Probabilities
from mien.observation import now as utc
from mien.system.clock import ClockWatch
from mien.system.machine import temperature_c
from mien.version import __version__
from mien.vision.detector import FaceDetector, open_detector
from mien.vision.pipeline import Pipeline
from mien.vision.readings import LoadGauge, ReadingSchedule

__all__ = ["FrameCallback", "run_watch"]

log = logging.getLogger(__name__)

FrameCallback = Callable[[Frame, Observation], None]
"""Called with each frame and what it showed, from the source's thread."""

SHOWN = 10_000
"""So many faces at most are taken into the figures of one message of statistics."""

MEASURED_S = 1.0
"""Frames per second are told once they were counted for so long, in seconds."""

DRAIN_S = 5.0
"""How long the end waits for confirmations, in seconds; what is missing then stays in the outbox."""


def run_watch(
    settings: Settings,
    specs: Sequence[str],
    stop: threading.Event,
    *,
    name: str | None = None,
    loop: bool = False,
    window: bool = False,
    frame_callback: FrameCallback | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Watch sources until they end or `stop` is set.

    Args:
        settings: Where outbox and broker are, and how faces are read.
        specs: What to watch: cameras' numbers, videos, streams' URLs, `demo`, or names of sources that the settings
            list; none: all that these list.
        stop: Ends it: what was analysed goes to disk, and to the broker if that takes less than 5 s.
        name: What the source is called; only for a single one.
        loop: Play videos again and again, each time as a new session; `demo` always does.
        window: Show the live picture; closing it stops the watching.
        frame_callback: Sees each frame and its observation.
        ready: Called once all sources that are there are watched.

    Raises:
        UsageError: There is nothing to watch, a name was given for several sources, or one is being watched already.
        InputError: A source cannot be opened; a camera or stream that has a name in the settings is waited for.
        MienError: What went wrong with the only source, or with the last of several.
    """
    sources = _listed(settings, specs, loop)
    if name is not None and len(sources) > 1:
        raise UsageError(f"--name '{name}' names one source, but {len(sources)} were given")
    settings.ensure_home()
    model = LiveModel(settings)
    detectors: dict[tuple[str, float, int], FaceDetector] = {}
    watchers: list[_Watcher] = []
    leftovers: _Leftovers | None = None
    away = WaitingSources()

    def add(listed: SourceSettings, opened: Source) -> _Watcher:
        own = settings.overridden(listed)
        asked = own.vision.detector, own.vision.confidence, own.vision.max_side
        detector = detectors[asked] = detectors.get(asked) or open_detector(*asked)
        watchers.append(_Watcher(own, listed, opened, detector, model))
        return watchers[-1]

    try:
        for listed in sources:
            chosen = name or listed.name
            taken = {watcher.name for watcher in watchers} | ({source.name for source in sources} - {chosen})
            try:
                opened = _open_named(listed.url, chosen, taken)
            except MienError as why:
                away.expect(listed, why)
            else:
                add(listed, opened)
        log.info("%s %s", model.classifier.model_id, model.classifier.runs_on)
        leftovers = _Leftovers(settings, {watcher.name for watcher in watchers} | away.names)
        show = _show_windows(watchers) if window and watchers else None
        for watcher in watchers:
            watcher.start(frame_callback)
        ready()
        while not stop.is_set() and (away or any(watcher.is_alive() for watcher in watchers)):
            model.refresh()
            for listed, opened in away.arrived():
                log.info("'%s' is there now", opened.name)
                try:
                    add(listed, opened).start(frame_callback)
                except MienError as why:  # the others go on
                    log.warning("%s", why)
            if show is None:
                stop.wait(0.1)
            elif not show():
                break
    finally:
        away.stop()
        for watcher in watchers:
            watcher.stop()
        end = time.monotonic() + DRAIN_S
        if leftovers is not None:
            leftovers.stop(end)
        for watcher in watchers:
            watcher.close(end)
        if leftovers is not None:
            leftovers.join()
    errors = [watcher.error for watcher in watchers if watcher.error is not None]
    for error in errors[:-1]:
        log.warning("%s", error)
    if errors:
        raise errors[-1]


class _Watcher:
    """One source on its way to the broker."""

    def __init__(
        self, settings: Settings, listed: SourceSettings, source: Source, detector: FaceDetector, model: LiveModel
    ) -> None:
        self.name = source.name
        self.error: MienError | None = None
        self.newest: tuple[Frame, Observation] | None = None
        self._settings, self._spec, self._mask, self._source = settings, listed.url, listed.mask, source
        self._detector, self._model = detector, model
        self._player = source
        self._loops = listed.url == "demo" or (listed.loop and not source.live)
        self._stopping = threading.Event()
        self._began = time.monotonic()
        self._shown: deque[tuple[Probabilities, float]] = deque(maxlen=SHOWN)
        self._frames = self._dropped_before = self._frames_before = 0
        self._counted_at = self._began
        self._fps: float | None = None
        self._read_every_s: float | None = None  # None: as often as it should be
        self._clock = ClockWatch()
        try:
            self._outbox = open_outbox(settings, self.name)
        except MienError:
            source.close()
            raise
        try:
            self._lsl = LslOutlet(settings, self.name, model.classifier.model_id) if settings.watch.lsl else None
        except MienError:
            source.close()
            self._outbox.close()
            raise
        self._demo = listed.url == "demo"
        self._preview = PreviewSwitch(settings, demo=self._demo)
        self._remote = Remote(settings, self.name, self._preview)
        self._publisher = Publisher(self._outbox, self.name, settings, self._stats, self._remote, self._preview)
        self._thread = threading.Thread(target=self._run, name=f"watch-{self.name}", daemon=True)

    def start(self, callback: FrameCallback | None) -> None:
        self._callback = callback
        log.info("watching '%s'%s", self.name, ", in a loop" if self._loops else "")
        for line in notes_of(self._source):
            log.info("%s", line)
        if self._preview.kind != "off":
            log.info("'%s' sends a %s picture each second (watch.preview)", self.name, self._preview.kind)
        if self._preview.most != "off":
            log.info(
                "'%s' sends %s pictures for an hour where somebody asks for them (watch.remote_preview)",
                *(self.name, self._preview.most),
            )
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stopping.set()
        self._source.close()

    def close(self, end: float) -> None:
        """Bring what was analysed to disk, and to the broker if that is done by `end` on the monotonic clock."""
        if self._thread.ident is not None:
            self._thread.join()
        if self._lsl:
            self._lsl.close()
        self._hold_back()
        try:
            if not self._publisher.drain(max(0.0, end - time.monotonic())):
                left = self._outbox.counts.depth
                log.warning(
                    "%d observations of '%s' wait in the outbox; the next `mien watch` sends them", left, self.name
                )
        except MienError as error:
            self.error = self.error or error
        self._publisher.close()
        self._outbox.close()

    def _run(self) -> None:
        try:
            self._play()
            while self._loops and not self._stopping.is_set():
                self._dropped_before += self._player.dropped
                self._source = open_source(self._spec, self.name)
                if self._stopping.is_set():
                    self._source.close()
                self._play()
        except MienError as error:
            self.error = error
        except Exception as error:  # one source must not take the others along
            log.exception("'%s' failed", self.name)
            self.error = MienError(f"watching '{self.name}' failed: {error!r}; this is a mistake in Mien")

    def _play(self) -> None:
        pipeline = Pipeline(
            self._detector,
            self._model.classifier,
            self.name,
            smoothing_s=self._settings.vision.smoothing_s,
            read_every_s=self._settings.vision.read_every_s,
            calibrate_s=self._settings.watch.calibrate_s,
        )
        gauge = LoadGauge(pipeline.schedule)
        with self._source as source:
            noted = len(notes_of(source))
            chosen = masked(limited(source, lambda: self._remote.fps), self._mask)
            self._player = performed(chosen) if self._loops else paced(chosen)
            for frame in self._player:
                if self._stopping.is_set():
                    break
                if frame.offset_s is None:
                    raise InputError(
                        f"'{self._spec}' is no camera, stream or video: for photos there is `mien analyze`"
                    )
                if self._remote.paused:
                    self._hold_back()
                    continue
                pipeline.use(self._model.classifier)
                pipeline.abstain_below = self._remote.threshold
                began = time.monotonic()
                observation = pipeline.observe(frame)
                if self._lsl:
                    self._lsl.push(observation)
                self._outbox.append(observation)
                if source.live or self._loops:
                    ended = time.monotonic()
                    self._note_pace(gauge.note(ended, ended - began, pipeline.reading_s), pipeline.schedule)
                self._frames += 1
                self.newest = frame, observation
                self._preview.note(frame, observation)
                span_s = UNTOLD_SPAN_S if observation.span_s is None else observation.span_s
                self._shown.extend((face.probabilities, span_s) for face in observation.faces)
                if self._callback is not None:
                    self._callback(frame, observation)
            for line in notes_of(source)[noted:]:
                log.info("%s", line)
            if not self._stopping.is_set():
                raise_problem(source, f"the {self._frames} frames before were analysed")

    def _note_pace(self, changed: bool, schedule: ReadingSchedule) -> None:
        """Say so when faces are read less often than they should be, and when they are read as often again."""
        slowed = schedule.every_s > schedule.shortest_s
        if changed and slowed and self._read_every_s is None:
            log.warning(
                "'%s' gives frames faster than they are worked through: each face is read less often", self.name
            )
        elif changed and not slowed:
            log.info("each face of '%s' is read as often as before", self.name)
        self._read_every_s = schedule.every_s if slowed else None

    def _hold_back(self) -> None:
        self.newest = None
        self._preview.forget()

    def _stats(self) -> Stats:
        now = time.monotonic()
        passed = now - self._counted_at
        if passed >= MEASURED_S:
            self._fps = round((self._frames - self._frames_before) / passed, 2)
            self._counted_at, self._frames_before = now, self._frames
        emotion, happiness = _mood([self._shown.popleft() for _ in range(len(self._shown))])
        return Stats(
            fps=self._fps,
            state="paused" if self._remote.paused else self._player.state,
            dropped=self._dropped_before + self._player.dropped,
            faces=len(self.newest[1].faces) if self.newest else 0,
            emotion=emotion,
            happiness=happiness,
            preview=self._preview.kind,
            uptime_s=round(now - self._began, 1),
            model=self._model.classifier.model_id,
            version=__version__,
            temperature_c=temperature_c(),
            time=utc().replace(microsecond=0),
            clock=self._clock.state(),
            read_every_s=None if self._read_every_s is None else round(self._read_every_s, 3),
            demo=self._demo or None,
        )


class _Leftovers:
    """What earlier runs left in the outboxes of sources that this run doesn't watch."""

    def __init__(self, settings: Settings, watched: set[str]) -> None:
        self._stopping = threading.Event()
        self._end = 0.0
        folder = settings.home / "outbox"
        self._threads = [
            threading.Thread(target=self._deliver, args=(settings, source), name=f"leftovers-{source}", daemon=True)
            for source in waiting_sources(folder)
            if source not in watched
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, end: float) -> None:
        """Go on until `end`, on the monotonic clock, and no longer."""
        self._end = end
        self._stopping.set()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _deliver(self, settings: Settings, source: str) -> None:
        try:
            outbox = open_outbox(settings, source)
        except UsageError:
            return  # another process watches it
        except MienError as error:
            log.warning("%s", error)
            return
        log.info("'%s' left %d observations in its outbox; they are sent now", source, outbox.counts.depth)
        publisher = Publisher(outbox, source, settings)
        while outbox.counts.depth and not self._stopping.wait(0.2):
            pass
        try:
            publisher.drain(max(0.0, self._end - time.monotonic()))
        except MienError as error:
            log.warning("%s", error)
        publisher.close()
        outbox.close()


def _listed(settings: Settings, specs: Sequence[str], loop: bool) -> list[SourceSettings]:
    """Return what is to be watched: what was named, or else what the settings list."""
    known = {source.name: source for source in settings.source if source.name}
    listed = [known.get(spec) or SourceSettings.model_construct(url=spec) for spec in specs] or list(settings.source)
    if not listed:
        raise UsageError(
            "nothing to watch: name a camera, a stream, a video or demo, or list sources as [[source]] in mien.toml; "
            "see mien watch --help"
        )
    return [source.model_copy(update={"loop": loop or source.loop}) for source in listed]


def _mood(shown: Sequence[tuple[Probabilities, float]]) -> tuple[Emotion | None, float | None]:
    """Return the emotion that was strongest in the faces shown, each for so many seconds, and their happiness index.

    Each face weighs the seconds that its frame stands for, as in the store; None without faces.
    """
    total = sum(span_s for _, span_s in shown)
    if not total:
        return None, None
    weighted = [[share * span_s for share in astuple(shares)] for shares, span_s in shown]
    means = [sum(shares) / total for shares in zip(*weighted, strict=True)]
    return EMOTIONS[means.index(max(means))], round(100 * means[EMOTIONS.index("happy")], 1)


def _open_named(spec: str, name: str | None, taken: set[str | None]) -> Source:
    """Open a source under a name that no other in this run has, or was given."""
    source = open_source(spec, name)
    if source.name not in taken:
        return source
    source.close()
    base = source.name[:60]
    return open_source(spec, next(f"{base}-{n}" for n in range(2, 1000) if f"{base}-{n}" not in taken))


def _show_windows(watchers: Sequence[_Watcher]) -> Callable[[], bool]:
    """Open a window for each source and return what draws the newest frames; it says whether one is still open."""
    from mien.vision.annotate import annotate
    from mien.vision.window import PreviewWindow

    windows = {watcher: PreviewWindow(f"Mien: {watcher.name}") for watcher in watchers}
    shown: dict[_Watcher, Any] = {}

    def show() -> bool:
        for watcher, window in list(windows.items()):
            newest = watcher.newest
            if newest is None or newest is shown.get(watcher):
                continue
            shown[watcher] = newest
            frame, observation = newest
            delay_ms = None if frame.time is None else 1000 * (utc() - frame.time).total_seconds()
            if not window.show(annotate(frame.image, observation), delay_ms):
                del windows[watcher]
        time.sleep(0.01)
        return bool(windows)

    return show
