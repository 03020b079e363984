/** Durations as a person writes them, in the configuration, in commands and in filters. */
import { days, hours, minutes, seconds } from "./clock.ts";

const durations: Readonly<Record<string, number>> = {
  ms: 1,
  s: seconds(1),
  m: minutes(1),
  h: hours(1),
  d: days(1),
  w: days(7),
};

/** `30s`, `5m`, `1h30m`, `0.5h`, `5d` in milliseconds; units of one text go from large to small, each once. */
export function parseDuration(text: string): number | undefined {
  if (text.length > 40 || !/^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/.test(text)) return undefined;
  let total = 0;
  let smallest = Number.POSITIVE_INFINITY;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) {
    const size = durations[unit as string] as number;
    if (size >= smallest) return undefined;
    smallest = size;
    total += Number(count) * size;
  }
  return Number.isSafeInteger(Math.round(total)) ? Math.round(total) : undefined;
}

/** `5m`, `1h30m`: what `parseDuration` reads back as the same number. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0s";
  let left = ms;
  let text = "";
  for (const unit of ["d", "h", "m", "s", "ms"]) {
    const size = durations[unit] as number;
    const count = Math.floor(left / size);
    if (count > 0) text += `${count}${unit}`;
    left -= count * size;
  }
  return text;
}
