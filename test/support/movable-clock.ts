/** A clock that runs as the system's does and can be moved forward: what falls due by that falls due at once. */
import { type Clock, systemClock } from "../../src/util/clock.ts";

export interface MovableClock {
  readonly clock: Clock;
  /** Milliseconds. */
  forward(ms: number): void;
}

export function movableClock(): MovableClock {
  let ahead = 0;
  const timers = new Set<{ at: number; run: () => void }>();
  const fire = (timer: { at: number; run: () => void }): void => {
    if (timers.delete(timer)) timer.run();
  };
  const clock: Clock = {
    now: () => systemClock.now() + ahead,
    after(ms, run) {
      const timer = { at: clock.now() + ms, run };
      timers.add(timer);
      const stop = systemClock.after(ms, () => fire(timer));
      return () => {
        stop();
        timers.delete(timer);
      };
    },
  };
  return {
    clock,
    forward(ms) {
      ahead += ms;
      for (const timer of [...timers]) if (timer.at <= clock.now()) fire(timer);
    },
  };
}
