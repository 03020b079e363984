/** Durations and sizes as a person writes them. */
import { days, hours, minutes, seconds } from "../util/clock.ts";

const durations: Readonly<Record<string, number>> = {
  ms: 1,
  s: seconds(1),
  m: minutes(1),
  h: hours(1),
  d: days(1),
  w: days(7),
};

const sizes: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
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

/** A number of octets, or a text such as `50MB` (thousands) or `50MiB` (1024s). */
export function parseSize(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  if (typeof value !== "string") return undefined;
  const [, count, unit] = /^(\d{1,15}(?:\.\d{1,3})?) ?(B|KB|MB|GB|KiB|MiB|GiB)$/.exec(value) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  const octets = Math.round(Number(count) * (sizes[unit] as number));
  return Number.isSafeInteger(octets) ? octets : undefined;
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

/** So many in each so many milliseconds: `100/m`, `10/s`, `500/15m`. */
export function parseRate(text: string): { readonly messages: number; readonly per: number } | undefined {
  const [, count, span] = /^([1-9]\d{0,8})\/(\d*[smhd])$/.exec(text) ?? [];
  if (count === undefined || span === undefined) return undefined;
  const per = parseDuration(/^\d/.test(span) ? span : `1${span}`);
  return per === undefined || per < 1000 || per > days(1) ? undefined : { messages: Number(count), per };
}
